package api

import (
	"context"
	"io"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"toastmaster/admin/model"
)

// QueueFilterInput selects messages.
type QueueFilterInput struct {
	Place     string `query:"place" enum:"incoming,active,deferred,hold,corrupt"`
	Sender    string `query:"sender" doc:"Exactly this one; @domain for all of a domain, <> for the null sender"`
	Recipient string `query:"recipient" doc:"Exactly this one; @domain for all of a domain"`
	ID        string `query:"id" maxLength:"64" doc:"The message with this queue ID only"`
}

func (in QueueFilterInput) filter() model.QueueFilter {
	return model.QueueFilter{Place: in.Place, Sender: in.Sender, Recipient: in.Recipient, ID: in.ID}
}

type listQueueInput struct {
	Paging
	QueueFilterInput
}

func (h *handlers) listQueue(ctx context.Context, _ caller, in *listQueueInput) (*body[model.Page[model.QueuedMessage]], error) {
	limit := h.limit(in.Paging)
	items, err := h.o.Queue.List(ctx, in.filter(), in.After, limit+1)
	if err != nil {
		return nil, err
	}
	page := model.Page[model.QueuedMessage]{Items: items}
	if len(items) > limit {
		page.Items = items[:limit]
		page.Next = items[limit-1].ID
	}
	if page.Items == nil {
		page.Items = []model.QueuedMessage{}
	}
	return &body[model.Page[model.QueuedMessage]]{page}, nil
}

func (h *handlers) queueRemains(ctx context.Context, _ caller, _ *struct{}) (*body[model.QueueRemains], error) {
	items, err := h.o.Queue.Remains(ctx)
	if items == nil {
		items = []model.QueueFiles{}
	}
	return &body[model.QueueRemains]{model.QueueRemains{Items: items}}, err
}

type queueInput struct {
	ID string `path:"id" maxLength:"64"`
}

func (h *handlers) showQueued(ctx context.Context, _ caller, in *queueInput) (*body[model.QueuedMessage], error) {
	m, err := h.o.Queue.Get(ctx, in.ID)
	return &body[model.QueuedMessage]{m}, err
}

func (h *handlers) queuedContent(ctx context.Context, by caller, in *queueInput) (*huma.StreamResponse, error) {
	content, size, err := h.o.Queue.Content(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	h.writeAudit(ctx, by, "read", in.ID, nil, nil)
	return &huma.StreamResponse{Body: func(c huma.Context) {
		defer content.Close()
		// Not text/html or anything else that a browser would show.
		c.SetHeader("Content-Type", "message/rfc822")
		c.SetHeader("Content-Disposition", "attachment")
		c.SetHeader("Content-Length", strconv.FormatInt(size, 10))
		if _, err := io.Copy(c.BodyWriter(), content); err != nil {
			h.o.Log.DebugContext(ctx, "queued content not sent", "id", in.ID, "cause", err)
		}
	}}, nil
}

// queueAction is an operation on one message. The line of the request in the
// log has its ID and the caller.
func (h *handlers) queueAction(action string, f func(context.Context, string) (bool, error)) func(context.Context, caller, *queueInput) (*body[model.QueueChange], error) {
	return func(ctx context.Context, by caller, in *queueInput) (*body[model.QueueChange], error) {
		before, err := h.notedMessage(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		// First, so that nothing goes without a trace.
		h.writeAudit(ctx, by, action, in.ID, before, nil)
		changed, err := f(ctx, in.ID)
		return &body[model.QueueChange]{model.QueueChange{ID: in.ID, Changed: changed}}, err
	}
}

type flushInput struct {
	QueueFilterInput
	Site string `query:"site" maxLength:"255" doc:"All mail for this destination, by the index of fast flush where it is one of flush.fast_flush_domains; without other parameters"`
}

func (h *handlers) flushQueue(ctx context.Context, by caller, in *flushInput) (*body[model.FlushResult], error) {
	filter := in.filter()
	if filter != (model.QueueFilter{}) && in.Site != "" {
		return nil, &model.Error{Kind: model.Invalid, Text: "site stands alone: a destination is flushed as a whole"}
	}
	filter.Site = in.Site
	n, err := h.o.Queue.Flush(ctx, filter)
	if err == nil {
		h.writeAudit(ctx, by, "flush", strings.TrimSpace(describeFilter(filter)), nil, model.FlushResult{Flushed: n})
	}
	return &body[model.FlushResult]{model.FlushResult{Flushed: n}}, err
}
