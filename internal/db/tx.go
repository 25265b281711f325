package db

import (
	"context"
	"database/sql"
	"errors"
)

// Tx is a transaction that asks queries by name. It is one goroutine's.
type Tx struct {
	tx   *sql.Tx
	pool *Pool
	// prepared are the statements of a transaction of many changes, by text; nil in
	// others.
	prepared map[string]*sql.Stmt
}

// Many makes the transaction one of many changes: it prepares each query once. They
// end with it. Who makes many looks at the context between them: a single
// statement is not interrupted, because a driver may start a goroutine for each
// to watch for that.
func (t *Tx) Many() { t.prepared = map[string]*sql.Stmt{} }

// prepare makes a statement, once for many.
func (t *Tx) prepare(ctx context.Context, text string) (*sql.Stmt, error) {
	if s := t.prepared[text]; s != nil {
		return s, nil
	}
	s, err := t.tx.PrepareContext(ctx, text)
	if err == nil && t.prepared != nil {
		t.prepared[text] = s
	}
	return s, err
}

// ready is the statement of a query and the context that it runs in.
func (t *Tx) ready(ctx context.Context, q Query) (*sql.Stmt, context.Context, error) {
	text, err := t.pool.queries.text(q)
	if err != nil {
		return nil, ctx, err
	}
	s, err := t.prepare(ctx, text)
	if t.prepared != nil {
		ctx = context.WithoutCancel(ctx)
	}
	return s, ctx, err
}

// Exec changes something.
func (t *Tx) Exec(ctx context.Context, q Query, args ...any) (sql.Result, error) {
	s, ctx, err := t.ready(ctx, q)
	if err != nil {
		return nil, classed(t.pool.dialect, err)
	}
	res, err := s.ExecContext(ctx, args...)
	return res, classed(t.pool.dialect, err)
}

// Query asks for rows.
func (t *Tx) Query(ctx context.Context, q Query, args ...any) (*Rows, error) {
	s, ctx, err := t.ready(ctx, q)
	if err != nil {
		return nil, classed(t.pool.dialect, err)
	}
	rows, err := s.QueryContext(ctx, args...)
	return newRows(t.pool.dialect, rows, err)
}

// QueryRow asks for one row.
func (t *Tx) QueryRow(ctx context.Context, q Query, args ...any) Row {
	s, ctx, err := t.ready(ctx, q)
	if err != nil {
		return Row{dialect: t.pool.dialect, err: err}
	}
	return Row{dialect: t.pool.dialect, row: s.QueryRowContext(ctx, args...)}
}

// InsertID makes a row and tells its id.
func (t *Tx) InsertID(ctx context.Context, q Query, args ...any) (int64, error) {
	text, err := t.pool.queries.text(q)
	if err != nil {
		return 0, err
	}
	if t.prepared != nil {
		ctx = context.WithoutCancel(ctx)
	}
	id, err := t.pool.dialect.InsertID(ctx, t.prepare, text, args...)
	return id, classed(t.pool.dialect, err)
}

// Commit ends the transaction.
func (t *Tx) Commit() error { return classed(t.pool.dialect, t.tx.Commit()) }

// Rollback takes it back. One that is over already is no error.
func (t *Tx) Rollback() error {
	err := t.tx.Rollback()
	if errors.Is(err, sql.ErrTxDone) { // the context ended it
		return nil
	}
	return classed(t.pool.dialect, err)
}
