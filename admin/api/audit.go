package api

import (
	"context"
	"time"

	"toastmaster/admin/model"
	"toastmaster/internal/clock"
)

// writeAudit writes a row of the audit about the queue. A database that cannot take it
// does not keep an operator from his queue: the log has the line then.
func (h *handlers) writeAudit(ctx context.Context, by caller, action, name string, before, after any) {
	if err := h.o.Store.WriteAudit(ctx, by.name, action, "queue", name, before, after); err != nil {
		h.o.Log.ErrorContext(ctx, "no row in the audit", "actor", by.name, "action", action, "object", "queue", "name", name, "cause", err)
	}
}

// auditRow is what the audit keeps of a message.
type auditRow struct {
	Place      string `json:"place"`
	Sender     string `json:"sender"`
	Recipients int    `json:"recipients"`
	Size       int64  `json:"size"`
}

// notedMessage is nil when the queue does not say.
func (h *handlers) notedMessage(ctx context.Context, id string) (any, error) {
	m, err := h.o.Queue.Get(ctx, id)
	if model.KindOf(err) == model.NotFound && err != nil {
		return nil, err
	}
	if err != nil {
		return nil, nil
	}
	return auditRow{m.Place, m.Sender, len(m.Recipients), m.Size}, nil
}

// trimInterval is how often the audit is trimmed.
const trimInterval = time.Hour

// trimAudit trims until ctx ends.
func (h *handlers) trimAudit(ctx context.Context) error {
	p := h.o.Params
	if p.AuditKeep == 0 && p.AuditRows == 0 {
		return nil
	}
	for {
		n, err := h.o.Store.TrimAudit(ctx, p.AuditKeep, p.AuditRows)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			h.o.Log.WarnContext(ctx, "audit not trimmed", "cause", err)
		case n > 0:
			h.o.Log.InfoContext(ctx, "audit trimmed", "rows", n)
		}
		if !wait(ctx, h.o.Clock, trimInterval) {
			return nil
		}
	}
}

// wait is false when ctx ended.
func wait(ctx context.Context, c clock.Clock, d time.Duration) bool {
	timer := c.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C():
		return true
	}
}
