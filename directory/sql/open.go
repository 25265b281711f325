package sql

import (
	"context"
	dbsql "database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"time"

	// The driver "sqlite".
	_ "modernc.org/sqlite"

	"toastmaster/configs"
)

// Open opens the database at path for reading. delimiters are the characters
// that begin an extension. The file need not exist yet; until it has a schema
// every answer is Misconfigured or Unavailable. Close it after use.
func Open(path string, c configs.Directory, delimiters string) (*Directory, error) {
	db, err := open(path, c.BusyTimeout, c.Readers, "&_pragma=query_only(1)")
	if err != nil {
		return nil, err
	}
	return &Directory{db: db, delimiters: delimiters}, nil
}

// OpenWriter opens the single connection for writing, creating the file when
// it is missing. Its transactions take the write lock when they begin, so they
// wait for another writer at the start and never fail half way with a busy
// error. The caller closes it.
//
// A new file is for its owner alone, whatever the umask: it has the password
// hashes. SQLite gives its side files the mode of the database. The mode of a
// file that exists is the operator's.
func OpenWriter(ctx context.Context, path string, c configs.Directory) (*dbsql.DB, error) {
	if err := createPrivate(path); err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	db, err := open(path, c.BusyTimeout, 1, "&_txlock=immediate&_pragma=synchronous(FULL)")
	if err != nil {
		return nil, err
	}
	// WAL mode is a property of the file and is set by the writer alone.
	var mode string
	if err := db.QueryRowContext(ctx, "PRAGMA journal_mode=WAL").Scan(&mode); err != nil {
		db.Close()
		return nil, fmt.Errorf("database %s: %w", path, err)
	}
	return db, nil
}

// createPrivate makes an empty file, which is an empty database, when there is
// none.
func createPrivate(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// OpenReader opens a pool of reading connections, for listings.
func OpenReader(path string, c configs.Directory) (*dbsql.DB, error) {
	return open(path, c.BusyTimeout, c.Readers, "&_pragma=query_only(1)")
}

func open(path string, busy time.Duration, connections int, options string) (*dbsql.DB, error) {
	name := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath()}
	dsn := fmt.Sprintf("%s?_pragma=busy_timeout(%d)&_pragma=foreign_keys(1)%s", name.String(), busy.Milliseconds(), options)
	db, err := dbsql.Open("sqlite", dsn)
	if err != nil {
		return nil, fmt.Errorf("database %s: %w", path, err)
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}
