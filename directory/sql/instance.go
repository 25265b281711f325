package sql

import (
	"context"
	dbsql "database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"toastmaster/internal/db"
	"toastmaster/internal/identity"
)

// magic begins every database that is not empty.
const magic = "SQLite format 3\x00"

// ErrNoDatabase is wrapped for a file that is something else.
var ErrNoDatabase = errors.New("is not a database")

// Create makes an empty database at path, for its owner alone, whatever the
// umask: it gets the password hashes, and SQLite gives its side files the same
// mode. A file that exists is fs.ErrExist.
func Create(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("database: %w", err)
	}
	return f.Close()
}

// Inspect says what lies in a database. A file of SQLite without a schema, which is what a
// start that should not have made one leaves, is Absent, as is a database of a server that
// has none. It changes nothing; it may make SQLite's side files for a moment.
func Inspect(ctx context.Context, o Options) (identity.Found, error) {
	if _, file := o.dialect().(db.SQLite); file {
		if there, err := isDatabase(o.Source); err != nil || !there {
			return identity.Found{}, err
		}
	}
	on, err := OpenReader(o)
	if err != nil {
		return identity.Found{}, err
	}
	found, err := inspect(ctx, on, o.dialect())
	if err := errors.Join(err, on.Close()); err != nil {
		return identity.Found{}, fmt.Errorf("database %s: %w", o.name(), &db.Error{Class: o.dialect().Classify(err), Cause: err})
	}
	return found, nil
}

// isDatabase says whether a file has something in it, which must be a database.
func isDatabase(path string) (bool, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	head := make([]byte, len(magic))
	_, err = io.ReadFull(f, head)
	_ = f.Close() // only read
	switch {
	case err == io.EOF:
		return false, nil
	case err == io.ErrUnexpectedEOF || err == nil && string(head) != magic:
		return false, fmt.Errorf("%s %w", path, ErrNoDatabase)
	}
	return true, err
}

func inspect(ctx context.Context, on *dbsql.DB, d db.Dialect) (identity.Found, error) {
	hosted, err := d.HasTable(ctx, on, "domains")
	if err != nil || !hosted {
		return identity.Found{}, err
	}
	found := identity.Found{State: identity.Unmarked, Used: true}
	named, err := d.HasTable(ctx, on, "instance")
	if err != nil || !named {
		return found, err
	}
	id, err := Instance(ctx, on)
	if id != "" {
		found.State, found.ID = identity.Marked, id
	}
	return found, err
}

// Instance reads the id of a database with the latest schema, "" for none.
func Instance(ctx context.Context, db *dbsql.DB) (identity.ID, error) {
	var id identity.ID
	err := db.QueryRowContext(ctx, "SELECT id FROM instance").Scan(&id)
	if errors.Is(err, dbsql.ErrNoRows) {
		err = nil
	}
	return id, err
}

// SetInstance gives a database with the latest schema its id, whatever it had
// before.
func SetInstance(ctx context.Context, on *dbsql.DB, d db.Dialect, id identity.ID) error {
	_, err := on.ExecContext(ctx, d.Bind("INSERT INTO instance (one, id) VALUES (1, ?1) ON CONFLICT (one) DO UPDATE SET id = ?1"), id)
	return err
}
