package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"time"

	"toastmaster/admin/model"
	"toastmaster/directory"
	"toastmaster/directory/password"
	"toastmaster/internal/clock"
	"toastmaster/internal/db"
	"toastmaster/internal/msglog"
)

// MaxPage is the most entries that a page can have.
const MaxPage = 1000

// Options are what a Store is made of.
type Options struct {
	// Writer is from directory/sql.OpenWriter, Reader from OpenReader. They
	// stay the caller's, who closes them after the last use of the Store.
	Writer, Reader *sql.DB
	// Dialect is the kind of the database; nil is SQLite.
	Dialect db.Dialect
	Hasher  *password.Hasher
	// Changed is called after each commit: (*cache.Cache).Invalidate. May be
	// nil.
	Changed func()
	Clock   clock.Clock
	// Aliases are the limits of an alias's expansion, Delimiters is
	// main.recipient_delimiter: what the mail services go by.
	Aliases    directory.Limits
	Delimiters string
	// Workers is admin.bulk_workers.
	Workers int
	// Root is store.path, absolute; Home is store.home.
	Root, Home string
	// Log is told of panics; nil tells nobody.
	Log *msglog.Log
}

func (o *Options) homes() homes { return homes{o.Root, o.Home} }

// Store changes and lists the hosted data. Safe for concurrent use.
type Store struct {
	o              Options
	reader, writer *db.Pool
}

// New makes a Store. It starts nothing. The error is a mistake in the files of the
// queries.
func New(o Options) (*Store, error) {
	if o.Changed == nil {
		o.Changed = func() {}
	}
	o.Workers = max(o.Workers, 1)
	if o.Dialect == nil {
		o.Dialect = db.SQLite{}
	}
	if o.Log == nil {
		o.Log = msglog.Discard()
	}
	queries, err := Queries(o.Dialect)
	if err != nil {
		return nil, err
	}
	return &Store{o: o, reader: db.NewPool(db.PoolOptions{DB: o.Reader, Dialect: o.Dialect, Queries: queries}), writer: db.NewPool(db.PoolOptions{DB: o.Writer, Dialect: o.Dialect, Queries: queries})}, nil
}

// tx is one change: the transaction, who makes it and when.
type tx struct {
	*db.Tx
	actor string
	now   int64 // milliseconds
	// limits and delimiters are the Options'.
	limits     directory.Limits
	delimiters string
	homes      homes
	// batch is that of a transaction of many changes, nil in others.
	batch *batch
}

// begin begins a transaction.
func (s *Store) begin(ctx context.Context, actor string) (*tx, error) {
	t, err := s.writer.Begin(ctx)
	if err != nil {
		return nil, failure(err)
	}
	return &tx{
		Tx: t, actor: actor, now: s.o.Clock.Now().UnixMilli(),
		limits: s.o.Aliases, delimiters: s.o.Delimiters, homes: s.o.homes(),
	}, nil
}

// write runs f in a transaction and forgets cached answers after its commit.
func (s *Store) write(ctx context.Context, actor string, f func(*tx) error) error {
	t, err := s.begin(ctx, actor)
	if err != nil {
		return err
	}
	if err := f(t); err != nil {
		return failure(errors.Join(err, t.Rollback()))
	}
	err = t.Commit()
	// A commit that failed may still have happened (an I/O error at the end), so
	// the cache must not trust what it knows.
	s.o.Changed()
	return failure(err)
}

// quietly is write for what changes nothing that the directory answers.
func (s *Store) quietly(ctx context.Context, actor string, f func(*tx) error) error {
	t, err := s.begin(ctx, actor)
	if err != nil {
		return err
	}
	if err := f(t); err != nil {
		return failure(errors.Join(err, t.Rollback()))
	}
	return failure(t.Commit())
}

// failure turns any error into a *model.Error.
func failure(err error) error {
	var m *model.Error
	if err == nil || errors.As(err, &m) {
		return err
	}
	switch db.ClassOf(err) {
	case db.Busy:
		return &model.Error{Kind: model.Unavailable, Text: "the database is not available now", Staff: err.Error()} // a full disk, a lock
	case db.Unstorable:
		return model.Fail(model.Invalid, "a text has a NUL in it, or is not UTF-8")
	case db.Lost:
		return &model.Error{Kind: model.Unavailable, Text: "the database is not available", Staff: err.Error()} // which, why, and what to do
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return &model.Error{Kind: model.Unavailable, Text: "it took too long", Cause: err}
	}
	return &model.Error{Kind: model.Internal, Text: "internal error", Cause: err}
}

// Present is nil while the database is the one that was opened; else the error says what
// is missing and what to do.
func (s *Store) Present(ctx context.Context) error { return failure(s.reader.Ping(ctx)) }

// missing is the answer for a name that is not there.
func missing(err error, text string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return model.Fail(model.NotFound, text)
	}
	return failure(err)
}

func milliseconds(n int64) time.Time { return time.UnixMilli(n).UTC() }

// digest is how a token is kept.
func digest(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// clampLimit keeps a page within its bounds.
func clampLimit(limit int) int { return min(max(limit, 1), MaxPage) }

// page cuts the one entry too many that tells whether there is a next page.
func page[T any](items []T, limit int, key func(T) string) model.Page[T] {
	p := model.Page[T]{Items: items}
	if len(items) > limit {
		p.Items = items[:limit]
		p.Next = key(p.Items[limit-1])
	}
	if p.Items == nil {
		p.Items = []T{}
	}
	return p
}

// collect reads all rows.
func collect[T any](rows *db.Rows, err error, scan func(*db.Rows) (T, error)) ([]T, error) {
	if err != nil {
		return nil, failure(err)
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, failure(err)
		}
		out = append(out, v)
	}
	if err := rows.Err(); err != nil {
		return nil, failure(err)
	}
	return out, nil
}
