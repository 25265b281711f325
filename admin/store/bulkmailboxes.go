package store

import (
	"context"
	"sync"

	"toastmaster/admin/model"
	"toastmaster/internal/service"
)

// AddMailboxes makes many mailboxes in one transaction. There is one result
// for each of in, in order. A mailbox that exists is left as it is and is no
// error, so that an interrupted addition can simply be done again. The error is
// that of the whole; then nothing was added.
//
// Passwords in clear are hashed on Options.Workers processors with the bulk
// strength (docs/internals/decisions/0006-bulk-passwords.md); what exists is not hashed.
// check, which may be nil, is asked about each that does not exist: its error is
// the result of that one. With dry nothing is hashed and nothing is changed, and the
// results are what they would be.
func (s *Store) AddMailboxes(ctx context.Context, actor string, in []model.NewMailbox, dry bool, check func(context.Context, *model.NewMailbox) error) ([]model.BulkResult, error) {
	rows := make([]bulkRow, len(in))
	for i := range in {
		rows[i].in = &in[i]
		rows[i].err = in[i].Normalize()
	}
	if err := s.lookAhead(ctx, rows); err != nil {
		return nil, err
	}
	for i := range rows {
		if r := &rows[i]; check != nil && r.err == nil && !r.exists {
			r.err = check(ctx, r.in)
		}
	}
	if err := s.hashAll(ctx, rows, dry); err != nil {
		return nil, err
	}
	return addMany(ctx, s, actor, rows, dry, many[bulkRow]{
		kind: "mailbox", name: func(r *bulkRow) string { return r.in.Address },
		normalize: func(r *bulkRow) error { return r.err },
		check: func(t *tx, r *bulkRow) (func() error, error) {
			if r.exists {
				return nil, model.Fail(model.Exists, "the address is taken: mailbox")
			}
			_, write, err := t.newMailbox(ctx, *r.in, r.hash)
			return write, err
		},
	})
}

// bulkRow is one of the mailboxes, with what is found out before the transaction.
type bulkRow struct {
	in     *model.NewMailbox
	hash   *string
	exists bool
	// err is why it is refused.
	err error
}

// lookAhead marks what exists, before time is spent on hashes. The transaction
// looks again.
func (s *Store) lookAhead(ctx context.Context, rows []bulkRow) error {
	for i := range rows {
		if rows[i].err != nil {
			continue
		}
		_, err := scanMailbox(s.reader.QueryRow(ctx, selectMailbox, rows[i].in.Address))
		err = missing(err, noMailbox)
		switch {
		case err == nil:
			rows[i].exists = true
		case model.KindOf(err) != model.NotFound:
			return err
		}
	}
	return nil
}

// hashAll hashes the passwords in parallel and waits for all. With dry it only looks
// at the hashes that were given.
func (s *Store) hashAll(ctx context.Context, rows []bulkRow, dry bool) error {
	hash := s.o.Hasher.BulkHash
	if dry {
		hash = func(string) string { return "" }
	}
	next := make(chan *bulkRow)
	var workers sync.WaitGroup
	for range s.o.Workers {
		workers.Go(func() {
			for r := range next {
				r.err = service.Fenced(s.o.Log, func() (err error) {
					r.hash, err = storedHash(r.in.MailboxChange, hash)
					return err
				}, "service", "admin", "mailbox", r.in.Address)
			}
		})
	}
	for i := range rows {
		if rows[i].err != nil || rows[i].exists {
			continue
		}
		if ctx.Err() != nil {
			break
		}
		next <- &rows[i]
	}
	close(next)
	workers.Wait()
	return failure(ctx.Err())
}
