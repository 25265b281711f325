package store

import (
	"context"
	"encoding/json"
	"time"

	"toastmaster/admin/model"
	"toastmaster/internal/db"
)

// audit writes the row that belongs to a change. before and after are nil
// where there was or is nothing; they must hold no password or hash.
func (t *tx) audit(ctx context.Context, action, object, name string, before, after any) error {
	b, err := auditJSON(before)
	if err != nil {
		return err
	}
	a, err := auditJSON(after)
	if err != nil {
		return err
	}
	if t.batch != nil {
		t.batch.lines.audit = append(t.batch.lines.audit, []any{action, object, name, b, a})
		return nil
	}
	_, err = t.Exec(ctx, insertAudit, t.now, t.actor, action, object, name, b, a)
	return err
}

func auditJSON(v any) (string, error) {
	if v == nil {
		return "", nil
	}
	b, err := json.Marshal(v)
	return string(b), err
}

// WriteAudit writes a row of the audit for what is not in the database, such as the
// queue.
func (s *Store) WriteAudit(ctx context.Context, actor, action, object, name string, before, after any) error {
	return s.quietly(ctx, actor, func(t *tx) error { return t.audit(ctx, action, object, name, before, after) })
}

// Audit lists changes, newest first. after is the number of the last entry of
// the page before, 0 for the first page; object and name select, "" is any.
func (s *Store) Audit(ctx context.Context, object, name string, after int64, limit int) ([]model.AuditEntry, error) {
	q, args := listAudit, []any{beforeID(after), clampLimit(limit)}
	switch {
	case object != "" && name != "":
		q, args = listAuditOfBoth, append(args, object, name)
	case object != "":
		q, args = listAuditOfObject, append(args, object)
	case name != "":
		q, args = listAuditOfName, append(args, name)
	}
	rows, err := s.reader.Query(ctx, q, args...)
	return collect(rows, err, func(r *db.Rows) (model.AuditEntry, error) {
		var e model.AuditEntry
		var at int64
		var before, after string
		err := r.Scan(&e.ID, &at, &e.Actor, &e.Action, &e.Object, &e.Name, &before, &after)
		e.At = milliseconds(at)
		if before != "" {
			e.Before = json.RawMessage(before)
		}
		if after != "" {
			e.After = json.RawMessage(after)
		}
		return e, err
	})
}

// trimStep is how many rows of the audit go in one transaction: a change does not
// wait for more.
const trimStep = 1000

// TrimAudit removes the entries that are older than keep, and of the rest all but
// the newest rows; 0 is no limit. It says how many went.
func (s *Store) TrimAudit(ctx context.Context, keep time.Duration, rows int) (trimmed int64, err error) {
	if keep > 0 {
		trimmed, err = s.trim(ctx, trimAuditByAge, s.o.Clock.Now().Add(-keep).UnixMilli())
	}
	if err == nil && rows > 0 {
		var n int64
		n, err = s.trim(ctx, trimAuditByRows, rows)
		trimmed += n
	}
	return trimmed, err
}

// trim goes on until there is nothing left to remove.
func (s *Store) trim(ctx context.Context, q db.Query, limit any) (trimmed int64, err error) {
	for {
		if err := ctx.Err(); err != nil {
			return trimmed, failure(err)
		}
		var n int64
		err := s.quietly(ctx, "", func(t *tx) error {
			res, err := t.Exec(ctx, q, limit, trimStep)
			if err == nil {
				n, err = res.RowsAffected()
			}
			return err
		})
		if trimmed += n; err != nil || n == 0 {
			return trimmed, err
		}
	}
}
