package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"toastmaster/admin/model"
	"toastmaster/admin/store"
	dirsql "toastmaster/directory/sql"
	"toastmaster/internal/db"
)

// The size of a host that the questions are looked at with.
const (
	manyMailboxes = 50_000
	manyAliases   = 100_000
	manyDomains   = 500
)

// fillLarge makes a large host: the domains d0.test to d499.test, each with one that
// stands for it, with u0 to u49999 and a0 to a99999 in turn, and a row of the audit
// for each.
func fillLarge(t testing.TB, on *sql.DB) {
	t.Helper()
	tx, err := on.Begin()
	if err != nil {
		t.Fatal(err)
	}
	const numbers = `WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < %d) `
	for _, s := range []string{
		fmt.Sprintf(numbers+`INSERT INTO domains (id, name, kind, created_at, updated_at) SELECT i + 1, 'd' || i || '.test', 'hosted', 0, 0 FROM n`, manyDomains),
		fmt.Sprintf(numbers+`INSERT INTO domains (id, name, kind, alias_of, alias_of_kind, created_at, updated_at) SELECT %d + i + 1, 'e' || i || '.test', 'alias', i + 1, 'hosted', 0, 0 FROM n`, manyDomains, manyDomains),
		fmt.Sprintf(numbers+`INSERT INTO addresses (id, address, domain_id, local, kind, created_at, updated_at)
			SELECT i + 1, 'u' || i || '@d' || (i %% %d) || '.test', i %% %d + 1, 'u' || i, 'mailbox', 0, 0 FROM n`, manyMailboxes, manyDomains, manyDomains),
		fmt.Sprintf(numbers+`INSERT INTO mailboxes (address_id, home, password_hash, enabled) SELECT i + 1, 'd' || (i %% %d) || '.test/u' || i, '', i %% 1000 > 0 FROM n`,
			manyMailboxes, manyDomains),
		fmt.Sprintf(numbers+`INSERT INTO addresses (id, address, domain_id, local, kind, created_at, updated_at)
			SELECT %d + i, 'a' || i || '@d' || (i %% %d) || '.test', i %% %d + 1, 'a' || i, 'alias', 0, 0 FROM n`, manyAliases, 1_000_000, manyDomains, manyDomains),
		`INSERT INTO aliases (address_id) SELECT id FROM addresses WHERE kind = 'alias'`,
		fmt.Sprintf(`INSERT INTO alias_targets (address_id, position, target)
			SELECT id, 0, 'u' || ((id - 1000000) / 2) || '@D' || ((id - 1000000) / 2 %% %d) || '.test' FROM addresses WHERE kind = 'alias'`, manyDomains),
		`INSERT INTO audit (at, actor, action, object, name, after_json) SELECT id, 'token:x', 'add', kind, address, '{}' FROM addresses ORDER BY id % 7, id`,
		`INSERT INTO audit (at, actor, action, object, name, after_json) SELECT id, 'token:x', 'add', 'domain', name, '{}' FROM domains`,
	} {
		if _, err := tx.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}

// mayScan are the tables that are read through by a question, because they have a
// few rows: a page that a query has made itself, the one instance, an argument.
var mayScan = regexp.MustCompile(`^SCAN (page|instance|CONSTANT ROW|\(subquery-\d+\)|json_each VIRTUAL TABLE INDEX 1:)\b?`)

// maySort are the questions whose rows an index does not give in their order,
// because it gives them from several places, or few of them.
var maySort = map[db.Query]bool{
	"list-mailboxes-in-scope": true, "list-aliases-in-scope": true, "list-relocated-in-scope": true, "list-domains-in-scope": true,
	"list-mailboxes-disabled": true, "list-aliases-with-target": true, "aliases-to": true,
	"list-aliases": true, "list-aliases-of-domain": true, "alias-by-address": true, // the targets of a page
	"list-audit-of-name": true, "list-open-jobs": true, "logins-of-mailbox": true, "walk": true,
}

// TestOnALargeHost: no question reads a table through.
func TestOnALargeHost(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	fillLarge(t, b.writer)
	if onServer != nil {
		// What a server does by itself within a minute.
		if _, err := b.writer.Exec("ANALYZE"); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("costs", func(t *testing.T) { costs(t, b) })
	if onServer != nil {
		t.Run("plans", func(t *testing.T) { plansOfPostgres(t, b) })
		return
	}
	t.Run("plans", func(t *testing.T) { plans(t, b) })
}

// plansOfPostgres asks for the plan of every query, for a short text and for none.
func plansOfPostgres(t *testing.T, b *bench) {
	ctx := t.Context()
	c := must(b.reader.Conn(ctx))(t)
	defer c.Close()
	n := 0
	for _, load := range []func(db.Dialect) (db.Queries, error){store.Queries, dirsql.Queries} {
		for name, text := range must(load(db.Postgres{}))(t) {
			n++
			for _, word := range []string{"", `["u100"]`} {
				for _, line := range planOfPostgres(t, c, text, word) {
					if m := scanned.FindStringSubmatch(line); m != nil && !fewRows[m[1]] {
						t.Errorf("%s (%s): %s", name, word, strings.TrimSpace(line))
					}
				}
			}
		}
	}
	if n < 70 {
		t.Errorf("only %d queries", n)
	}
}

// scanned is a table that PostgreSQL reads through; fewRows are those that it may.
var (
	scanned = regexp.MustCompile(`Seq Scan on (\w+)`)
	fewRows = map[string]bool{"instance": true, "hosted_counts": true, "jobs": true, "api_tokens": true, "last_logins": true, "relocated": true,
		"domains": true} // a thousand, of which it takes some
)

// planOfPostgres is the plan of a query with 100 for each number and word for each text.
func planOfPostgres(t *testing.T, c *sql.Conn, text, word string) (lines []string) {
	t.Helper()
	ctx := t.Context()
	if _, err := c.ExecContext(ctx, "PREPARE q AS "+text); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	var args string
	err := c.QueryRowContext(ctx, `SELECT COALESCE((SELECT string_agg(CASE p::text WHEN 'text' THEN quote_literal($1::text) WHEN 'jsonb' THEN '$$[]$$'
		WHEN 'boolean' THEN 'true' ELSE '100' END, ', ' ORDER BY n) FROM unnest(parameter_types) WITH ORDINALITY x(p, n)), '')
		FROM pg_prepared_statements WHERE name = 'q'`, word).Scan(&args)
	if err != nil {
		t.Fatal(err)
	}
	explain := "EXPLAIN EXECUTE q"
	if args != "" {
		explain += "(" + args + ")"
	}
	rows, err := c.QueryContext(ctx, explain)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ExecContext(ctx, "DEALLOCATE q"); err != nil {
		t.Fatal(err)
	}
	return lines
}

// plans asks for the plan of every query, without and with what SQLite can know of
// the data.
func plans(t *testing.T, b *bench) {
	for _, analysed := range []bool{false, true} {
		if analysed {
			if _, err := b.writer.Exec("ANALYZE"); err != nil {
				t.Fatal(err)
			}
		}
		n := 0
		for _, load := range []func(db.Dialect) (db.Queries, error){store.Queries, dirsql.Queries} {
			for name, text := range must(load(db.SQLite{}))(t) {
				n++
				for _, line := range plan(t, b.writer, text) {
					if strings.HasPrefix(line, "SCAN") && !mayScan.MatchString(line) {
						t.Errorf("%s (analysed: %v): %s", name, analysed, line)
					}
					if strings.HasPrefix(line, "USE TEMP B-TREE FOR ORDER BY") && !maySort[name] {
						t.Errorf("%s (analysed: %v) sorts", name, analysed)
					}
				}
			}
		}
		if n < 70 {
			t.Errorf("only %d queries", n)
		}
	}
}

// plan is EXPLAIN QUERY PLAN.
func plan(t *testing.T, on *sql.DB, text string) (lines []string) {
	t.Helper()
	var args []any
	for i := 1; strings.Contains(text, fmt.Sprintf("?%d", i)); i++ {
		args = append(args, "1")
	}
	rows, err := on.Query("EXPLAIN QUERY PLAN "+text, args...)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int
		var line string
		if err := rows.Scan(&id, &parent, &unused, &line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}

// costs prints what the questions of the administration cost; -v shows it. It is no
// limit: that is the plans'.
func costs(t *testing.T, b *bench) {
	ctx, off := context.Background(), false
	for _, q := range []struct {
		name string
		ask  func(i int) (int, error)
	}{
		{"mailboxes of a domain", func(i int) (int, error) {
			p, err := b.Mailboxes(ctx, model.Filter{Domain: fmt.Sprintf("d%d.test", i)}, "", 100)
			return len(p.Items), err
		}},
		{"mailboxes, all, from the middle", func(i int) (int, error) {
			p, err := b.Mailboxes(ctx, model.Filter{}, fmt.Sprintf("u%d", i), 100)
			return len(p.Items), err
		}},
		{"mailboxes, disabled", func(int) (int, error) {
			p, err := b.Mailboxes(ctx, model.Filter{Enabled: &off}, "", 50)
			return len(p.Items), err
		}},
		{"mailboxes with a part of their name", func(i int) (int, error) {
			p, err := b.Mailboxes(ctx, model.Filter{Contains: fmt.Sprintf("u%d@", 49000+i)}, "", 1)
			return len(p.Items), err
		}},
		{"aliases of a domain", func(i int) (int, error) {
			p, err := b.Aliases(ctx, model.Filter{Domain: fmt.Sprintf("d%d.test", i)}, "", 100)
			return len(p.Items), err
		}},
		{"aliases by target", func(i int) (int, error) {
			p, err := b.Aliases(ctx, model.Filter{Target: fmt.Sprintf("u%d@d%d.test", i, i%manyDomains)}, "", 100)
			return len(p.Items), err
		}},
		{"domains", func(int) (int, error) {
			p, err := b.Domains(ctx, model.Filter{}, "", 100)
			return len(p.Items), err
		}},
		{"audit, the newest", func(int) (int, error) { e, err := b.Audit(ctx, "", "", 0, 100); return len(e), err }},
		{"audit of an object", func(i int) (int, error) {
			e, err := b.Audit(ctx, []string{"domain", "mailbox", "alias"}[i%3], "", 0, 100)
			return len(e), err
		}},
		{"audit of a name", func(i int) (int, error) {
			e, err := b.Audit(ctx, "", fmt.Sprintf("u%d@d%d.test", i, i%manyDomains), 0, 100)
			return len(e), err
		}},
		{"status (counts)", func(int) (int, error) { c, err := b.Counts(ctx); return int(c.Mailboxes), err }},
	} {
		var took []time.Duration
		for i := range 31 {
			start := time.Now()
			n, err := q.ask(i + 1)
			took = append(took, time.Since(start))
			if err != nil || n == 0 {
				t.Fatalf("%s: %d, %v", q.name, n, err)
			}
		}
		slices.Sort(took)
		t.Logf("%-36s p50 %8.2f ms", q.name, float64(took[len(took)/2].Microseconds())/1000)
	}
}
