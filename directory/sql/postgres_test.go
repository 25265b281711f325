package sql_test

import (
	"context"
	dbsql "database/sql"
	"strings"
	"sync"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/sql"
	"toastmaster/directory/static"
	"toastmaster/directory/tabletest"
	"toastmaster/internal/addr"
	"toastmaster/internal/db"
	"toastmaster/internal/identity"
	"toastmaster/internal/testkit/peers"
	"toastmaster/migrations"
)

// serverBed makes databases of one PostgreSQL.
type serverBed struct{ *peers.Postgres }

func newServer(t *testing.T) serverBed {
	t.Helper()
	peers.Need(t, peers.PostgresProgram, peers.PostgresPackage)
	p, err := peers.StartPostgres(t.Context(), peers.PostgresOptions{Dir: peers.TempDir(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return serverBed{p}
}

func onServer(source string) sql.Options {
	c := configs.Default().Directory
	c.BusyTimeout, c.Timeout = 50*time.Millisecond, 2*time.Second
	return sql.Options{Dialect: db.Postgres{}, Source: source, Params: c}
}

// filled is a database with data, with its writer.
func (s serverBed) filled(t *testing.T, data static.Data) (name string, w *dbsql.DB) {
	t.Helper()
	name, err := s.Database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if w, err = sql.OpenWriter(t.Context(), onServer(s.Admin(name))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	if err := migrations.For(db.Postgres{}).Up(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	fillIn(t, w, db.Postgres{}, data)
	return name, w
}

func openOn(t *testing.T, source string) *sql.Directory {
	t.Helper()
	d, err := sql.Open(onServer(source))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func TestContractOnPostgres(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	if err := s.Exec(t.Context(), "postgres", "CREATE ROLE mail LOGIN PASSWORD 'm'"); err != nil {
		t.Fatal(err)
	}
	tabletest.Run(t, tabletest.Subject{
		Healthy: func(t *testing.T, data static.Data) directory.Backend {
			// As a user that may read the views and nothing else.
			name, w := s.filled(t, data)
			exec(t, w, "GRANT SELECT ON directory_domains, directory_recipients, directory_targets, directory_accounts, directory_instance TO mail")
			return openOn(t, s.URL("mail", "m", name))
		},
		Failing: func(t *testing.T, outcome directory.Outcome) directory.Backend {
			name, w := s.filled(t, tabletest.Data())
			if outcome == directory.Misconfigured {
				exec(t, w, "DROP VIEW directory_domains")
				return openOn(t, s.Admin(name))
			}
			tx, err := w.Begin()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = tx.Rollback() })
			if _, err := tx.Exec("LOCK TABLE domains, instance IN ACCESS EXCLUSIVE MODE"); err != nil {
				t.Fatal(err)
			}
			return openOn(t, s.Admin(name))
		},
	})
}

// TestAnswersOfServers: what keeps an answer away, and what that is to mail.
func TestAnswersOfServers(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	name, w := s.filled(t, tabletest.Data())
	exec(t, w, "CREATE ROLE stranger LOGIN PASSWORD 's'")
	empty, err := s.Database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		source string
		want   directory.Outcome
	}{
		"healthy":        {s.Admin(name), directory.NotFound},
		"no schema":      {s.Admin(empty), directory.Misconfigured},
		"no database":    {s.Admin("none"), directory.Misconfigured},
		"wrong password": {s.URL("postgres", "x", name), directory.Misconfigured},
		"no permission":  {s.URL("stranger", "s", name), directory.Misconfigured},
		"no server":      {"postgres://x@127.0.0.1:1/x?sslmode=disable", directory.Unavailable},
	} {
		_, err := directory.New(openOn(t, c.source), "").Domain(t.Context(), "none.test")
		if got := directory.OutcomeOf(err); got != c.want || strings.Contains(err.Error(), "superuser") {
			t.Errorf("%s: %s, %v; want %s", what, got, err, c.want)
		}
	}
}

// TestHostileKeysOnPostgres: what no database can have is nobody's, and the catch-all's.
func TestHostileKeysOnPostgres(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	name, w := s.filled(t, tabletest.Data())
	exec(t, w, "INSERT INTO instance VALUES (1, 'A')")
	d := directory.New(openOn(t, s.Admin(name)), "+")
	long := strings.Repeat("x", 10<<10)
	for _, local := range []string{"a\x00b", "\xff\xfe", "' OR 1=1 --", `*)(uid=*`, "$1", "?1", "%s", "\\", long, "x\ny", "\u202e", "\U0001f40b"} {
		if _, err := d.Recipient(t.Context(), addr.Address{Local: local, Domain: "example.test"}); directory.OutcomeOf(err) != directory.NotFound {
			t.Errorf("%.20q: %v", local, err)
		}
		if r, err := d.Recipient(t.Context(), addr.Address{Local: local, Domain: "catch.test"}); err != nil || r.Matched.Local != "" {
			t.Errorf("%.20q is not the catch-all's: %+v, %v", local, r, err)
		}
		if _, err := d.Domain(t.Context(), local); directory.OutcomeOf(err) != directory.NotFound {
			t.Errorf("domain %.20q: %v", local, err)
		}
		if _, err := d.Account(t.Context(), local+"@example.test"); directory.OutcomeOf(err) != directory.NotFound {
			t.Errorf("log-in %.20q: %v", local, err)
		}
	}
}

// TestAServerThatGoesAndComes: with the server stopped, killed and halted nobody is
// unknown, and everybody is found again by the first question after its return, or by one
// for each connection that broke unseen.
func TestAServerThatGoesAndComes(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	name, _ := s.filled(t, tabletest.Data())
	d := directory.New(openOn(t, s.Admin(name)), "+")
	alice, nobody := addr.Address{Local: "alice", Domain: "example.test"}, addr.Address{Local: "nobody", Domain: "example.test"}
	// Many ask all the time; what they hear is right, or that nobody knows.
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				r, err := d.Recipient(ctx, alice)
				switch directory.OutcomeOf(err) {
				case directory.Found:
					if r.Kind != directory.KindMailbox {
						t.Errorf("alice is %+v", r)
					}
				case directory.Unavailable:
				default:
					t.Errorf("alice: %v", err)
				}
				if _, err := d.Recipient(ctx, nobody); err == nil || directory.OutcomeOf(err) == directory.Misconfigured {
					t.Errorf("nobody: %v", err)
				}
			}
		})
	}
	for range 3 {
		for _, away := range []func(){s.Stop, s.Kill} {
			away()
			if err := s.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			var err error
			for range 8 {
				if _, err = d.Recipient(t.Context(), alice); err == nil {
					break
				}
			}
			if err != nil {
				t.Errorf("after its return: %v", err)
			}
		}
	}
	stop()
	wg.Wait()
}

