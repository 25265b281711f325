package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"toastmaster/admin/model"
	"toastmaster/admin/store"
	"toastmaster/admin/store/storetest"
	"toastmaster/directory"
	"toastmaster/directory/password"
	dirsql "toastmaster/directory/sql"
	"toastmaster/internal/clock"
	"toastmaster/internal/db"
	"toastmaster/internal/testkit/peers"
)

// onServer is the PostgreSQL that the tests are on, nil for SQLite.
var onServer *peers.Postgres

// TestMain runs the tests on both databases.
func TestMain(m *testing.M) {
	code := peers.RunOnBoth(m, func(p *peers.Postgres) { onServer = p })
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Println(err)
		code = 1
	}
	os.Exit(code)
}

type bench struct {
	*store.Store
	database       dirsql.Options
	writer, reader *sql.DB
	changed        atomic.Int64
	clock          *stopped
}

type stopped struct {
	clock.System
	mu  sync.Mutex
	now time.Time
}

func (s *stopped) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *stopped) advance(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

func newBench(t testing.TB) *bench {
	t.Helper()
	c := storetest.Config()
	c.Directory.BusyTimeout = 50 * time.Millisecond
	b := &bench{clock: &stopped{now: time.Unix(1_700_000_000, 0)}}
	change := func(o *store.Options) {
		o.Clock, o.Aliases, o.Delimiters = b.clock, directory.Limits{Depth: 4, Addresses: 10}, "+"
		o.Changed = func() { b.changed.Add(1) }
	}
	var k *storetest.Kit
	if onServer == nil {
		k = storetest.Open(t, c, change)
	} else {
		name, err := onServer.Database(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		k = storetest.On(t, storetest.Options{Config: c, Change: change,
			Database: dirsql.Options{Dialect: db.Postgres{}, Source: onServer.Admin(name), Params: c.Directory}})
	}
	b.Store, b.database, b.writer, b.reader = k.Store, k.Database, k.Writer, k.Reader
	return b
}

const me = "unix:uid=0"

func ptr[T any](v T) *T { return &v }

func wantKind(t testing.TB, what string, err error, want model.Kind) {
	t.Helper()
	if err == nil || model.KindOf(err) != want {
		t.Errorf("%s: %v (kind %d), want kind %d", what, err, model.KindOf(err), want)
	}
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (b *bench) domain(t testing.TB, name string) {
	t.Helper()
	must(b.AddDomain(context.Background(), me, model.NewDomain{Name: name}))(t)
}

func (b *bench) hash(t testing.TB, address string) string {
	t.Helper()
	var hash string
	if err := b.reader.QueryRow("SELECT password_hash FROM mailboxes JOIN addresses ON id = address_id WHERE address = "+b.database.Dialect.Bind("?1"), address).Scan(&hash); err != nil {
		t.Fatal(err)
	}
	return hash
}

func (b *bench) wantPassword(t testing.TB, address, want string) {
	t.Helper()
	if ok, err := password.Verify(b.hash(t, address), want); !ok || err != nil {
		t.Errorf("%s: password is not %q: %v", address, want, err)
	}
}
