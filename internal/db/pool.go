package db

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
)

// Pool asks a database queries by name. Safe for concurrent use. The database
// stays its opener's, who closes it after the last use of the Pool.
type Pool struct {
	db      *sql.DB
	dialect Dialect
	queries Queries

	mu       sync.Mutex
	prepared map[Query]*sql.Stmt
}

// PoolOptions are what a Pool is made of.
type PoolOptions struct {
	DB      *sql.DB
	Dialect Dialect
	Queries Queries
}

// NewPool makes a Pool that asks o.DB.
func NewPool(o PoolOptions) *Pool {
	return &Pool{db: o.DB, dialect: o.Dialect, queries: o.Queries, prepared: map[Query]*sql.Stmt{}}
}

// Dialect is the kind of the database.
func (p *Pool) Dialect() Dialect { return p.dialect }

// statement prepares a query at its first use. Not before, because the schema
// may be laid later and a lookup then has to recover.
func (p *Pool) statement(ctx context.Context, q Query) (*sql.Stmt, error) {
	p.mu.Lock()
	s := p.prepared[q]
	p.mu.Unlock()
	if s != nil {
		return s, nil
	}
	text, err := p.queries.text(q)
	if err != nil {
		return nil, err
	}
	// Prepared without the lock: it may wait for the database.
	s, err = p.db.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if first := p.prepared[q]; first != nil {
		s.Close()
		return first, nil
	}
	p.prepared[q] = s
	return s, nil
}

// text is that of a query. One that is in no file is a mistake of the program
// that the first test of it shows.
func (q Queries) text(name Query) (string, error) {
	text, ok := q[name]
	if !ok {
		return "", fmt.Errorf("no query is named %q", name)
	}
	return text, nil
}

// Query asks for rows.
func (p *Pool) Query(ctx context.Context, q Query, args ...any) (*Rows, error) {
	s, err := p.statement(ctx, q)
	if err != nil {
		return nil, classed(p.dialect, err)
	}
	rows, err := s.QueryContext(ctx, args...)
	return newRows(p.dialect, rows, err)
}

// QueryRow asks for one row.
func (p *Pool) QueryRow(ctx context.Context, q Query, args ...any) Row {
	s, err := p.statement(ctx, q)
	if err != nil {
		return Row{dialect: p.dialect, err: err}
	}
	return Row{dialect: p.dialect, row: s.QueryRowContext(ctx, args...)}
}

// Exec changes something, outside of a transaction.
func (p *Pool) Exec(ctx context.Context, q Query, args ...any) (sql.Result, error) {
	s, err := p.statement(ctx, q)
	if err != nil {
		return nil, classed(p.dialect, err)
	}
	res, err := s.ExecContext(ctx, args...)
	return res, classed(p.dialect, err)
}

// Ping says whether the database is there.
func (p *Pool) Ping(ctx context.Context) error { return classed(p.dialect, p.db.PingContext(ctx)) }

// Begin begins a transaction under the lock of writers.
func (p *Pool) Begin(ctx context.Context) (*Tx, error) {
	tx, err := p.dialect.Lock(ctx, p.db)
	if err != nil {
		return nil, classed(p.dialect, err)
	}
	return &Tx{tx: tx, pool: p}, nil
}
