package store

import (
	"context"
	"database/sql"

	"toastmaster/admin/model"
)

const (
	upsertLogin = `
INSERT INTO last_logins (address, service, client, at) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (address, service) DO UPDATE SET client = ?3, at = ?4 WHERE at <= ?4`

	selectLogins       = `SELECT service, client, at FROM last_logins WHERE address = ? ORDER BY at DESC`
	deleteLogins       = `DELETE FROM last_logins WHERE address = ?`
	deleteDomainLogins = `DELETE FROM last_logins WHERE address IN (SELECT address FROM addresses WHERE domain_id = ?)`
)

// MailboxLogin is a log-in to be kept.
type MailboxLogin struct {
	Mailbox string
	model.LastLogin
}

// KeepLogins writes down the last log-ins of mailboxes, in one transaction. It
// changes nothing that the directory answers, and makes no rows in the audit.
func (s *Store) KeepLogins(ctx context.Context, last []MailboxLogin) error {
	sqlTx, err := s.o.Writer.BeginTx(ctx, nil)
	if err != nil {
		return failure(err)
	}
	t := &tx{Tx: sqlTx}
	t.many()
	for _, l := range last {
		if _, err := t.ExecContext(ctx, upsertLogin, l.Mailbox, l.Service, l.Client, l.At.UnixMilli()); err != nil {
			_ = rollback(sqlTx) // the first error says why
			return failure(err)
		}
	}
	return failure(sqlTx.Commit())
}

// LastLogins are those of a mailbox, the newest first.
func (s *Store) LastLogins(ctx context.Context, address string) ([]model.LastLogin, error) {
	rows, err := s.o.Reader.QueryContext(ctx, selectLogins, address)
	return collect(rows, err, func(r *sql.Rows) (model.LastLogin, error) {
		var l model.LastLogin
		var at int64
		err := r.Scan(&l.Service, &l.Client, &at)
		l.At = milliseconds(at)
		return l, err
	})
}
