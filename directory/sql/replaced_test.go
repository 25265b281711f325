package sql_test

import (
	"context"
	dbsql "database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"toastmaster/directory"
	"toastmaster/directory/sql"
	"toastmaster/directory/static"
	"toastmaster/directory/tabletest"
	"toastmaster/internal/addr"
	"toastmaster/internal/db"
	"toastmaster/internal/identity"
	"toastmaster/migrations"
)

// named is a database of one instance, at rest in one file.
func named(t *testing.T, path string, id identity.ID, data static.Data) {
	t.Helper()
	create(t, path)
	w, err := sql.OpenWriter(t.Context(), sql.Options{Source: path, Params: params()})
	if err != nil {
		t.Fatal(err)
	}
	if err := migrations.For(db.SQLite{}).Up(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	fill(t, w, data)
	if err := sql.SetInstance(t.Context(), w, db.SQLite{}, id); err != nil {
		t.Fatal(err)
	}
	exec(t, w, "PRAGMA wal_checkpoint(TRUNCATE)")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestALostDatabaseIsUnavailable: whatever becomes of the file while it is in
// use, nobody is "not found" and no change is confirmed; what was only moved
// away answers again when it is back.
func TestALostDatabaseIsUnavailable(t *testing.T) {
	t.Parallel()
	aside := func(path string) string { return path + ".aside" }
	for name, c := range map[string]struct {
		lose func(path string) error
		says string
		// back is nil where no way leads back.
		back func(path string) error
	}{
		"removed": {os.Remove, "the file was removed", nil},
		"moved away": {
			func(path string) error { return os.Rename(path, aside(path)) }, "the file was removed",
			func(path string) error { return os.Rename(aside(path), path) },
		},
		"replaced by an empty file": {func(path string) error {
			if err := os.Rename(path, aside(path)); err != nil {
				return err
			}
			return os.WriteFile(path, nil, 0o600)
		}, "another file was put in its place", func(path string) error { return os.Rename(aside(path), path) }},
		"replaced by a copy of itself": {func(path string) error {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if err := os.Rename(path, aside(path)); err != nil {
				return err
			}
			return os.WriteFile(path, text, 0o600)
		}, "another file was put in its place", func(path string) error { return os.Rename(aside(path), path) }},
		"replaced by another instance's": {func(path string) error {
			return os.Rename(path+".other", path)
		}, "another file was put in its place", nil},
		"truncated": {func(path string) error { return os.Truncate(path, 0) }, "the file was truncated", nil},
		"overwritten by another instance's": {func(path string) error {
			other, err := os.ReadFile(path + ".other")
			if err != nil {
				return err
			}
			f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
			if err != nil {
				return err
			}
			_, err = f.Write(other)
			f.Close()
			return err
		}, "the file got other content", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "directory.db")
			named(t, path, identity.New(), tabletest.Data())
			named(t, path+".other", identity.New(), static.Data{})
			d := directory.New(reader(t, path), "+")
			lists, err := sql.OpenReader(sql.Options{Source: path, Params: params()})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { lists.Close() })
			w, err := sql.OpenWriter(t.Context(), sql.Options{Source: path, Params: params()})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { w.Close() })
			check(t, d, lists, w, "")
			if err := c.lose(path); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				check(t, d, lists, w, c.says)
			}
			if c.back == nil {
				return
			}
			if err := c.back(path); err != nil {
				t.Fatal(err)
			}
			check(t, d, lists, w, "")
		})
	}
}

// check asks about what is there and what is not. says is why there is no
// answer, "" when there is one.
func check(t *testing.T, d *directory.Directory, lists, w *dbsql.DB, says string) {
	t.Helper()
	healthy := says == ""
	ctx := context.Background()
	parse := func(s string) addr.Address {
		a, err := addr.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	for _, q := range []struct {
		what string
		want directory.Outcome
		ask  func() error
	}{
		{"domain", directory.Found, func() error { _, err := d.Domain(ctx, "example.test"); return err }},
		{"no domain", directory.NotFound, func() error { _, err := d.Domain(ctx, "none.test"); return err }},
		{"recipient", directory.Found, func() error { _, err := d.Recipient(ctx, parse("alice@example.test")); return err }},
		{"no recipient", directory.NotFound, func() error { _, err := d.Recipient(ctx, parse("nobody@example.test")); return err }},
		{"account", directory.Found, func() error { _, err := d.Account(ctx, "alice@example.test"); return err }},
		{"no account", directory.NotFound, func() error { _, err := d.Account(ctx, "nobody@example.test"); return err }},
	} {
		err := q.ask()
		got := directory.OutcomeOf(err)
		if healthy && got != q.want {
			t.Errorf("%s: %s: %v", q.what, got, err)
		}
		if !healthy && (got != directory.Unavailable && got != directory.Misconfigured || !strings.Contains(err.Error(), says)) {
			t.Errorf("%s: %s: %v", q.what, got, err)
		}
	}
	var n int
	if err := lists.QueryRow("SELECT count(*) FROM domains").Scan(&n); healthy != (err == nil) {
		t.Errorf("a listing: %d, %v", n, err)
	}
	if _, err := w.Exec("UPDATE domains SET enabled = enabled"); healthy != (err == nil) {
		t.Errorf("a change: %v", err)
	}
}
