package db

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
)

// guard knows which database a pool of connections was opened on. A connection
// stays with its file when that is removed or another is put in its place, and
// would go on to answer from what nobody sees any more, or to confirm changes
// that are lost; a new connection would take what lies there now for the truth.
// So each use of a connection looks at the name first (one stat). Content that
// was copied over the file shows in its time: then, and after each checkpoint
// of ours, the id of the instance is read anew.
type guard struct {
	path      string
	identity  string // a query
	connector driver.Connector

	mu    sync.Mutex
	file  fs.FileInfo // as it was judged last
	grown bool        // it had something in it
	id    string      // of the instance, once it is known
	// verdict is about the content of file; nil is good.
	verdict error
}

// check says whether the database of the first connection is in its place.
func (g *guard) check(ctx context.Context) error {
	info, err := os.Stat(g.path)
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case errors.Is(err, fs.ErrNotExist) && g.file != nil:
		return g.lost(errors.New("the file was removed; put it back, or restore it and restart"))
	case err != nil:
		return g.lost(err)
	case g.file != nil && !os.SameFile(g.file, info):
		return g.lost(errors.New("another file was put in its place; restart to use that one"))
	case g.grown && info.Size() == 0:
		return g.lost(errors.New("the file was truncated; restore it and restart"))
	}
	g.grown = g.grown || info.Size() > 0
	if g.file == nil || g.file.Size() != info.Size() || !g.file.ModTime().Equal(info.ModTime()) {
		g.judge(ctx, info)
	}
	return g.verdict
}

// judge reads the id again, through a connection that has nothing in memory. An
// error that is no verdict, such as a lock, leaves it to the next use.
func (g *guard) judge(ctx context.Context, info fs.FileInfo) {
	id, err := g.read(ctx)
	switch {
	case g.id != "" && (err == nil && id != g.id || SQLite{}.Classify(err) == Broken):
		g.verdict = g.lost(fmt.Errorf("the file got other content, of the instance %q, while it was in use; restore it and restart", id))
	case err != nil && g.file != nil:
		return
	default:
		g.id, g.verdict = id, nil
	}
	g.file = info
}

// read is the id, "" as long as there is none.
func (g *guard) read(ctx context.Context) (id string, err error) {
	if g.identity == "" {
		return "", nil
	}
	conn, err := g.connector.Connect(ctx)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	return identityOf(ctx, conn, g.identity)
}

// identityOf asks a connection for what tells its database from others, "" for none.
func identityOf(ctx context.Context, conn driver.Conn, query string) (id string, err error) {
	q, ok := conn.(driver.QueryerContext)
	if !ok {
		return "", errNoMethod
	}
	rows, err := q.QueryContext(ctx, query, nil)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	value := make([]driver.Value, 1)
	if err := rows.Next(value); err != nil {
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return "", err
	}
	switch v := value[0].(type) {
	case string:
		id = v
	case []byte:
		id = string(v)
	}
	return id, nil
}

var errNoMethod = errors.New("the driver's connections lack a method")

func (g *guard) lost(cause error) error {
	return fmt.Errorf("database %s is %w: %w", g.path, ErrLost, cause)
}

// guarded makes connections that look at the guard.
type guarded struct {
	driver.Connector
	guard *guard
}

// Connect implements driver.Connector.
func (c guarded) Connect(ctx context.Context) (driver.Conn, error) {
	if err := c.guard.check(ctx); err != nil {
		return nil, err
	}
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	inner, ok := conn.(fullConn)
	if !ok {
		return nil, errors.Join(errNoMethod, conn.Close())
	}
	// Which file it has opened is only sure when that one is still there.
	if err := c.guard.check(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return guardedConn{inner, c.guard}, nil
}

// fullConn is what the driver's connections can do: database/sql looks for
// each of these, so none may get lost.
type fullConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

type guardedConn struct {
	fullConn
	guard *guard
}

// ResetSession is asked before each use but the first. The pool throws a
// connection of ErrBadConn away and makes another, whose error is the answer.
func (c guardedConn) ResetSession(ctx context.Context) error {
	if c.guard.check(ctx) != nil {
		return driver.ErrBadConn
	}
	return c.fullConn.ResetSession(ctx)
}