// TestAnotherInstanceOnTheServer: what takes the database's place is not asked.
func TestAnotherInstanceOnTheServer(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	name, w := s.filled(t, tabletest.Data())
	set := func(id identity.ID) {
		t.Helper()
		if err := sql.SetInstance(t.Context(), w, db.Postgres{}, id); err != nil {
			t.Fatal(err)
		}
	}
	found, err := sql.Inspect(t.Context(), onServer(s.Admin(name)))
	if err != nil || found.State != identity.Unmarked || !found.Used {
		t.Errorf("%+v, %v", found, err)
	}
	set("A")
	if found, err = sql.Inspect(t.Context(), onServer(s.Admin(name))); err != nil || found.State != identity.Marked || found.ID != "A" {
		t.Errorf("%+v, %v", found, err)
	}
	d := openOn(t, s.Admin(name))
	ask := func() error { _, err := directory.New(d, "").Domain(t.Context(), "example.test"); return err }
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	set("B")
	if err := ask(); directory.OutcomeOf(err) != directory.Unavailable || !strings.Contains(err.Error(), "another database") {
		t.Errorf("another instance: %v", err)
	}
	set("A")
	if err := ask(); err != nil {
		t.Errorf("put back: %v", err)
	}
	if found, err := sql.Inspect(t.Context(), onServer("postgres://x@127.0.0.1:1/x?sslmode=disable")); err == nil || !sql.Temporary(db.Postgres{}, err) {
		t.Errorf("no server: %+v, %v", found, err)
	}
}
