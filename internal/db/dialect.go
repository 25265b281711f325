package db

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Class is what an error of a database means for whoever asked.
type Class uint8

// The classes.
const (
	// Other is an error of none of the classes below, or none of the database.
	Other Class = iota
	// NoRows is the answer that there is nothing.
	NoRows
	// Busy will pass: a lock, a full or failing disk, a connection that broke.
	Busy
	// Broken needs an operator: no such table or column, no database at all, a
	// damaged one, no permission.
	Broken
	// Duplicate is a row that is there already.
	Duplicate
	// Lost is ErrLost.
	Lost
	// Unstorable is a value that the database cannot have: see Storable.
	Unstorable
)

// ErrLost is wrapped by what a database says of itself when it is not the one
// that was opened: removed, replaced, cut short.
var ErrLost = errors.New("unavailable")

// Options say what is opened.
type Options struct {
	// Source is where the database is: the path of a file for SQLite, a URL for
	// others.
	Source string
	// PasswordFile has the passwords of a server's users, as libpq's .pgpass, "" for none.
	PasswordFile string
	// Write opens the one connection for writing, else a pool that cannot write.
	Write bool
	// Connections are the most of a pool.
	Connections int
	// BusyTimeout is how long a lock of another process is waited for.
	BusyTimeout time.Duration
	// Timeout is the most that a server may take for an answer, and for a connection; 0 is
	// no limit. A file needs none.
	Timeout time.Duration
	// Identity is a query for what tells this database from others of its kind, in
	// one row of one column, "" for none: see ErrLost.
	Identity string
}

// Dialect is a kind of database. Safe for concurrent use.
type Dialect interface {
	// Name is that of the folder of migrations and in the names of query files.
	Name() string
	// Open opens a database that exists. The caller closes it.
	Open(ctx context.Context, o Options) (*sql.DB, error)
	// Classify says what an error means.
	Classify(err error) Class
	// Bind writes a query with the placeholders ?1, ?2 in the dialect's way.
	Bind(query string) string
	// HasTable says whether there is a table.
	HasTable(ctx context.Context, on Queryer, name string) (bool, error)
	// Lock begins a transaction that has the lock of writers before it reads: one
	// at a time, and never a failure half way because another was faster.
	Lock(ctx context.Context, db *sql.DB) (*sql.Tx, error)
	// InsertID makes a row and tells its id, which is the column "id". prepare
	// prepares a text within the transaction.
	InsertID(ctx context.Context, prepare Prepare, query string, args ...any) (int64, error)
}

// Queryer is a database, a connection or a transaction.
type Queryer interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Prepare makes a statement that ends with its transaction.
type Prepare func(ctx context.Context, text string) (*sql.Stmt, error)
