package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"toastmaster/internal/testkit/binary"
	"toastmaster/internal/testkit/peers"
)

// onPostgres is an instance with alice and bob whose database is on a server.
func onPostgres(t *testing.T) (*box, *peers.Postgres) {
	t.Helper()
	peers.Need(t, peers.PostgresProgram, peers.PostgresPackage)
	ctx := testContext(t)
	p, err := peers.StartPostgres(ctx, peers.PostgresOptions{Dir: peers.TempDir(t), Durable: true})
	must(t, err)
	t.Cleanup(p.Close)
	must(t, p.Exec(ctx, "postgres", "CREATE ROLE toastmaster LOGIN PASSWORD 'se:cret'"))
	must(t, p.Exec(ctx, "postgres", "CREATE DATABASE mail OWNER toastmaster"))
	b := serveWith(t, binary.Options{
		Init: []string{"--database", p.URL("toastmaster", "se:cret", "mail")},
		// Nothing is remembered, so each question goes to the server.
		Params: map[string]string{"directory.cache_entries": "0", "directory.timeout": `"1s"`, "qmgr.minimal_backoff_time": `"1s"`, "qmgr.maximal_backoff_time": `"1s"`},
	})
	return b, p
}

// TestServeOnPostgres: an instance whose database is on a server, from init to the mail; and the
// password is in one file.
func TestServeOnPostgres(t *testing.T) {
	t.Parallel()
	b, p := onPostgres(t)
	ctx := testContext(t)
	must(t, b.AddAlias(ctx, "sales@example.test", alice, bob))
	b.sendOne(t, bob, "sales@example.test", "hello")
	b.waitMail(t, alice, 1)
	b.waitMail(t, bob, 1)
	out, err := b.Run(ctx, "", "mailbox", "list", "--json")
	if err != nil || !strings.Contains(out, alice) {
		t.Errorf("%s, %v", out, err)
	}
	if _, err := os.Stat(filepath.Join(b.Data(), "directory.db")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is a database of SQLite: %v", err)
	}
	for _, file := range []string{b.ConfigFile(), b.LogFile()} {
		if strings.Contains(readFile(t, file), "se:cret") {
			t.Errorf("%s has the password", file)
		}
	}
	for _, command := range [][]string{{"config", "check"}, {"config", "show"}, {"status"}} {
		if out, err := b.Run(ctx, "", command...); err != nil || strings.Contains(out, "se:cret") {
			t.Errorf("%q: %s, %v", command, out, err)
		}
	}
	// A second instance has no business in it.
	_, err = binary.Create(ctx, binary.Options{Program: program, Dir: peers.TempDir(t), Hostname: "mx.example.test", Init: []string{"--database", p.URL("toastmaster", "se:cret", "mail")}})
	if err == nil || !strings.Contains(err.Error(), "another instance") && !strings.Contains(err.Error(), "in use") {
		t.Errorf("a second instance took the database: %v", err)
	}
}

// TestPostgresGoesAndComes: while the server is away mail is put off, never refused for good and
// never lost; log-ins and the API say that it is away; with its return all goes on by itself.
func TestPostgresGoesAndComes(t *testing.T) {
	t.Parallel()
	b, p := onPostgres(t)
	ctx := testContext(t)
	for i, away := range []func(){p.Stop, p.Kill, func() { must(t, p.Freeze(true)) }} {
		away()
		for _, c := range []struct{ what, want string }{{alice, "451 4.3.0"}, {"nobody@example.test", "451 4.3.0"}} {
			if got := rcpt(t, b, c.what); !strings.HasPrefix(got, c.want) {
				t.Errorf("round %d: %s: %s", i, c.what, got)
			}
		}
		if out, err := b.Run(ctx, "", "mailbox", "list"); err == nil {
			t.Errorf("round %d: a list: %s", i, out)
		}
		if i == 2 {
			must(t, p.Freeze(false))
		} else {
			must(t, p.Start(ctx))
		}
		began := time.Now()
		eventually(t, func() error {
			if got := rcpt(t, b, alice); !strings.HasPrefix(got, "250") {
				return errors.New(got)
			}
			if got := rcpt(t, b, "nobody@example.test"); !strings.HasPrefix(got, "550 5.1.1") {
				return errors.New(got)
			}
			return nil
		})
		t.Logf("round %d: recovered %s after the server's return", i, time.Since(began).Round(time.Millisecond))
		b.sendOne(t, bob, alice, fmt.Sprint("round ", i))
		b.waitMail(t, alice, i+1)
	}
}

// rcpt is the answer to a recipient.
func rcpt(t *testing.T, b *box, to string) string {
	t.Helper()
	s, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer s.Close()
	if _, err := s.command("250", "MAIL FROM:<>"); err != nil {
		return err.Error()
	}
	got, err := s.command("", "RCPT TO:<%s>", to)
	if err != nil {
		return err.Error()
	}
	return got
}
