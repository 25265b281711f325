package sql

import (
	"context"
	dbsql "database/sql"
	"errors"
	"fmt"
	"os"

	"toastmaster/configs"
	"toastmaster/internal/db"
)

// Dialect is the kind of database that directory.type names.
func Dialect() db.Dialect { return db.SQLite{} }

// identity tells one database from another (internal/db).
const identityQuery = "SELECT id FROM directory_instance"

func options(path string, c configs.Directory) db.Options {
	return db.Options{Source: path, Connections: c.Readers, BusyTimeout: c.BusyTimeout, Identity: identityQuery}
}

// Options say which database it is, and how it is used.
type Options struct {
	Path   string
	Params configs.Directory
}

// Open opens the database for reading. The file need not exist yet; until
// it is there and has a schema every answer is Misconfigured or Unavailable. Close
// it after use.
func Open(o Options) (*Directory, error) {
	pool, err := OpenReader(o)
	if err != nil {
		return nil, err
	}
	queries, err := Queries(Dialect())
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return &Directory{db: pool, pool: db.NewPool(db.PoolOptions{DB: pool, Dialect: Dialect(), Queries: queries}), path: o.Path}, nil
}

// OpenWriter opens the single connection for writing on a file that [Create]
// made. Its transactions take the write lock when they begin, so they wait for
// another writer at the start and never fail half way with a busy error. The
// caller closes it.
func OpenWriter(ctx context.Context, o Options) (*dbsql.DB, error) {
	opt := options(o.Path, o.Params)
	opt.Write = true
	return Dialect().Open(ctx, opt)
}

// OpenReader opens a pool of reading connections, for listings.
func OpenReader(o Options) (*dbsql.DB, error) {
	return Dialect().Open(context.Background(), options(o.Path, o.Params))
}

// Snapshot writes a copy of the database at path to into, which must not exist:
// one moment of it, with all that was committed before, whoever else writes. A
// copy of the file would lack what is still in the write-ahead log. The copy is
// checked; it is not synced.
func Snapshot(ctx context.Context, path, into string, c configs.Directory) error {
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("database: %w", err) // sqlite would make an empty one
	}
	if err := (db.SQLite{}).Copy(ctx, options(path, c), into); err != nil {
		return fmt.Errorf("database %s: %w", path, err)
	}
	return CheckFile(ctx, into, c)
}

// CheckFile looks whether the database at path is whole.
func CheckFile(ctx context.Context, path string, c configs.Directory) error {
	if err := (db.SQLite{}).Check(ctx, options(path, c)); err != nil {
		return fmt.Errorf("database %s is damaged: %w", path, err)
	}
	return nil
}
