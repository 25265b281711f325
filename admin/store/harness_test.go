package store_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"toastmaster/admin/model"
	"toastmaster/admin/store"
	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/password"
	dirsql "toastmaster/directory/sql"
	"toastmaster/internal/clock"
	"toastmaster/migrations"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type bench struct {
	*store.Store
	path           string
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
	ctx := context.Background()
	c := configs.Default()
	c.Auth.Argon2Memory, c.Auth.Argon2Time = 128<<10, 1
	c.Directory.BusyTimeout = 50 * time.Millisecond
	b := &bench{path: filepath.Join(t.TempDir(), "x.db"), clock: &stopped{now: time.Unix(1_700_000_000, 0)}}
	var err error
	if err := dirsql.Create(b.path); err != nil {
		t.Fatal(err)
	}
	if b.writer, err = dirsql.OpenWriter(ctx, b.path, c.Directory); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.writer.Close() })
	if err := migrations.Up(ctx, b.writer); err != nil {
		t.Fatal(err)
	}
	if b.reader, err = dirsql.OpenReader(b.path, c.Directory); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.reader.Close() })
	b.Store, err = store.New(store.Options{
		Writer: b.writer, Reader: b.reader, Hasher: password.NewHasher(c.Auth), Clock: b.clock, Workers: 2,
		Aliases: directory.Limits{Depth: 4, Addresses: 10}, Delimiters: "+",
		Changed: func() { b.changed.Add(1) },
	})
	if err != nil {
		t.Fatal(err)
	}
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
	if err := b.reader.QueryRow("SELECT password_hash FROM mailboxes JOIN addresses ON id = address_id WHERE address = ?", address).Scan(&hash); err != nil {
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
