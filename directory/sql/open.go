package sql

import (
	"context"
	dbsql "database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/db"
)

// identity tells one database from another (internal/db).
const identityQuery = "SELECT id FROM directory_instance"

// writerTimeout bounds a statement of the administration. It is no parameter: it is there
// for a server that has halted, and a bulk addition of the largest size takes seconds.
const writerTimeout = 2 * time.Minute

// Options say which database it is, and how it is used.
type Options struct {
	// Dialect is the kind of the database; nil is SQLite.
	Dialect db.Dialect
	// Source is the path of SQLite's file, the URL of another.
	Source string
	Params configs.Directory
	// PasswordFile is directory.password_file, absolute.
	PasswordFile string
	// Patient lets a statement of the writer take what it takes: a migration's.
	Patient bool
}

func (o *Options) dialect() db.Dialect {
	if o.Dialect == nil {
		return db.SQLite{}
	}
	return o.Dialect
}

// name is the source for people.
func (o *Options) name() string {
	if _, ok := o.dialect().(db.Postgres); ok {
		return db.Redacted(o.Source)
	}
	return o.Source
}

func (o *Options) open(ctx context.Context, write bool) (*dbsql.DB, error) {
	out := db.Options{Source: o.Source, Write: write, Connections: o.Params.Readers, BusyTimeout: o.Params.BusyTimeout,
		Timeout: o.Params.Timeout, PasswordFile: o.PasswordFile, Identity: identityQuery}
	switch {
	case write && o.Patient:
		out.Timeout = 0
	case write:
		out.Timeout = max(out.Timeout, writerTimeout)
	}
	return o.dialect().Open(ctx, out)
}

// Open opens the database for reading. It need not be there yet; until
// it is there and has a schema every answer is Misconfigured or Unavailable. Close
// it after use.
func Open(o Options) (*Directory, error) {
	pool, err := OpenReader(o)
	if err != nil {
		return nil, err
	}
	queries, err := Queries(o.dialect())
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return &Directory{db: pool, pool: db.NewPool(db.PoolOptions{DB: pool, Dialect: o.dialect(), Queries: queries}), name: o.name()}, nil
}

// OpenWriter opens the single connection for writing on a database that is there. Its
// transactions take the lock of writers when they begin, so they wait for
// another writer at the start and never fail half way with a busy error. The
// caller closes it.
func OpenWriter(ctx context.Context, o Options) (*dbsql.DB, error) { return o.open(ctx, true) }

// OpenReader opens a pool of reading connections, for listings.
func OpenReader(o Options) (*dbsql.DB, error) { return o.open(context.Background(), false) }

// Snapshot writes a copy of the database at path to into, which must not exist:
// one moment of it, with all that was committed before, whoever else writes. A
// copy of the file would lack what is still in the write-ahead log. The copy is
// checked; it is not synced.
func Snapshot(ctx context.Context, path, into string, c configs.Directory) error {
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("database: %w", err) // sqlite would make an empty one
	}
	if err := (db.SQLite{}).Copy(ctx, fileOptions(path, c), into); err != nil {
		return fmt.Errorf("database %s: %w", path, err)
	}
	return CheckFile(ctx, into, c)
}

// CheckFile looks whether the database at path is whole.
func CheckFile(ctx context.Context, path string, c configs.Directory) error {
	if err := (db.SQLite{}).Check(ctx, fileOptions(path, c)); err != nil {
		return fmt.Errorf("database %s is damaged: %w", path, err)
	}
	return nil
}

func fileOptions(path string, c configs.Directory) db.Options {
	return db.Options{Source: path, Connections: c.Readers, BusyTimeout: c.BusyTimeout, Identity: identityQuery}
}
