package db

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lib/pq"

	"toastmaster/internal/testkit/peers"
)

// postgres is a Dialect of another database, to see that the seam is one: all that
// is asked of it here, SQLite and PostgreSQL answer alike. It is not used yet.
type postgres struct{}

var _ Dialect = postgres{}

func (postgres) Name() string { return "postgres" }

func (postgres) Open(ctx context.Context, o Options) (*sql.DB, error) {
	source := o.Source + fmt.Sprintf(" lock_timeout=%d", o.BusyTimeout.Milliseconds())
	if o.Write {
		o.Connections = 1
	} else {
		source += " default_transaction_read_only=on"
	}
	db, err := sql.Open("postgres", source)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(o.Connections)
	db.SetMaxIdleConns(o.Connections)
	return db, nil
}

func (postgres) Classify(err error) Class {
	var e *pq.Error
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return NoRows
	case !errors.As(err, &e):
		return Other
	}
	switch {
	case e.Code == "23505":
		return Duplicate
	case e.Code.Class() == "42", e.Code.Class() == "XX", e.Code.Class() == "3D", e.Code.Class() == "28":
		return Broken
	case e.Code.Class() == "08", e.Code.Class() == "53", e.Code.Class() == "55", e.Code.Class() == "57", e.Code.Class() == "58":
		return Busy
	}
	return Other
}

var placeholder = regexp.MustCompile(`\?(\d+)`)

func (postgres) Bind(query string) string { return placeholder.ReplaceAllString(query, "$$$1") }

func (postgres) HasTable(ctx context.Context, on Queryer, name string) (there bool, err error) {
	err = on.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM information_schema.tables WHERE table_schema = current_schema() AND table_name = $1)", name).Scan(&there)
	return there, err
}

func (postgres) Lock(ctx context.Context, db *sql.DB) (*sql.Tx, error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock(1)"); err != nil {
		return nil, errors.Join(err, tx.Rollback())
	}
	return tx, nil
}

func (postgres) InsertID(ctx context.Context, prepare Prepare, query string, args ...any) (id int64, err error) {
	s, err := prepare(ctx, query+" RETURNING id")
	if err != nil {
		return 0, err
	}
	err = s.QueryRowContext(ctx, args...).Scan(&id)
	return id, err
}

// startPostgres runs a server until the test ends and says how to reach it. It
// refuses to be root's, so then it is the user's that Debian makes for it.
func startPostgres(t *testing.T) string {
	t.Helper()
	bin := filepath.Dir(peers.Need(t, "/usr/lib/postgresql/15/bin/postgres", "postgresql-15"))
	// A socket's path must be short.
	dir, err := os.MkdirTemp("", "pg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	as := &syscall.SysProcAttr{}
	if os.Geteuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			t.Fatal(err)
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		as.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	command := func(name string, args ...string) *exec.Cmd {
		c := exec.Command(filepath.Join(bin, name), args...)
		c.Dir, c.SysProcAttr = dir, as
		c.Env = []string{"LC_ALL=C", "PATH=/usr/bin:/bin"}
		return c
	}
	data := filepath.Join(dir, "data")
	if out, err := command("initdb", "-D", data, "-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	server := command("postgres", "-D", data, "-k", dir, "-c", "listen_addresses=", "-c", "fsync=off")
	lines, err := server.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan bool, 1)
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(ready)
		for scan := bufio.NewScanner(lines); scan.Scan(); {
			if strings.Contains(scan.Text(), "ready to accept connections") {
				ready <- true
			}
		}
	}()
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGINT) // "fast"
		<-read
		_ = server.Wait()
	})
	select {
	case ok := <-ready:
		if !ok {
			t.Fatal("the server has ended")
		}
	case <-time.After(time.Minute):
		t.Fatal("the server is not ready")
	}
	return "host=" + dir + " user=postgres dbname=postgres sslmode=disable"
}

// TestPostgres: another database behind the same seam.
func TestPostgres(t *testing.T) {
	t.Parallel()
	source := startPostgres(t)
	on, err := postgres{}.Open(t.Context(), Options{Source: source, Write: true})
	if err != nil {
		t.Fatal(err)
	}
	defer on.Close()
	n := 0
	d := dialectBed{dialect: postgres{}, open: func(t *testing.T) string {
		n++
		schema := fmt.Sprintf("s%d", n)
		if _, err := on.Exec("CREATE SCHEMA " + schema); err != nil {
			t.Fatal(err)
		}
		return source + " search_path=" + schema
	}, table: "CREATE TABLE x (id BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, name TEXT NOT NULL UNIQUE)"}
	t.Run("transactions", func(t *testing.T) { transactions(t, d) })
	t.Run("classes", func(t *testing.T) { classes(t, d) })
	t.Run("tables", func(t *testing.T) { tables(t, d) })
}
