package api

import (
	"context"
	"strconv"

	"toastmaster/admin/authz"
	"toastmaster/admin/model"
)

func (h *handlers) status(ctx context.Context, _ *struct{}) (*body[model.Status], error) {
	if _, err := may(ctx, authz.Read, onSystem()); err != nil {
		return nil, err
	}
	s := model.Status{
		Hostname: h.o.Hostname, Version: h.o.Version, Time: h.o.Clock.Now().UTC(),
		Services: []model.Service{}, Queue: map[string]int64{},
	}
	if h.o.Services != nil {
		s.Services = h.o.Services()
	}
	// A part that is not there is named above, and the rest is told all the same.
	var err error
	if s.Hosted, err = h.o.Store.Counts(ctx); err != nil && model.KindOf(err) != model.Unavailable {
		return nil, err
	}
	if h.o.Queue != nil {
		if s.Queue, err = h.o.Queue.Counts(ctx); err != nil && model.KindOf(err) != model.Unavailable {
			return nil, err
		}
	}
	return &body[model.Status]{s}, nil
}

func (h *handlers) reload(ctx context.Context, _ *struct{}) (*body[model.Reloaded], error) {
	if _, err := may(ctx, authz.Write, onSystem()); err != nil {
		return nil, err
	}
	names, err := h.o.Reload(ctx)
	if err != nil {
		return nil, err
	}
	return &body[model.Reloaded]{model.Reloaded{NeedRestart: append([]string{}, names...)}}, nil
}

func (h *handlers) listTokens(ctx context.Context, _ *struct{}) (*body[model.TokenList], error) {
	if _, err := may(ctx, authz.Read, onSystem()); err != nil {
		return nil, err
	}
	tokens, err := h.o.Store.Tokens(ctx)
	if tokens == nil {
		tokens = []model.Token{}
	}
	return &body[model.TokenList]{model.TokenList{Items: tokens}}, err
}

func (h *handlers) addToken(ctx context.Context, in *body[model.NewToken]) (*body[model.TokenSecret], error) {
	actor, err := may(ctx, authz.Write, onSystem())
	if err != nil {
		return nil, err
	}
	t, err := h.o.Store.AddToken(ctx, actor, in.Body)
	return &body[model.TokenSecret]{t}, err
}

type tokenInput struct {
	Name string `path:"name" maxLength:"400"`
}

func (h *handlers) removeToken(ctx context.Context, in *tokenInput) (*nothing, error) {
	actor, err := may(ctx, authz.Write, onSystem())
	if err != nil {
		return nil, err
	}
	return &nothing{}, h.o.Store.RemoveToken(ctx, actor, in.Name)
}

type auditInput struct {
	After  int64  `query:"after" minimum:"0" doc:"Where to go on: next of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000"`
	Object string `query:"object" enum:"domain,mailbox,alias,relocated,token,job"`
	Name   string `query:"name"`
}

func (h *handlers) listAudit(ctx context.Context, in *auditInput) (*body[model.Page[model.AuditEntry]], error) {
	if _, err := may(ctx, authz.Read, onSystem()); err != nil {
		return nil, err
	}
	limit := h.limit(Paging{Limit: in.Limit})
	items, err := h.o.Store.Audit(ctx, in.Object, in.Name, in.After, limit)
	page := model.Page[model.AuditEntry]{Items: items}
	if len(items) == limit {
		page.Next = strconv.FormatInt(items[limit-1].ID, 10)
	}
	if page.Items == nil {
		page.Items = []model.AuditEntry{}
	}
	return &body[model.Page[model.AuditEntry]]{page}, err
}
