package migrations

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"toastmaster/internal/db"
	"toastmaster/internal/testkit/peers"
)

func postgres() Schema { return For(db.Postgres{}) }

// TestPostgres: the same schema on a server.
func TestPostgres(t *testing.T) {
	t.Parallel()
	peers.Need(t, peers.PostgresProgram, peers.PostgresPackage)
	p, err := peers.StartPostgres(t.Context(), peers.PostgresOptions{Dir: peers.TempDir(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	source := func(t *testing.T) string {
		name, err := p.Database(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return p.Admin(name)
	}
	t.Run("up and down", func(t *testing.T) { upAndDown(t, onServer(t, source(t))) })
	t.Run("three nodes", func(t *testing.T) { nodesAtOnce(t, source(t)) })
	t.Run("constraints", func(t *testing.T) { constraints(t, migrated(t, source(t))) })
	t.Run("counts", func(t *testing.T) { countsOnServer(t, migrated(t, source(t))) })
	t.Run("columns", func(t *testing.T) { columnsOfBoth(t, migrated(t, source(t))) })
	t.Run("reader", func(t *testing.T) { readerOfViews(t, p) })
}

func onServer(t *testing.T, source string) *sql.DB {
	t.Helper()
	on, err := db.Postgres{}.Open(t.Context(), db.Options{Source: source, Write: true, BusyTimeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { on.Close() })
	return on
}

func migrated(t *testing.T, source string) *sql.DB {
	t.Helper()
	on := onServer(t, source)
	if err := postgres().Up(t.Context(), on); err != nil {
		t.Fatal(err)
	}
	return on
}

// objects are what is in the schema but the table of versions.
func objects(t *testing.T, on *sql.DB) string {
	t.Helper()
	return strings.Join(texts(t, on, `SELECT 'relation ' || c.relkind::text || ' ' || c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relname NOT LIKE 'schema_migrations%'
		UNION ALL SELECT 'function ' || proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1`), "\n")
}

func texts(t *testing.T, on *sql.DB, query string) (out []string) {
	t.Helper()
	rows, err := on.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var one string
		if err := rows.Scan(&one); err != nil {
			t.Fatal(err)
		}
		out = append(out, one)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// upAndDown: one step down and up again, and all.
func upAndDown(t *testing.T, on *sql.DB) {
	ctx := t.Context()
	steps, err := postgres().steps()
	if err != nil {
		t.Fatal(err)
	}
	states := map[int]string{0: objects(t, on)}
	for _, one := range steps {
		if err := postgres().move(ctx, on, steps, one.version); err != nil {
			t.Fatal(err)
		}
		states[one.version] = objects(t, on)
	}
	for _, one := range slices.Backward(steps) {
		below := 0
		if i := slices.IndexFunc(steps, func(s step) bool { return s.version == one.version }); i > 0 {
			below = steps[i-1].version
		}
		if err := postgres().Down(ctx, on, below); err != nil {
			t.Fatal(err)
		}
		if got := objects(t, on); got != states[below] {
			t.Errorf("down to %d left:\n%s\nwant:\n%s", below, got, states[below])
		}
	}
	if err := postgres().Down(ctx, on, 3); err == nil {
		t.Error("a version that it never had")
	}
	for range 2 {
		if err := postgres().Up(ctx, on); err != nil {
			t.Fatal(err)
		}
	}
	latest, err := sqlite().latest()
	if v, vErr := postgres().version(ctx, on); err != nil || vErr != nil || v != latest {
		t.Errorf("version %d, %v, %v; SQLite has %d", v, err, vErr, latest)
	}
}

// nodesAtOnce: three nodes start, and one migrates.
func nodesAtOnce(t *testing.T, source string) {
	var wg sync.WaitGroup
	for range 3 {
		on := onServer(t, source)
		wg.Go(func() {
			if err := postgres().Up(context.Background(), on); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := texts(t, onServer(t, source), "SELECT version || ' ' || count(*) FROM schema_migrations GROUP BY version HAVING count(*) <> 1"); got != nil {
		t.Errorf("migrated more than once: %q", got)
	}
}

func countsOnServer(t *testing.T, on *sql.DB) {
	const address = "INSERT INTO addresses (id, address, domain_id, local, kind, created_at, updated_at) VALUES "
	for _, s := range []string{"INSERT INTO domains (id, name, kind, created_at, updated_at) VALUES (1, 'a.test', 'hosted', 0, 0)",
		address + "(1, 'm@a.test', 1, 'm', 'mailbox', 0, 0), (2, 'l@a.test', 1, 'l', 'alias', 0, 0), (3, 'r@a.test', 1, 'r', 'relocated', 0, 0)"} {
		if _, err := on.Exec(s); err != nil {
			t.Fatal(err)
		}
	}
	wantCounts(t, on, "alias1 domain1 mailbox1 relocated1")
	comeAndGo(t, on)
	wantCounts(t, on, "alias1 domain1 mailbox1 relocated0")
}

// columnsOfBoth: the tables and views of both databases have the same columns, in the same
// order where they are copied.
func columnsOfBoth(t *testing.T, on *sql.DB) {
	file := open(t)
	if err := sqlite().Up(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	want := texts(t, file, `SELECT m.name || '.' || c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type IN ('table', 'view') AND m.name NOT LIKE 'sqlite_%' ORDER BY 1`)
	got := texts(t, on, `SELECT (table_name || '.' || column_name) COLLATE "C" FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1`)
	if !slices.Equal(got, want) {
		t.Errorf("PostgreSQL has\n%s\nSQLite has\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// readerOfViews: who may read the views alone sees what they show, and no table.
func readerOfViews(t *testing.T, p *peers.Postgres) {
	name, err := p.Database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	migrated(t, p.Admin(name))
	err = p.Exec(t.Context(), name, `CREATE ROLE mail LOGIN PASSWORD 'm';
		GRANT SELECT ON directory_domains, directory_recipients, directory_targets, directory_accounts, directory_instance TO mail`)
	if err != nil {
		t.Fatal(err)
	}
	on := onServer(t, p.URL("mail", "m", name))
	for _, view := range []string{"domains", "recipients", "targets", "accounts", "instance"} {
		if _, err := on.Exec("SELECT * FROM directory_" + view); err != nil {
			t.Errorf("%s: %v", view, err)
		}
	}
	for _, s := range []string{"SELECT * FROM mailboxes", "INSERT INTO instance VALUES (1, 'x')", "DELETE FROM audit"} {
		if _, err := on.Exec(s); (db.Postgres{}).Classify(err) != db.Broken {
			t.Errorf("%s: %v", s, err)
		}
	}
}
