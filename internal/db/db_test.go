package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/fstest"
	"time"
)

// other is a dialect that says one query in its own way.
type other struct{ SQLite }

func (other) Name() string             { return "other" }
func (other) Bind(query string) string { return query + " -- bound" }

func TestLoad(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{
		"queries.sql":       {Data: []byte("-- All of them.\n\n-- name: one\nSELECT ?1 -- of 1\n  FROM x\n\n-- About two.\n-- name: two\nSELECT 2\n")},
		"queries_other.sql": {Data: []byte("-- name: two\nSELECT TWO\n-- name: three\nSELECT 3\n")},
	}
	for d, want := range map[Dialect]Queries{
		SQLite{}: {"one": "SELECT ?1 -- of 1\n  FROM x", "two": "SELECT 2"},
		other{}:  {"one": "SELECT ?1 -- of 1\n  FROM x -- bound", "two": "SELECT TWO -- bound", "three": "SELECT 3 -- bound"},
	} {
		got, err := Load(files, d)
		if err != nil || !maps.Equal(got, want) {
			t.Errorf("%s: %q, %v", d.Name(), got, err)
		}
	}
	for name, text := range map[string]string{
		"without a name": "SELECT 1\n-- name: x\nSELECT 2", "empty": "-- name: x\n-- name: y\nSELECT 1",
		"twice": "-- name: x\nSELECT 1\n-- name: x\nSELECT 2", "no name": "-- name: \nSELECT 1",
	} {
		if got, err := Load(fstest.MapFS{"queries.sql": {Data: []byte(text)}}, SQLite{}); err == nil {
			t.Errorf("%s: %q", name, got)
		}
	}
	if _, err := Load(fstest.MapFS{}, SQLite{}); err == nil {
		t.Error("no file at all")
	}
}

var testQueries = Queries{
	"add": "INSERT INTO x (name) VALUES (?1)", "name": "SELECT name FROM x WHERE id = ?1", "all": "SELECT id FROM x ORDER BY id",
	"remove": "DELETE FROM x", "no table": "SELECT 1 FROM none", "bad": "SELEC",
}

// dialectBed is a dialect under test.
type dialectBed struct {
	dialect Dialect
	// open makes an empty database and says where it is.
	open func(t *testing.T) string
	// table makes x (id, name), with ids of its own.
	table string
	// readOnly is the class of a change through a pool that cannot write.
	readOnly Class
}

func onSQLite() dialectBed {
	return dialectBed{SQLite{}, func(t *testing.T) string {
		path := filepath.Join(t.TempDir(), "x.db")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}, "CREATE TABLE x (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)", Other}
}

func (d dialectBed) pool(t *testing.T, source string, write bool) *Pool {
	t.Helper()
	on, err := d.dialect.Open(t.Context(), Options{Source: source, Write: write, Connections: 2, BusyTimeout: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { on.Close() })
	bound := Queries{}
	for name, text := range testQueries {
		bound[name] = d.dialect.Bind(text)
	}
	return NewPool(PoolOptions{DB: on, Dialect: d.dialect, Queries: bound})
}

func (d dialectBed) pools(t *testing.T) (source string, w, r *Pool) {
	t.Helper()
	source = d.open(t)
	w = d.pool(t, source, true)
	if _, err := w.db.Exec(d.table); err != nil {
		t.Fatal(err)
	}
	return source, w, d.pool(t, source, false)
}

func TestTransactions(t *testing.T) { t.Parallel(); transactions(t, onSQLite()) }
func TestClasses(t *testing.T)      { t.Parallel(); classes(t, onSQLite()) }
func TestHasTable(t *testing.T)     { t.Parallel(); tables(t, onSQLite()) }

// transactions: with Many and without, the same.
func transactions(t *testing.T, d dialectBed) {
	for _, many := range []bool{false, true} {
		_, w, r := d.pools(t)
		ctx := t.Context()
		begin := func() *Tx {
			tx, err := w.Begin(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if many {
				tx.Many()
			}
			return tx
		}
		tx := begin()
		var ids []int64
		for i := range 3 {
			id, err := tx.InsertID(ctx, "add", fmt.Sprint(i))
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
		var name string
		if err := tx.QueryRow(ctx, "name", ids[1]).Scan(&name); err != nil || name != "1" {
			t.Errorf("%q, %v", name, err)
		}
		if err := r.QueryRow(ctx, "name", ids[1]).Scan(&name); ClassOf(err) != NoRows || !errors.Is(err, sql.ErrNoRows) {
			t.Errorf("seen before the commit: %v", err)
		}
		if err := errors.Join(tx.Commit(), tx.Rollback()); err != nil {
			t.Fatal(err)
		}
		tx = begin()
		if res, err := tx.Exec(ctx, "remove"); err != nil {
			t.Error(err)
		} else if n, err := res.RowsAffected(); n != 3 || err != nil {
			t.Errorf("%d removed, %v", n, err)
		}
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		tx = begin()
		if _, err := tx.InsertID(ctx, "add", "1"); ClassOf(err) != Duplicate {
			t.Errorf("twice: %v", err)
		}
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		var got []int64
		rows, err := r.Query(ctx, "all")
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var id int64
			if err := rows.Scan(&id); err != nil {
				t.Fatal(err)
			}
			got = append(got, id)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil || !slices.Equal(got, ids) {
			t.Errorf("%v, %v; want %v", got, err, ids)
		}
	}
}

// classes: what an error means, wherever it comes from.
func classes(t *testing.T, d dialectBed) {
	source, w, r := d.pools(t)
	ctx := t.Context()
	tx, err := w.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	// Another process that writes meanwhile.
	_, busy := d.pool(t, source, true).Begin(ctx)
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	var n int
	_, noName := r.Query(ctx, "of no file")
	_, over := r.Query(ended, "all")
	_, bad := w.Exec(ctx, "bad")
	_, readOnly := r.Exec(ctx, "remove")
	for name, c := range map[string]struct {
		err  error
		want Class
	}{
		"locked":      {busy, Busy},
		"no row":      {r.QueryRow(ctx, "name", 1).Scan(&n), NoRows},
		"no table":    {r.QueryRow(ctx, "no table").Scan(&n), Broken},
		"syntax":      {bad, Broken},
		"read only":   {readOnly, d.readOnly},
		"no name":     {noName, Other},
		"context":     {over, Other},
		"none of it":  {errors.New("x"), Other},
		"in another":  {fmt.Errorf("x: %w", &Error{Class: Busy, Cause: sql.ErrConnDone}), Busy},
		"wrong place": {r.QueryRow(ctx, "name").Scan(&n), Other},
	} {
		if c.err == nil || ClassOf(c.err) != c.want {
			t.Errorf("%s: class %d (%v), want %d", name, ClassOf(c.err), c.err, c.want)
		}
	}
	if !errors.Is(over, context.Canceled) {
		t.Errorf("the cause is lost: %v", over)
	}
}

// TestLost: a database that was removed is not an empty one.
func TestLost(t *testing.T) {
	t.Parallel()
	path, _, r := onSQLite().pools(t)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := r.Ping(t.Context()); ClassOf(err) != Lost || !errors.Is(err, ErrLost) {
		t.Errorf("removed: %v", err)
	}
}

func tables(t *testing.T, d dialectBed) {
	_, w, _ := d.pools(t)
	for name, want := range map[string]bool{"x": true, "y": false, "": false} {
		if got, err := d.dialect.HasTable(t.Context(), w.db, name); got != want || err != nil {
			t.Errorf("%q: %v, %v", name, got, err)
		}
	}
}
