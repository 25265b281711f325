package sql

import (
	"context"
	dbsql "database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"toastmaster/configs"
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

// Inspect says what lies at path. A file without a schema, which is what a
// start that should not have made one leaves, is Absent. It changes nothing; it
// may make SQLite's side files for a moment.
func Inspect(ctx context.Context, path string, c configs.Directory) (identity.Found, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return identity.Found{}, nil
	}
	if err != nil {
		return identity.Found{}, err
	}
	head := make([]byte, len(magic))
	_, err = io.ReadFull(f, head)
	_ = f.Close() // only read
	switch {
	case err == io.EOF:
		return identity.Found{}, nil
	case err == io.ErrUnexpectedEOF || err == nil && string(head) != magic:
		return identity.Found{}, fmt.Errorf("%s %w", path, ErrNoDatabase)
	case err != nil:
		return identity.Found{}, err
	}
	db, err := OpenReader(Options{Path: path, Params: c})
	if err != nil {
		return identity.Found{}, err
	}
	found, err := inspect(ctx, db)
	if err := errors.Join(err, db.Close()); err != nil {
		return identity.Found{}, fmt.Errorf("database %s: %w", path, err)
	}
	return found, nil
}

func inspect(ctx context.Context, db *dbsql.DB) (identity.Found, error) {
	hosted, err := Dialect().HasTable(ctx, db, "domains")
	if err != nil || !hosted {
		return identity.Found{}, err
	}
	found := identity.Found{State: identity.Unmarked, Used: true}
	named, err := Dialect().HasTable(ctx, db, "instance")
	if err != nil || !named {
		return found, err
	}
	id, err := Instance(ctx, db)
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
func SetInstance(ctx context.Context, db *dbsql.DB, id identity.ID) error {
	_, err := db.ExecContext(ctx, "INSERT INTO instance (one, id) VALUES (1, ?1) ON CONFLICT (one) DO UPDATE SET id = ?1", id)
	return err
}
