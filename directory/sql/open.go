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

	"modernc.org/sqlite"

	"toastmaster/configs"
	"toastmaster/directory"
)

// Open opens the database at path for reading. The file need not exist yet; until it is there and has
// a schema every answer is Misconfigured or Unavailable. Close it after use.
func Open(path string, c configs.Directory) (*Directory, error) {
	db, err := open(path, c.BusyTimeout, c.Readers, "&_pragma=query_only(1)")
	if err != nil {
		return nil, err
	}
	return &Directory{db: db, path: path}, nil
}

// writerCache lets 64 MiB of pages stay with the writer while it needs them: with
// SQLite's 2 MB a bulk addition writes and reads its index pages over and over.
const writerCache = "cache_size(-65536)"

// OpenWriter opens the single connection for writing on a file that [Create]
// made. Its transactions take the write lock when they begin, so they wait for
// another writer at the start and never fail half way with a busy error. The
// caller closes it.
func OpenWriter(ctx context.Context, path string, c configs.Directory) (*dbsql.DB, error) {
	db, err := open(path, c.BusyTimeout, 1, "&_txlock=immediate&_pragma=synchronous(FULL)&_pragma="+writerCache)
	if err != nil {
		return nil, err
	}
	// WAL mode is a property of the file and is set by the writer alone.
	var mode string
	if err := db.QueryRowContext(ctx, "PRAGMA journal_mode=WAL").Scan(&mode); err != nil {
		db.Close()
		if errors.Is(err, directory.ErrUnavailable) { // it has the path
			return nil, err
		}
		return nil, fmt.Errorf("database %s: %w", path, err)
	}
	return db, nil
}

// OpenReader opens a pool of reading connections, for listings.
func OpenReader(path string, c configs.Directory) (*dbsql.DB, error) {
	return open(path, c.BusyTimeout, c.Readers, "&_pragma=query_only(1)")
}

// open makes a pool that never makes the file (mode=rw), and whose connections
// all have the file that was there first.
func open(path string, busy time.Duration, connections int, options string) (*dbsql.DB, error) {
	name := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath()}
	dsn := fmt.Sprintf("%s?mode=rw&_pragma=busy_timeout(%d)&_pragma=foreign_keys(1)%s", name.String(), busy.Milliseconds(), options)
	connector, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, fmt.Errorf("database %s: %w", path, err)
	}
	g := &guard{path: path, connector: connector}
	if err := g.check(context.Background()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	db := dbsql.OpenDB(guarded{connector, g})
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// Snapshot writes a copy of the database at path to into, which must not exist:
// one moment of it, with all that was committed before, whoever else writes. A
// copy of the file would lack what is still in the write-ahead log. The copy is
// checked; it is not synced.
func Snapshot(ctx context.Context, path, into string, c configs.Directory) error {
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("database: %w", err) // sqlite would make an empty one
	}
	db, err := open(path, c.BusyTimeout, 1, "")
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", into)
	if err = errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("database %s: %w", path, err)
	}
	return CheckFile(ctx, into, c)
}

// CheckFile looks whether the database at path is whole.
func CheckFile(ctx context.Context, path string, c configs.Directory) error {
	db, err := open(path, c.BusyTimeout, 1, "&_pragma=query_only(1)")
	if err != nil {
		return err
	}
	var result string
	err = db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&result)
	if err == nil && result != "ok" {
		err = errors.New(result)
	}
	if err = errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("database %s is damaged: %w", path, err)
	}
	return nil
}
