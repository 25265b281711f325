package migrations

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"toastmaster/internal/db"
)

// sqlite is the schema that most tests are about.
func sqlite() Schema { return For(db.SQLite{}) }

func open(t *testing.T) *sql.DB {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return openFile(t, path)
}

func openFile(t *testing.T, path string) *sql.DB {
	t.Helper()
	on, err := db.SQLite{}.Open(context.Background(), db.Options{Source: path, Write: true, BusyTimeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { on.Close() })
	return on
}

func schema(t *testing.T, db *sql.DB) string {
	t.Helper()
	rows, err := db.Query("SELECT type || ' ' || name || ' ' || COALESCE(sql, '') FROM sqlite_master WHERE name <> 'schema_migrations' ORDER BY 1")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		// A table that was renamed has its name in quotes.
		all = append(all, strings.ReplaceAll(s, `"`, ""))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, "\n")
}

func TestUpDownUp(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := open(t)
	latest, err := sqlite().latest()
	if err != nil {
		t.Fatal(err)
	}
	wantVersion := func(want int) {
		t.Helper()
		if v, err := sqlite().version(ctx, db); err != nil || v != want {
			t.Fatalf("version %d, %v; want %d", v, err, want)
		}
	}
	wantVersion(0)
	states := []string{schema(t, db)}
	for v := 1; v <= latest; v++ {
		steps, err := sqlite().steps()
		if err != nil {
			t.Fatal(err)
		}
		if err := sqlite().move(ctx, db, steps, v); err != nil {
			t.Fatal(err)
		}
		wantVersion(v)
		states = append(states, schema(t, db))
	}
	for v := latest - 1; v >= 0; v-- {
		if err := sqlite().Down(ctx, db, v); err != nil {
			t.Fatal(err)
		}
		wantVersion(v)
		if got := schema(t, db); got != states[v] {
			t.Errorf("down to %d left:\n%s\nwant:\n%s", v, got, states[v])
		}
	}
	for range 2 {
		if err := sqlite().Up(ctx, db); err != nil {
			t.Fatal(err)
		}
		wantVersion(latest)
	}
	if got := schema(t, db); got != states[latest] {
		t.Errorf("up again differs:\n%s", got)
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := open(t)
	if err := sqlite().Up(ctx, db); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("INSERT INTO schema_migrations VALUES (9999, 'future', 0)"); err != nil {
		t.Fatal(err)
	}
	if err := sqlite().Up(ctx, db); !errors.Is(err, ErrNewer) {
		t.Errorf("Up: %v", err)
	}
	if err := sqlite().Down(ctx, db, 0); !errors.Is(err, ErrNewer) {
		t.Errorf("Down: %v", err)
	}
}

func TestFailedStepLeavesTheOldVersion(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := open(t)
	steps := []step{
		{1, "good", "CREATE TABLE a (x)", "DROP TABLE a"},
		{2, "bad", "CREATE TABLE b (x); CREATE TABLE a (x)", "DROP TABLE b"},
	}
	if err := sqlite().move(ctx, db, steps, 2); err == nil {
		t.Fatal("no error")
	}
	if v, err := sqlite().version(ctx, db); err != nil || v != 1 {
		t.Errorf("version %d, %v", v, err)
	}
	if s := schema(t, db); strings.Contains(s, "table b") {
		t.Errorf("half a step stayed: %s", s)
	}
}

func TestTwoProcessesAtOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		on := openFile(t, path)
		wg.Go(func() {
			if err := sqlite().Up(context.Background(), on); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestLoadRefusesGaps(t *testing.T) {
	t.Parallel()
	for name, files := range map[string]fstest.MapFS{
		"gap":     {"d/0002_x.up.sql": {}, "d/0002_x.down.sql": {}, "d/0004_x.up.sql": {}, "d/0004_x.down.sql": {}},
		"none":    {"d/0000_x.up.sql": {}, "d/0000_x.down.sql": {}},
		"no down": {"d/0001_x.up.sql": {}},
		"twice":   {"d/0001_x.up.sql": {}, "d/0001_x.down.sql": {}, "d/0001_y.up.sql": {}, "d/0001_y.down.sql": {}},
	} {
		if _, err := load(files, "d"); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestConstraints: the schema itself refuses what the program must never do.
// TestAliasBesideMailboxKeepsTheData: up and down again, nothing is lost but
// what the older schema cannot hold.
func TestAliasBesideMailboxKeepsTheData(t *testing.T) {
	t.Parallel()
	ctx, db := context.Background(), open(t)
	steps, err := sqlite().steps()
	if err != nil {
		t.Fatal(err)
	}
	exec := func(statements ...string) {
		t.Helper()
		for _, s := range statements {
			if _, err := db.Exec(s); err != nil {
				t.Fatalf("%s: %v", s, err)
			}
		}
	}
	targets := func(want string) {
		t.Helper()
		var got string
		err := db.QueryRow(`SELECT COALESCE(group_concat(a.address || '>' || t.target || COALESCE(m.home, ''), ' '), '')
			FROM addresses a JOIN alias_targets t ON t.address_id = a.id LEFT JOIN mailboxes m ON m.home = a.address ORDER BY 1`).Scan(&got)
		if err != nil || got != want {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
		if err := db.QueryRow("SELECT home || password_hash FROM mailboxes").Scan(&got); err != nil || got != "homehash" {
			t.Errorf("mailbox %q, %v", got, err)
		}
		if err := db.QueryRow("SELECT moved_to FROM relocated").Scan(&got); err != nil || got != "there" {
			t.Errorf("relocated %q, %v", got, err)
		}
	}
	if err := sqlite().move(ctx, db, steps, 1); err != nil {
		t.Fatal(err)
	}
	const address = "INSERT INTO addresses (id, address, domain_id, local, kind, created_at, updated_at) VALUES "
	exec("INSERT INTO domains (id, name, kind, created_at, updated_at) VALUES (1, 'a.test', 'hosted', 0, 0)",
		address+"(1, 'm@a.test', 1, 'm', 'mailbox', 0, 0), (2, 'l@a.test', 1, 'l', 'alias', 0, 0), (3, 'r@a.test', 1, 'r', 'relocated', 0, 0)",
		"INSERT INTO mailboxes (address_id, home, password_hash) VALUES (1, 'home', 'hash')",
		"INSERT INTO relocated (address_id, moved_to) VALUES (3, 'there')",
		"INSERT INTO aliases (address_id) VALUES (2)", "INSERT INTO alias_targets VALUES (2, 0, 'x@y')")
	if err := sqlite().move(ctx, db, steps, 2); err != nil {
		t.Fatal(err)
	}
	targets("l@a.test>x@y")
	exec(address+"(4, 'm@a.test', 1, 'm', 'alias', 0, 0)", "INSERT INTO aliases (address_id) VALUES (4)", "INSERT INTO alias_targets VALUES (4, 0, 'z@y')")
	targets("l@a.test>x@y m@a.test>z@y")
	if err := sqlite().Down(ctx, db, 1); err != nil {
		t.Fatal(err)
	}
	targets("l@a.test>x@y")
}

// TestCountsAreKept: what was there is counted at the migration, and what comes
// and goes later, also with its domain and in a transaction that is taken back.
func TestCountsAreKept(t *testing.T) {
	t.Parallel()
	ctx, db := context.Background(), open(t)
	steps, err := sqlite().steps()
	if err != nil {
		t.Fatal(err)
	}
	exec := func(statements ...string) {
		t.Helper()
		for _, s := range statements {
			if _, err := db.Exec(s); err != nil {
				t.Fatalf("%s: %v", s, err)
			}
		}
	}
	const address = "INSERT INTO addresses (id, address, domain_id, local, kind, created_at, updated_at) VALUES "
	if err := sqlite().move(ctx, db, steps, 5); err != nil {
		t.Fatal(err)
	}
	exec("INSERT INTO domains (id, name, kind, created_at, updated_at) VALUES (1, 'a.test', 'hosted', 0, 0)",
		address+"(1, 'm@a.test', 1, 'm', 'mailbox', 0, 0), (2, 'l@a.test', 1, 'l', 'alias', 0, 0), (3, 'r@a.test', 1, 'r', 'relocated', 0, 0)")
	want := func(counts string) { t.Helper(); wantCounts(t, db, counts) }
	if err := sqlite().Up(ctx, db); err != nil {
		t.Fatal(err)
	}
	want("alias1 domain1 mailbox1 relocated1")
	comeAndGo(t, db)
	want("alias1 domain1 mailbox1 relocated0")
	if err := sqlite().Down(ctx, db, 5); err != nil {
		t.Fatal(err)
	}
	if err := sqlite().Up(ctx, db); err != nil {
		t.Fatal(err)
	}
	want("alias1 domain1 mailbox1 relocated0")
}

func wantCounts(t *testing.T, on *sql.DB, want string) {
	t.Helper()
	rows, err := on.Query("SELECT kind, n FROM hosted_counts ORDER BY kind")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var got []string
	for rows.Next() {
		var kind, n string
		if err := rows.Scan(&kind, &n); err != nil {
			t.Fatal(err)
		}
		got = append(got, kind+n)
	}
	if all := strings.Join(got, " "); rows.Err() != nil || all != want {
		t.Errorf("%q, %v; want %q", all, rows.Err(), want)
	}
}

// comeAndGo adds to a domain with one of each kind, and removes what was relocated. on has one
// connection.
func comeAndGo(t *testing.T, on *sql.DB) {
	t.Helper()
	exec := func(statements ...string) {
		t.Helper()
		for _, s := range statements {
			if _, err := on.Exec(s); err != nil {
				t.Fatalf("%s: %v", s, err)
			}
		}
	}
	exec("INSERT INTO domains (id, name, kind, created_at, updated_at) VALUES (2, 'b.test', 'hosted', 0, 0)",
		"INSERT INTO addresses (id, address, domain_id, local, kind, created_at, updated_at) VALUES (4, 'm@b.test', 2, 'm', 'mailbox', 0, 0), (5, 'm@b.test', 2, 'm', 'alias', 0, 0)",
		"DELETE FROM addresses WHERE id = 3")
	wantCounts(t, on, "alias2 domain2 mailbox2 relocated0")
	tx, err := on.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec("DELETE FROM domains WHERE id = 1"); err != nil {
		t.Error(err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	wantCounts(t, on, "alias2 domain2 mailbox2 relocated0")
	exec("DELETE FROM domains WHERE id = 2")
}

func TestConstraints(t *testing.T) {
	t.Parallel()
	on := open(t)
	if err := sqlite().Up(context.Background(), on); err != nil {
		t.Fatal(err)
	}
	constraints(t, on)
}

func constraints(t *testing.T, db *sql.DB) {
	for _, ok := range []string{
		"INSERT INTO domains (id, name, kind, created_at, updated_at) VALUES (1, 'a.test', 'hosted', 0, 0)",
		"INSERT INTO domains (id, name, kind, alias_of, alias_of_kind, created_at, updated_at) VALUES (2, 'b.test', 'alias', 1, 'hosted', 0, 0)",
		"INSERT INTO addresses (id, address, domain_id, local, kind, created_at, updated_at) VALUES (1, 'x@a.test', 1, 'x', 'mailbox', 0, 0)",
		"INSERT INTO mailboxes (address_id, home, password_hash) VALUES (1, 'a.test/x', '')",
		"INSERT INTO addresses (id, address, domain_id, local, kind, created_at, updated_at) VALUES (2, '@a.test', 1, '', 'alias', 0, 0)",
		"INSERT INTO addresses (id, address, domain_id, local, kind, created_at, updated_at) VALUES (3, 'x@a.test', 1, 'x', 'alias', 0, 0)",
	} {
		if _, err := db.Exec(ok); err != nil {
			t.Fatalf("%s: %v", ok, err)
		}
	}
	for _, bad := range []string{
		"INSERT INTO domains (name, kind, created_at, updated_at) VALUES ('a.test', 'hosted', 0, 0)",
		"INSERT INTO domains (name, kind, created_at, updated_at) VALUES ('UPPER.test', 'hosted', 0, 0)",
		"INSERT INTO domains (name, kind, created_at, updated_at) VALUES ('c.test', 'alias', 0, 0)",
		"INSERT INTO domains (name, kind, alias_of, alias_of_kind, created_at, updated_at) VALUES ('c.test', 'alias', 2, 'hosted', 0, 0)",
		"INSERT INTO addresses (address, domain_id, local, kind, created_at, updated_at) VALUES ('x@a.test', 1, 'x', 'mailbox', 0, 0)",
		"INSERT INTO addresses (address, domain_id, local, kind, created_at, updated_at) VALUES ('x@a.test', 1, 'x', 'relocated', 0, 0)",
		"INSERT INTO addresses (address, domain_id, local, kind, created_at, updated_at) VALUES ('y@b.test', 2, 'y', 'mailbox', 0, 0)",
		"INSERT INTO addresses (address, domain_id, local, kind, created_at, updated_at) VALUES ('@b.test', 1, '', 'mailbox', 0, 0)",
		"INSERT INTO relocated (address_id, moved_to) VALUES (1, 'y')",
		"INSERT INTO aliases (address_id) VALUES (1)",
		"INSERT INTO mailboxes (address_id, home, password_hash) VALUES (2, 'z', '')",
		"DELETE FROM domains WHERE id = 1", // an alias domain stands for it
	} {
		if _, err := db.Exec(bad); err == nil {
			t.Errorf("accepted: %s", bad)
		}
	}
	for _, ok := range []string{"DELETE FROM domains WHERE id = 2", "DELETE FROM domains WHERE id = 1"} {
		if _, err := db.Exec(ok); err != nil {
			t.Errorf("%s: %v", ok, err)
		}
	}
	var left int
	if err := db.QueryRow("SELECT (SELECT count(*) FROM addresses) + (SELECT count(*) FROM mailboxes)").Scan(&left); err != nil || left != 0 {
		t.Errorf("%d rows left, %v", left, err)
	}
}
