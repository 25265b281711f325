package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"

	"modernc.org/sqlite"
	sqlitelib "modernc.org/sqlite/lib"
)

// SQLite is the Dialect of SQLite 3.
type SQLite struct{}

var _ Dialect = SQLite{}

// writerCache lets 64 MiB of pages stay with the writer while it needs them: with
// SQLite's 2 MB a bulk addition writes and reads its index pages over and over.
const writerCache = "cache_size(-65536)"

// Name is "sqlite".
func (SQLite) Name() string { return "sqlite" }

// Open implements Dialect. It never makes the file. Readers may be opened before
// the file is there; their answers are errors until then.
func (SQLite) Open(ctx context.Context, o Options) (*sql.DB, error) {
	if !o.Write {
		return openSQLite(o, "&_pragma=query_only(1)")
	}
	o.Connections = 1
	db, err := openSQLite(o, "&_txlock=immediate&_pragma=synchronous(FULL)&_pragma="+writerCache)
	if err != nil {
		return nil, err
	}
	// WAL mode is a property of the file and is set by the writer alone.
	var mode string
	if err := db.QueryRowContext(ctx, "PRAGMA journal_mode=WAL").Scan(&mode); err != nil {
		db.Close()
		if errors.Is(err, ErrLost) { // it has the path
			return nil, err
		}
		return nil, fmt.Errorf("database %s: %w", o.Source, err)
	}
	return db, nil
}

// openSQLite makes a pool that never makes the file (mode=rw), and whose
// connections all have the file that was there first.
func openSQLite(o Options, more string) (*sql.DB, error) {
	name := url.URL{Scheme: "file", Opaque: (&url.URL{Path: o.Source}).EscapedPath()}
	dsn := fmt.Sprintf("%s?mode=rw&_pragma=busy_timeout(%d)&_pragma=foreign_keys(1)%s", name.String(), o.BusyTimeout.Milliseconds(), more)
	connector, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, fmt.Errorf("database %s: %w", o.Source, err)
	}
	g := &guard{path: o.Source, identity: o.Identity, connector: connector}
	if err := g.check(context.Background()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	db := sql.OpenDB(guarded{connector, g})
	db.SetMaxOpenConns(o.Connections)
	db.SetMaxIdleConns(o.Connections)
	return db, nil
}

// Classify implements Dialect.
func (SQLite) Classify(err error) Class {
	if errors.Is(err, sql.ErrNoRows) {
		return NoRows
	}
	if errors.Is(err, ErrLost) {
		return Lost
	}
	var s *sqlite.Error
	if !errors.As(err, &s) {
		return Other
	}
	switch s.Code() {
	case sqlitelib.SQLITE_CONSTRAINT_UNIQUE, sqlitelib.SQLITE_CONSTRAINT_PRIMARYKEY:
		return Duplicate
	}
	// The low byte is the primary result code (sqlite.org/rescode.html).
	switch s.Code() & 0xff {
	case sqlitelib.SQLITE_ERROR, // no such table, view or column
		sqlitelib.SQLITE_PERM, sqlitelib.SQLITE_AUTH,
		sqlitelib.SQLITE_CORRUPT, sqlitelib.SQLITE_NOTADB, sqlitelib.SQLITE_FORMAT,
		sqlitelib.SQLITE_MISMATCH, sqlitelib.SQLITE_SCHEMA:
		return Broken
	case sqlitelib.SQLITE_BUSY, sqlitelib.SQLITE_LOCKED, sqlitelib.SQLITE_FULL, sqlitelib.SQLITE_IOERR, sqlitelib.SQLITE_CANTOPEN:
		return Busy
	}
	return Other
}

// Bind implements Dialect: SQLite knows ?1.
func (SQLite) Bind(query string) string { return query }

// HasTable implements Dialect.
func (SQLite) HasTable(ctx context.Context, on Queryer, name string) (bool, error) {
	var n int
	err := on.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?1", name).Scan(&n)
	return n > 0, err
}

// Lock implements Dialect: the transactions of a writer begin with the lock
// (_txlock).
func (SQLite) Lock(ctx context.Context, db *sql.DB) (*sql.Tx, error) { return db.BeginTx(ctx, nil) }

// InsertID implements Dialect.
func (SQLite) InsertID(ctx context.Context, prepare Prepare, query string, args ...any) (int64, error) {
	s, err := prepare(ctx, query)
	if err != nil {
		return 0, err
	}
	res, err := s.ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return res.LastInsertId()
}

// Copy writes one moment of the database to a new file, with all that was committed
// before.
func (SQLite) Copy(ctx context.Context, o Options, into string) error {
	o.Connections = 1
	db, err := openSQLite(o, "")
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", into)
	return errors.Join(err, db.Close())
}

// Check looks whether the database is whole.
func (SQLite) Check(ctx context.Context, o Options) error {
	o.Connections = 1
	db, err := openSQLite(o, "&_pragma=query_only(1)")
	if err != nil {
		return err
	}
	var result string
	err = db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&result)
	if err == nil && result != "ok" {
		err = errors.New(result)
	}
	return errors.Join(err, db.Close())
}
