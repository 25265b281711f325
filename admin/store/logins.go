package store

import (
	"context"

	"toastmaster/admin/model"
	"toastmaster/internal/db"
)

// MailboxLogin is a log-in to be kept.
type MailboxLogin struct {
	Mailbox string
	model.LastLogin
}

// KeepLogins writes down the last log-ins of mailboxes, in one transaction. It
// changes nothing that the directory answers, and makes no rows in the audit.
func (s *Store) KeepLogins(ctx context.Context, last []MailboxLogin) error {
	return s.quietly(ctx, "login", func(t *tx) error {
		t.Many()
		for _, l := range last {
			if _, err := t.Exec(ctx, upsertLogin, l.Mailbox, l.Service, l.Client, l.At.UnixMilli()); err != nil {
				return err
			}
		}
		return nil
	})
}

// LastLogins are those of a mailbox, the newest first.
func (s *Store) LastLogins(ctx context.Context, address string) ([]model.LastLogin, error) {
	rows, err := s.reader.Query(ctx, selectLogins, address)
	return collect(rows, err, func(r *db.Rows) (model.LastLogin, error) {
		var l model.LastLogin
		var at int64
		err := r.Scan(&l.Service, &l.Client, &at)
		l.At = milliseconds(at)
		return l, err
	})
}
