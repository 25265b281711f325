package migrations

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"
)

//go:embed sqlite/*.sql
var sqliteFiles embed.FS

// ErrNewer is wrapped when the database's schema is newer than this binary
// knows.
var ErrNewer = errors.New("the database's schema is newer than this program")

// step is one migration.
type step struct {
	version  int
	name     string
	up, down string
}

// Latest is the version that this binary needs.
func Latest() (int, error) {
	steps, err := load(sqliteFiles, "sqlite")
	if err != nil {
		return 0, err
	}
	return len(steps), nil
}

// Version is the version of the schema in db, 0 for an empty database.
func Version(ctx context.Context, db *sql.DB) (int, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	return version(ctx, conn)
}

// Known is ErrNewer when the schema is newer than this binary knows.
func Known(ctx context.Context, db *sql.DB) error {
	latest, err := Latest()
	if err != nil {
		return err
	}
	now, err := Version(ctx, db)
	if err == nil && now > latest {
		err = newer(now, latest)
	}
	return err
}

func newer(now, latest int) error {
	return fmt.Errorf("%w: it is %d, known is %d", ErrNewer, now, latest)
}

// Up brings the schema to the latest version. db must be SQLite; see the
// package comment for errors.
func Up(ctx context.Context, db *sql.DB) error {
	steps, err := load(sqliteFiles, "sqlite")
	if err != nil {
		return err
	}
	return move(ctx, db, steps, len(steps))
}

// Down takes the schema back to version target. Data that the older schema
// cannot hold is lost.
func Down(ctx context.Context, db *sql.DB, target int) error {
	steps, err := load(sqliteFiles, "sqlite")
	if err != nil {
		return err
	}
	if target < 0 || target > len(steps) {
		return fmt.Errorf("no schema version %d, the latest is %d", target, len(steps))
	}
	return move(ctx, db, steps, target)
}

// move goes one step at a time until the version is target.
func move(ctx context.Context, db *sql.DB, steps []step, target int) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	for {
		done, err := moveOne(ctx, conn, steps, target)
		if err != nil || done {
			return err
		}
	}
}

// moveOne reads the version and takes one step towards target, under the
// write lock.
func moveOne(ctx context.Context, conn *sql.Conn, steps []step, target int) (done bool, err error) {
	// database/sql has no BEGIN IMMEDIATE; the deferred transaction that it
	// would open reads the version before it holds the lock.
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return false, err
	}
	now, err := version(ctx, conn)
	switch {
	case err != nil:
	case now > len(steps):
		err = newer(now, len(steps))
	case now < target:
		err = apply(ctx, conn, steps[now], true)
	case now > target:
		err = apply(ctx, conn, steps[now-1], false)
	default:
		done = true
	}
	if err != nil {
		_, rollbackErr := conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		return false, errors.Join(err, rollbackErr)
	}
	_, err = conn.ExecContext(ctx, "COMMIT")
	return done, err
}

func apply(ctx context.Context, conn *sql.Conn, s step, up bool) error {
	text, record, args := s.up,
		"INSERT INTO schema_migrations (version, name, applied_at) VALUES (?, ?, ?)",
		[]any{s.version, s.name, time.Now().UnixMilli()}
	if !up {
		text, record, args = s.down, "DELETE FROM schema_migrations WHERE version = ?", []any{s.version}
	}
	if _, err := conn.ExecContext(ctx, text); err != nil {
		return fmt.Errorf("schema version %d (%s): %w", s.version, s.name, err)
	}
	_, err := conn.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS schema_migrations"+
		" (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL)")
	if err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, record, args...)
	return err
}

// version reads the highest version; without the table it is 0.
func version(ctx context.Context, conn *sql.Conn) (int, error) {
	var tables int
	err := conn.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'schema_migrations'").Scan(&tables)
	if err != nil || tables == 0 {
		return 0, err
	}
	var v int
	err = conn.QueryRowContext(ctx, "SELECT COALESCE(max(version), 0) FROM schema_migrations").Scan(&v)
	return v, err
}

// load reads the steps of a folder; numbers must be 1, 2, 3, each with both
// files.
func load(files fs.FS, dir string) ([]step, error) {
	names, err := fs.Glob(files, path.Join(dir, "*.up.sql"))
	if err != nil {
		return nil, err
	}
	var steps []step
	for i, file := range names {
		base := strings.TrimSuffix(path.Base(file), ".up.sql")
		number, name, _ := strings.Cut(base, "_")
		v, err := strconv.Atoi(number)
		if err != nil || v != i+1 {
			return nil, fmt.Errorf("migration %s: number %d expected", file, i+1)
		}
		up, err := fs.ReadFile(files, file)
		if err != nil {
			return nil, err
		}
		down, err := fs.ReadFile(files, path.Join(dir, base+".down.sql"))
		if err != nil {
			return nil, err
		}
		steps = append(steps, step{version: v, name: name, up: string(up), down: string(down)})
	}
	return steps, nil
}
