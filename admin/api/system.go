package api

import (
	"context"
	"strconv"

	"toastmaster/admin/model"
)

func (h *handlers) status(ctx context.Context, _ caller, _ *struct{}) (*body[model.Status], error) {
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

func (h *handlers) reload(ctx context.Context, _ caller, _ *struct{}) (*body[model.Reloaded], error) {
	names, err := h.o.Reload(ctx)
	if err != nil {
		return nil, err
	}
	return &body[model.Reloaded]{model.Reloaded{NeedRestart: append([]string{}, names...)}}, nil
}

func (h *handlers) listTokens(ctx context.Context, _ caller, _ *struct{}) (*body[model.TokenList], error) {
	tokens, err := h.o.Store.Tokens(ctx)
	if tokens == nil {
		tokens = []model.Token{}
	}
	return &body[model.TokenList]{model.TokenList{Items: tokens}}, err
}

func (h *handlers) addToken(ctx context.Context, by caller, in *body[model.NewToken]) (*body[model.TokenSecret], error) {
	t, err := h.o.Store.AddToken(ctx, by.name, in.Body)
	return &body[model.TokenSecret]{t}, err
}

type tokenInput struct {
	Name string `path:"name" maxLength:"400"`
}

func (h *handlers) removeToken(ctx context.Context, by caller, in *tokenInput) (*nothing, error) {
	return &nothing{}, h.o.Store.RemoveToken(ctx, by.name, in.Name)
}

type auditInput struct {
	After  int64  `query:"after" minimum:"0" doc:"Where to go on: next of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000"`
	Object string `query:"object" enum:"domain,mailbox,alias,relocated,token,job,queue"`
	Name   string `query:"name"`
}

func (h *handlers) listAudit(ctx context.Context, _ caller, in *auditInput) (*body[model.Page[model.AuditEntry]], error) {
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
