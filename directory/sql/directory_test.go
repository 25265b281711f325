package sql_test

import (
	"context"
	dbsql "database/sql"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/sql"
	"toastmaster/directory/static"
	"toastmaster/directory/tabletest"
	"toastmaster/internal/addr"
	"toastmaster/internal/db"
	"toastmaster/migrations"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func params() configs.Directory {
	c := configs.Default().Directory
	c.BusyTimeout = 20 * time.Millisecond
	return c
}

func create(t testing.TB, path string) {
	t.Helper()
	if err := sql.Create(path); err != nil {
		t.Fatal(err)
	}
}

// database makes a database with the schema and returns its path and writer.
func database(t *testing.T) (string, *dbsql.DB) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dir with ? and %41.db")
	create(t, path)
	w, err := sql.OpenWriter(context.Background(), sql.Options{Source: path, Params: params()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	if err := migrations.For(db.SQLite{}).Up(context.Background(), w); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("the file has another name: %v", err)
	}
	return path, w
}

func reader(t *testing.T, path string) *sql.Directory {
	t.Helper()
	d, err := sql.Open(sql.Options{Source: path, Params: params()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func exec(t *testing.T, db *dbsql.DB, query string, args ...any) {
	t.Helper()
	if _, err := db.Exec(query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// fill writes data into the tables, without admin/store, so that a mistake
// there does not hide one here.
func fill(t *testing.T, w *dbsql.DB, data static.Data) { t.Helper(); fillIn(t, w, db.SQLite{}, data) }

func fillIn(t *testing.T, w *dbsql.DB, d db.Dialect, data static.Data) {
	t.Helper()
	exec := func(query string, args ...any) { t.Helper(); exec(t, w, d.Bind(query), args...) }
	for _, alias := range []bool{false, true} {
		for _, d := range data.Domains {
			switch {
			case alias && d.AliasOf != "":
				exec(`INSERT INTO domains (name, kind, alias_of, alias_of_kind, enabled, created_at, updated_at)
					SELECT ?1, 'alias', id, 'hosted', ?2, 0, 0 FROM domains WHERE name = ?3`, d.Name, d.Enabled, d.AliasOf)
			case !alias && d.AliasOf == "":
				exec(`INSERT INTO domains (name, kind, enabled, created_at, updated_at) VALUES (?1, 'hosted', ?2, 0, 0)`, d.Name, d.Enabled)
			}
		}
	}
	address := func(a addr.Address, kind string) (id int64) {
		exec(`INSERT INTO addresses (address, domain_id, local, kind, created_at, updated_at)
			SELECT ?1, id, ?2, ?3, 0, 0 FROM domains WHERE name = ?4`, a.Key(), a.Fold().Local, kind, a.Domain)
		if err := w.QueryRow(d.Bind("SELECT id FROM addresses WHERE address = ?1 AND kind = ?2"), a.Key(), kind).Scan(&id); err != nil {
			t.Fatal(err)
		}
		return id
	}
	parse := func(s string) addr.Address {
		if s[0] == '@' {
			return addr.Address{Domain: s[1:]}
		}
		a, err := addr.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	for _, a := range data.Accounts {
		m := a.Mailbox
		exec(`INSERT INTO mailboxes (address_id, home, password_hash, quota_bytes, quota_messages, enabled) VALUES (?1, ?2, ?3, ?4, ?5, ?6)`,
			address(m.Address, "mailbox"), m.Address.Domain+"/"+m.Address.Local, a.PasswordHash, m.QuotaBytes, m.QuotaMessages, m.Enabled)
	}
	for from, targets := range data.Aliases {
		id := address(parse(from), "alias")
		exec(`INSERT INTO aliases (address_id) VALUES (?1)`, id)
		for i, target := range targets {
			exec(`INSERT INTO alias_targets (address_id, position, target) VALUES (?1, ?2, ?3)`, id, i, target)
		}
	}
	for from, to := range data.Relocated {
		exec(`INSERT INTO relocated (address_id, moved_to) VALUES (?1, ?2)`, address(parse(from), "relocated"), to)
	}
}

func TestContract(t *testing.T) {
	tabletest.Run(t, tabletest.Subject{
		Healthy: func(t *testing.T, data static.Data) directory.Backend {
			path, w := database(t)
			fill(t, w, data)
			return reader(t, path)
		},
		Failing: func(t *testing.T, outcome directory.Outcome) directory.Backend {
			path, w := database(t)
			if outcome == directory.Misconfigured {
				exec(t, w, "DROP VIEW directory_domains")
				return reader(t, path)
			}
			// Another process holds the database exclusively.
			exec(t, w, "PRAGMA journal_mode=DELETE")
			exec(t, w, "PRAGMA locking_mode=EXCLUSIVE")
			exec(t, w, "BEGIN EXCLUSIVE")
			return reader(t, path)
		},
	})
}

func TestAnswersOfBrokenFiles(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(t *testing.T) *sql.Directory
		want  directory.Outcome
	}{
		"no database": {func(t *testing.T) *sql.Directory {
			path := filepath.Join(t.TempDir(), "text.db")
			if err := os.WriteFile(path, []byte("this is no database, but it is long enough to be looked at as if it were one, with a header of a hundred bytes"), 0o600); err != nil {
				t.Fatal(err)
			}
			return reader(t, path)
		}, directory.Misconfigured},
		"empty database": {func(t *testing.T) *sql.Directory {
			path := filepath.Join(t.TempDir(), "new.db")
			create(t, path)
			return reader(t, path)
		}, directory.Misconfigured},
		"no file": {func(t *testing.T) *sql.Directory {
			return reader(t, filepath.Join(t.TempDir(), "new.db"))
		}, directory.Unavailable},
		"missing column": {func(t *testing.T) *sql.Directory {
			path, w := database(t)
			exec(t, w, "DROP VIEW directory_domains")
			exec(t, w, "CREATE VIEW directory_domains AS SELECT name, 1 AS enabled FROM domains")
			return reader(t, path)
		}, directory.Misconfigured},
		"folder missing": {func(t *testing.T) *sql.Directory {
			return reader(t, filepath.Join(t.TempDir(), "none", "x.db"))
		}, directory.Unavailable},
		"closed": {func(t *testing.T) *sql.Directory {
			path, _ := database(t)
			d := reader(t, path)
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			return d
		}, directory.Unavailable},
		"healthy": {func(t *testing.T) *sql.Directory {
			path, _ := database(t)
			return reader(t, path)
		}, directory.NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := directory.New(c.spoil(t), "").Domain(context.Background(), "example.test")
			if got := directory.OutcomeOf(err); got != c.want {
				t.Errorf("%v: %s, want %s", err, got, c.want)
			}
		})
	}
}

func TestCancelledContextIsUnavailable(t *testing.T) {
	path, w := database(t)
	fill(t, w, tabletest.Data())
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := directory.New(reader(t, path), "+").Recipient(ctx, addr.Address{Local: "alice", Domain: "example.test"})
	if directory.OutcomeOf(err) != directory.Unavailable || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestAliasWithoutTargetsIsMisconfigured(t *testing.T) {
	path, w := database(t)
	fill(t, w, tabletest.Data())
	exec(t, w, "DELETE FROM alias_targets")
	d := directory.New(reader(t, path), "+")
	_, err := d.Recipient(context.Background(), addr.Address{Local: "list", Domain: "example.test"})
	if directory.OutcomeOf(err) != directory.Misconfigured {
		t.Errorf("got %v", err)
	}
}

// TestSchemaArrivesLater: a service that started before the migration answers
// as soon as the schema is there.
func TestSchemaArrivesLater(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "x.db")
	d := directory.New(reader(t, path), "+")
	if _, err := d.Domain(ctx, "example.test"); directory.OutcomeOf(err) != directory.Unavailable {
		t.Fatalf("before: %v", err)
	}
	create(t, path)
	w, err := sql.OpenWriter(ctx, sql.Options{Source: path, Params: params()})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := migrations.For(db.SQLite{}).Up(ctx, w); err != nil {
		t.Fatal(err)
	}
	fill(t, w, tabletest.Data())
	if _, err := d.Domain(ctx, "example.test"); err != nil {
		t.Errorf("after: %v", err)
	}
}

func BenchmarkRecipient(b *testing.B) {
	t := &testing.T{}
	path := filepath.Join(b.TempDir(), "x.db")
	create(b, path)
	w, err := sql.OpenWriter(context.Background(), sql.Options{Source: path, Params: params()})
	if err != nil {
		b.Fatal(err)
	}
	defer w.Close()
	if err := migrations.For(db.SQLite{}).Up(context.Background(), w); err != nil {
		b.Fatal(err)
	}
	fill(t, w, tabletest.Data())
	d, err := sql.Open(sql.Options{Source: path, Params: params()})
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	hosted := directory.New(d, "+")
	a := addr.Address{Local: "alice", Domain: "example.test"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := hosted.Recipient(context.Background(), a); err != nil {
			b.Fatal(err)
		}
	}
}
