package migrations

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"toastmaster/internal/db"
)

// files has a folder for each dialect.
//
//go:embed sqlite/*.sql postgres/*.sql
var files embed.FS

// ErrNewer is wrapped when the database's schema is newer than this binary
// knows.
var ErrNewer = errors.New("the database's schema is newer than this program")

// step is one migration.
type step struct {
	version  int
	name     string
	up, down string
}

// Schema is the schema in the words of one dialect.
type Schema struct {
	dialect db.Dialect
	files   fs.FS
}

// For is the schema of a dialect, whose files are in the folder of its name.
func For(d db.Dialect) Schema { return Schema{d, files} }

func (s Schema) steps() ([]step, error) { return load(s.files, s.dialect.Name()) }

// latest is the version that this binary needs.
func (s Schema) latest() (int, error) {
	steps, err := s.steps()
	return newest(steps), err
}

func newest(steps []step) int {
	if len(steps) == 0 {
		return 0
	}
	return steps[len(steps)-1].version
}

// Known is ErrNewer when the schema is newer than this binary knows.
func (s Schema) Known(ctx context.Context, on *sql.DB) error {
	latest, err := s.latest()
	if err != nil {
		return err
	}
	now, err := s.version(ctx, on)
	if err == nil && now > latest {
		err = newer(now, latest)
	}
	return err
}

func newer(now, latest int) error {
	return fmt.Errorf("%w: it is %d, known is %d", ErrNewer, now, latest)
}

// Up brings the schema to the latest version; see the package comment for errors. on is
// for writing (db.Options.Write).
func (s Schema) Up(ctx context.Context, on *sql.DB) error {
	steps, err := s.steps()
	if err != nil {
		return err
	}
	return s.move(ctx, on, steps, newest(steps))
}

// Down takes the schema back to version target. Data that the older schema cannot hold is
// lost.
func (s Schema) Down(ctx context.Context, on *sql.DB, target int) error {
	steps, err := s.steps()
	if err != nil {
		return err
	}
	if target != 0 && !slices.ContainsFunc(steps, func(one step) bool { return one.version == target }) {
		return fmt.Errorf("no schema version %d, the latest is %d", target, newest(steps))
	}
	return s.move(ctx, on, steps, target)
}

// move goes one step at a time until the version is target.
func (s Schema) move(ctx context.Context, on *sql.DB, steps []step, target int) error {
	for {
		done, err := s.moveOne(ctx, on, steps, target)
		if err != nil || done {
			return err
		}
	}
}

// moveOne reads the version and takes one step towards target, under the lock of
// writers.
func (s Schema) moveOne(ctx context.Context, on *sql.DB, steps []step, target int) (done bool, err error) {
	tx, err := s.dialect.Lock(ctx, on)
	if err != nil {
		return false, err
	}
	now, err := s.version(ctx, tx)
	switch {
	case err != nil:
	case now > newest(steps):
		err = newer(now, newest(steps))
	case now < target:
		// The first one beyond it: a base stands for all before.
		next := slices.IndexFunc(steps, func(one step) bool { return one.version > now })
		err = s.apply(ctx, tx, steps[next], true)
	case now > target:
		last := slices.IndexFunc(steps, func(one step) bool { return one.version >= now })
		err = s.apply(ctx, tx, steps[last], false)
	default:
		done = true
	}
	if err != nil {
		rollback := tx.Rollback()
		if errors.Is(rollback, sql.ErrTxDone) { // the context ended it
			rollback = nil
		}
		return false, errors.Join(err, rollback)
	}
	return done, tx.Commit()
}

func (s Schema) apply(ctx context.Context, tx *sql.Tx, one step, up bool) error {
	text, record, args := one.up,
		"INSERT INTO schema_migrations (version, name, applied_at) VALUES (?1, ?2, ?3)",
		[]any{one.version, one.name, time.Now().UnixMilli()}
	if !up {
		text, record, args = one.down, "DELETE FROM schema_migrations WHERE version = ?1", []any{one.version}
	}
	if _, err := tx.ExecContext(ctx, text); err != nil {
		return fmt.Errorf("schema version %d (%s): %w", one.version, one.name, err)
	}
	_, err := tx.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS schema_migrations"+
		" (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at BIGINT NOT NULL)")
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, s.dialect.Bind(record), args...)
	return err
}

// version reads the highest version; without the table it is 0.
func (s Schema) version(ctx context.Context, on db.Queryer) (int, error) {
	there, err := s.dialect.HasTable(ctx, on, "schema_migrations")
	if err != nil || !there {
		return 0, err
	}
	var v int
	err = on.QueryRowContext(ctx, "SELECT COALESCE(max(version), 0) FROM schema_migrations").Scan(&v)
	return v, err
}

// load reads the steps of a folder; numbers must follow one another, each with both
// files. Those before the first are in it: a database that came later begins with what
// the others had then.
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
		if err != nil || v < 1 || i > 0 && v != newest(steps)+1 {
			return nil, fmt.Errorf("migration %s: number %d expected", file, newest(steps)+1)
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
