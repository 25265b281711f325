package db

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// instanceFile makes a database of which name is the identity, closed in order, and gives its
// content.
func instanceFile(t *testing.T, name string) (path string, content []byte) {
	t.Helper()
	path = onSQLite().open(t)
	on, err := SQLite{}.Open(t.Context(), Options{Source: path, Write: true, Connections: 1, BusyTimeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{onSQLite().table, "INSERT INTO x (name) VALUES ('" + name + "')"} {
		if _, err := on.Exec(query); err != nil {
			t.Fatal(err)
		}
	}
	if err := on.Close(); err != nil {
		t.Fatal(err)
	}
	content, err = os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, content
}

// TestTheDatabaseStaysTheOneThatWasOpened: whatever is put in the place of the file, or over
// its content, no answer comes from it but the one that was there; and what is put back works.
func TestTheDatabaseStaysTheOneThatWasOpened(t *testing.T) {
	t.Parallel()
	const identity = "SELECT name FROM x WHERE id = 1"
	_, other := instanceFile(t, "other")
	write := func(content []byte) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	aside := func(t *testing.T, path string) {
		if err := os.Rename(path, path+".aside"); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		identity string
		change   func(t *testing.T, path string)
		says     string // "" is no loss
	}{
		"nothing": {identity, func(*testing.T, string) {}, ""},
		"touched": {identity, func(t *testing.T, path string) {
			if err := os.Chtimes(path, time.Now(), time.Now().Add(-time.Hour)); err != nil {
				t.Fatal(err)
			}
		}, ""},
		"removed": {identity, func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}, "the file was removed"},
		"another file": {identity, func(t *testing.T, path string) { aside(t, path); write(other)(t, path) }, "another file was put in its place"},
		"truncated": {identity, func(t *testing.T, path string) {
			if err := os.Truncate(path, 0); err != nil {
				t.Fatal(err)
			}
		}, "the file was truncated"},
		"content of another":            {identity, write(other), `other content, of the instance "other"`},
		"content that is none":          {identity, write(bytes.Repeat([]byte("no database "), 1000)), "other content"},
		"another, and nobody can tell":  {"", write(other), ""},
		"a folder in its place":         {identity, func(t *testing.T, path string) { aside(t, path); _ = os.Mkdir(path, 0o700) }, "another file was put in its place"},
		"a link to itself in its place": {identity, func(t *testing.T, path string) { aside(t, path); _ = os.Symlink(path, path) }, "too many levels"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, whole := instanceFile(t, "ours")
			on, err := SQLite{}.Open(t.Context(), Options{Source: path, Connections: 2, BusyTimeout: time.Second, Identity: c.identity})
			if err != nil {
				t.Fatal(err)
			}
			defer on.Close()
			ask := func() (name string, err error) {
				err = on.QueryRowContext(t.Context(), identity).Scan(&name)
				return name, err
			}
			if name, err := ask(); name != "ours" || err != nil {
				t.Fatalf("at first %q, %v", name, err)
			}
			c.change(t, path)
			for range 3 { // with a connection from before, and with new ones
				name, err := ask()
				if c.says == "" {
					if err != nil {
						t.Errorf("%q, %v", name, err)
					}
					continue
				}
				if !errors.Is(err, ErrLost) || onSQLite().dialect.Classify(err) != Lost || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), path) {
					t.Errorf("%q, %v; want %q", name, err, c.says)
				}
			}
			if _, err := os.Lstat(path + ".aside"); err != nil {
				return
			}
			// The file that was there is put back.
			if err := errors.Join(os.RemoveAll(path), os.Rename(path+".aside", path)); err != nil {
				t.Fatal(err)
			}
			if name, err := ask(); name != "ours" || err != nil {
				t.Errorf("put back: %q, %v", name, err)
			}
			if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, whole) {
				t.Errorf("the file has changed: %v", err)
			}
		})
	}
}

// TestAnInstanceThatGetsItsID: as long as there is none nothing is judged by it; from then on
// another one is a loss.
func TestAnInstanceThatGetsItsID(t *testing.T) {
	t.Parallel()
	_, other := instanceFile(t, "other")
	path := onSQLite().open(t)
	const identity = "SELECT name FROM x WHERE id = 1"
	w, err := SQLite{}.Open(t.Context(), Options{Source: path, Write: true, Connections: 1, BusyTimeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	on, err := SQLite{}.Open(t.Context(), Options{Source: path, Connections: 1, BusyTimeout: time.Second, Identity: identity})
	if err != nil {
		t.Fatal(err)
	}
	defer on.Close()
	ctx := context.Background()
	for _, step := range []string{onSQLite().table, "INSERT INTO x (name) VALUES ('ours')", "PRAGMA wal_checkpoint(TRUNCATE)"} {
		if err := on.PingContext(ctx); err != nil {
			t.Errorf("before %s: %v", step, err)
		}
		if _, err := w.ExecContext(ctx, step); err != nil {
			t.Fatal(err)
		}
	}
	var name string
	if err := on.QueryRowContext(ctx, identity).Scan(&name); err != nil || name != "ours" {
		t.Errorf("%q, %v", name, err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, other, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := on.QueryRowContext(ctx, identity).Scan(&name); !errors.Is(err, ErrLost) {
		t.Errorf("the content of another: %q, %v", name, err)
	}
}

// TestNoDatabaseIsMade of what is not there, whoever opens it.
func TestNoDatabaseIsMade(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "none.db")
	for _, write := range []bool{false, true} {
		on, err := SQLite{}.Open(t.Context(), Options{Source: path, Write: write, Connections: 1, BusyTimeout: time.Second, Identity: "SELECT 1"})
		if err == nil {
			err = on.PingContext(t.Context())
			_ = on.Close()
		}
		if !errors.Is(err, ErrLost) || !strings.Contains(err.Error(), path) {
			t.Errorf("write %v: %v", write, err)
		}
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("write %v: it is there, %v", write, err)
		}
	}
}
