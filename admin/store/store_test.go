package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
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
	"toastmaster/directory/static"
	"toastmaster/directory/tabletest"
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
	b.Store = store.New(store.Options{
		Writer: b.writer, Reader: b.reader, Hasher: password.NewHasher(c.Auth), Clock: b.clock, Workers: 2,
		Aliases: directory.Limits{Depth: 4, Addresses: 10}, Delimiters: "+",
		Changed: func() { b.changed.Add(1) },
	})
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

// TestContractThroughTheStore: what the write side wrote, the directory reads.
func TestContractThroughTheStore(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	tabletest.Run(t, tabletest.Subject{
		Healthy: func(t *testing.T, data static.Data) directory.Directory {
			b := newBench(t)
			for _, alias := range []bool{false, true} {
				for _, d := range data.Domains {
					if alias == (d.AliasOf != "") {
						in := model.NewDomain{Name: d.Name, AliasOf: d.AliasOf, DomainChange: model.DomainChange{Enabled: &d.Enabled}}
						must(b.AddDomain(ctx, me, in))(t)
					}
				}
			}
			for _, a := range data.Accounts {
				m := a.Mailbox
				in := model.NewMailbox{Address: m.Address.String(), MailboxChange: model.MailboxChange{
					PasswordHash: &a.PasswordHash, QuotaBytes: &m.QuotaBytes, QuotaMessages: &m.QuotaMessages, Enabled: &m.Enabled,
				}}
				must(b.AddMailbox(ctx, me, in))(t)
			}
			for from, to := range data.Aliases {
				must(b.AddAlias(ctx, me, model.NewAlias{Address: from, AliasChange: model.AliasChange{Targets: to}}))(t)
			}
			for from, to := range data.Relocated {
				must(b.AddRelocated(ctx, me, model.NewRelocated{Address: from, RelocatedChange: model.RelocatedChange{MovedTo: to}}))(t)
			}
			d, err := dirsql.Open(b.path, configs.Default().Directory, data.Delimiters)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { d.Close() })
			return d
		},
		Failing: func(_ *testing.T, outcome directory.Outcome) directory.Directory {
			return static.Broken{Outcome: outcome}
		},
	})
}

func TestDomainLife(t *testing.T) {
	t.Parallel()
	b, ctx := newBench(t), context.Background()
	d := must(b.AddDomain(ctx, me, model.NewDomain{Name: "Example.TEST", DomainChange: model.DomainChange{MaxMailboxes: ptr(int64(2)), DefaultQuotaBytes: ptr(int64(5))}}))(t)
	if d.Name != "example.test" || !d.Enabled || d.MaxMailboxes != 2 || d.Created.IsZero() {
		t.Errorf("added %+v", d)
	}
	_, err := b.AddDomain(ctx, me, model.NewDomain{Name: "example.test"})
	wantKind(t, "again", err, model.Exists)
	_, err = b.AddDomain(ctx, me, model.NewDomain{Name: "b.test", AliasOf: "none.test"})
	wantKind(t, "alias of nothing", err, model.Invalid)
	must(b.AddDomain(ctx, me, model.NewDomain{Name: "alias.test", AliasOf: "example.test"}))(t)
	_, err = b.AddDomain(ctx, me, model.NewDomain{Name: "b.test", AliasOf: "alias.test"})
	wantKind(t, "alias of alias", err, model.Invalid)

	b.clock.advance(time.Minute)
	set := must(b.SetDomain(ctx, me, "example.test", model.DomainChange{Enabled: ptr(false)}))(t)
	if set.Enabled || set.MaxMailboxes != 2 || !set.Updated.After(set.Created) {
		t.Errorf("set %+v", set)
	}
	if got := must(b.Domain(ctx, "example.test"))(t); got != set {
		t.Errorf("read %+v, want %+v", got, set)
	}
	_, err = b.SetDomain(ctx, me, "none.test", model.DomainChange{})
	wantKind(t, "set unknown", err, model.NotFound)

	must(b.AddMailbox(ctx, me, model.NewMailbox{Address: "a@example.test"}))(t)
	wantKind(t, "remove with alias", b.RemoveDomain(ctx, me, "example.test", true), model.InUse)
	if err := b.RemoveDomain(ctx, me, "alias.test", false); err != nil {
		t.Error(err)
	}
	wantKind(t, "remove with mailbox", b.RemoveDomain(ctx, me, "example.test", false), model.InUse)
	if err := b.RemoveDomain(ctx, me, "example.test", true); err != nil {
		t.Error(err)
	}
	_, err = b.Mailbox(ctx, "a@example.test")
	wantKind(t, "mailbox of a removed domain", err, model.NotFound)
	wantKind(t, "remove again", b.RemoveDomain(ctx, me, "example.test", false), model.NotFound)
}

func TestMailboxLife(t *testing.T) {
	t.Parallel()
	b, ctx := newBench(t), context.Background()
	must(b.AddDomain(ctx, me, model.NewDomain{Name: "a.test", DomainChange: model.DomainChange{
		MaxMailboxes: ptr(int64(2)), DefaultQuotaBytes: ptr(int64(100)), DefaultQuotaMessages: ptr(int64(10)),
	}}))(t)
	m := must(b.AddMailbox(ctx, me, model.NewMailbox{Address: "Alice@A.test", MailboxChange: model.MailboxChange{Password: ptr("secret")}}))(t)
	if m.Address != "alice@a.test" || m.Home != "a.test/alice" || m.QuotaBytes != 100 || m.QuotaMessages != 10 || !m.Enabled || !m.HasPassword {
		t.Errorf("added %+v", m)
	}
	b.wantPassword(t, "alice@a.test", "secret")
	set := must(b.SetMailbox(ctx, me, "alice@a.test", model.MailboxChange{QuotaBytes: ptr(int64(0))}))(t)
	if set.QuotaBytes != 0 || set.QuotaMessages != 10 || !set.HasPassword {
		t.Errorf("set %+v", set)
	}
	b.wantPassword(t, "alice@a.test", "secret")
	must(b.SetMailbox(ctx, me, "alice@a.test", model.MailboxChange{Password: ptr("other")}))(t)
	b.wantPassword(t, "alice@a.test", "other")
	set = must(b.SetMailbox(ctx, me, "alice@a.test", model.MailboxChange{PasswordHash: ptr("")}))(t)
	if set.HasPassword {
		t.Error("still has a password")
	}
	_, err := b.SetMailbox(ctx, me, "alice@a.test", model.MailboxChange{PasswordHash: ptr("{NOPE}x")})
	wantKind(t, "bad hash", err, model.Invalid)
	for address, kind := range map[string]model.Kind{
		"alice@a.test": model.Exists, "x@b.test": model.Invalid, "x": model.Invalid,
	} {
		_, err := b.AddMailbox(ctx, me, model.NewMailbox{Address: address})
		wantKind(t, address, err, kind)
	}
	must(b.AddMailbox(ctx, me, model.NewMailbox{Address: "b@a.test"}))(t)
	_, err = b.AddMailbox(ctx, me, model.NewMailbox{Address: "c@a.test"})
	wantKind(t, "over the limit", err, model.OverLimit)
	if _, err := b.RemoveMailbox(ctx, me, "alice@a.test"); err != nil {
		t.Error(err)
	}
	_, err = b.RemoveMailbox(ctx, me, "alice@a.test")
	wantKind(t, "remove again", err, model.NotFound)
	must(b.AddMailbox(ctx, me, model.NewMailbox{Address: "c@a.test"}))(t)
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

func TestAnAddressIsOneThingOrMailboxAndAlias(t *testing.T) {
	t.Parallel()
	b, ctx := newBench(t), context.Background()
	b.domain(t, "a.test")
	add := map[string]func(address string) error{
		"mailbox": func(a string) error {
			_, err := b.AddMailbox(ctx, me, model.NewMailbox{Address: a})
			return err
		},
		"alias": func(a string) error {
			_, err := b.AddAlias(ctx, me, model.NewAlias{Address: a, AliasChange: model.AliasChange{Targets: []string{"x@y.test"}}})
			return err
		},
		"relocated": func(a string) error {
			_, err := b.AddRelocated(ctx, me, model.NewRelocated{Address: a, RelocatedChange: model.RelocatedChange{MovedTo: "x@y.test"}})
			return err
		},
	}
	for first, addFirst := range add {
		address := first + "@a.test"
		if err := addFirst(address); err != nil {
			t.Fatal(err)
		}
		for second, addSecond := range add {
			if first != second && first != "relocated" && second != "relocated" {
				continue
			}
			err := addSecond(strings.ToUpper(address))
			wantKind(t, first+" then "+second, err, model.Exists)
			if err != nil && !strings.Contains(err.Error(), first) {
				t.Errorf("%v does not say what it is", err)
			}
		}
	}
	wantKind(t, "remove as another kind", b.RemoveAlias(ctx, me, "mailbox@a.test"), model.NotFound)
	_, err := b.RemoveMailbox(ctx, me, "alias@a.test")
	wantKind(t, "remove as another kind", err, model.NotFound)
}

func TestAliasBesideMailbox(t *testing.T) {
	t.Parallel()
	b, ctx := newBench(t), context.Background()
	b.domain(t, "a.test")
	alias := model.NewAlias{Address: "a@a.test", AliasChange: model.AliasChange{Targets: []string{"A@a.test", "x@y.test"}}}
	if m := must(b.AddMailbox(ctx, me, model.NewMailbox{Address: "a@a.test"}))(t); m.Alias {
		t.Errorf("%+v", m)
	}
	if a := must(b.AddAlias(ctx, me, alias))(t); !a.Mailbox {
		t.Errorf("%+v", a)
	}
	if a := must(b.Alias(ctx, "a@a.test"))(t); !a.Mailbox || len(a.Targets) != 2 {
		t.Errorf("%+v", a)
	}
	if m := must(b.Mailbox(ctx, "a@a.test"))(t); !m.Alias {
		t.Errorf("%+v", m)
	}
	for _, what := range []func() (string, bool){
		func() (string, bool) {
			p := must(b.Aliases(ctx, model.Filter{}, "", 10))(t)
			return "aliases", len(p.Items) == 1 && p.Items[0].Mailbox
		},
		func() (string, bool) {
			p := must(b.Mailboxes(ctx, model.Filter{}, "", 10))(t)
			return "mailboxes", len(p.Items) == 1 && p.Items[0].Alias
		},
	} {
		if name, ok := what(); !ok {
			t.Errorf("list of %s", name)
		}
	}
	// Each goes without the other.
	if err := b.RemoveAlias(ctx, me, "a@a.test"); err != nil {
		t.Fatal(err)
	}
	if m := must(b.Mailbox(ctx, "a@a.test"))(t); m.Alias {
		t.Errorf("%+v", m)
	}
	alias.Targets = []string{"x@y.test"}
	must(b.AddAlias(ctx, me, alias))(t)
	if _, err := b.RemoveMailbox(ctx, me, "a@a.test"); err != nil {
		t.Fatal(err)
	}
	if a := must(b.Alias(ctx, "a@a.test"))(t); a.Mailbox {
		t.Errorf("%+v", a)
	}
	if m := must(b.AddMailbox(ctx, me, model.NewMailbox{Address: "a@a.test"}))(t); !m.Alias {
		t.Errorf("%+v", m)
	}
}

func TestAliasesThatCannotBeExpanded(t *testing.T) {
	t.Parallel()
	b, ctx := newBench(t), context.Background()
	b.domain(t, "a.test")
	b.domain(t, "b.test")
	must(b.AddDomain(ctx, me, model.NewDomain{Name: "alias.test", AliasOf: "a.test"}))(t)
	must(b.AddMailbox(ctx, me, model.NewMailbox{Address: "box@a.test"}))(t)
	add := func(address string, targets ...string) error {
		_, err := b.AddAlias(ctx, me, model.NewAlias{Address: address, AliasChange: model.AliasChange{Targets: targets}})
		return err
	}
	set := func(address string, targets ...string) error {
		_, err := b.SetAlias(ctx, me, address, model.AliasChange{Targets: targets})
		return err
	}
	for _, c := range []struct {
		err  error
		kind model.Kind
		says string
	}{
		{add("x@a.test", "y@b.test"), 0, ""},
		{add("y@b.test", "x+ext@alias.test"), model.Invalid, "y@b.test -> x@a.test -> y@b.test"},
		{add("y@b.test", "z@b.test", "far@y.test"), 0, ""},
		{add("z@b.test", "box@a.test", "x@a.test"), model.Invalid, "z@b.test -> x@a.test -> y@b.test -> z@b.test"},
		{set("y@b.test", "X@alias.test"), model.Invalid, "y@b.test -> x@a.test -> y@b.test"},
		{set("y@b.test", "box@alias.test"), 0, ""},
		{add("@b.test", "nobody@b.test"), model.Invalid, "@b.test -> @b.test"},
		{add("@b.test", "y@b.test"), 0, ""},
		{add("self@a.test", "self@alias.test", "y@b.test"), model.Invalid, "no mailbox"},
		{add("box@a.test", "box@alias.test", "x@a.test"), 0, ""},
		{add("d1@a.test", "x@a.test"), 0, ""},
		{add("many@a.test", "1@y.test", "2@y.test", "3@y.test", "4@y.test", "5@y.test", "6@y.test", "7@y.test", "8@y.test", "9@y.test", "10@y.test", "11@y.test"),
			model.OverLimit, "more than 10 addresses"},
		{add("d2@a.test", "d1@a.test"), model.OverLimit, "nested deeper than 4"},
	} {
		switch {
		case c.says == "" && c.err != nil:
			t.Error(c.err)
		case c.says != "":
			wantKind(t, c.says, c.err, c.kind)
			if c.err != nil && !strings.Contains(c.err.Error(), c.says) {
				t.Errorf("%v does not say %q", c.err, c.says)
			}
		}
	}
	// Nothing is left of what was refused.
	for _, address := range []string{"z@b.test", "self@a.test", "many@a.test", "d2@a.test"} {
		_, err := b.Alias(ctx, address)
		wantKind(t, address, err, model.NotFound)
	}
	if a := must(b.Alias(ctx, "y@b.test"))(t); len(a.Targets) != 1 || a.Targets[0] != "box@alias.test" {
		t.Errorf("%+v", a)
	}
}

func TestAliasAndRelocatedLife(t *testing.T) {
	t.Parallel()
	b, ctx := newBench(t), context.Background()
	b.domain(t, "a.test")
	targets := []string{"Z@y.test", "a@a.test", "m@y.test"}
	a := must(b.AddAlias(ctx, me, model.NewAlias{Address: "List@a.test", AliasChange: model.AliasChange{Targets: targets}}))(t)
	if got := must(b.Alias(ctx, "list@a.test"))(t); !slices.Equal(got.Targets, targets) || got.Address != a.Address {
		t.Errorf("read %+v", got)
	}
	must(b.AddAlias(ctx, me, model.NewAlias{Address: "@a.test", AliasChange: model.AliasChange{Targets: []string{"z@y.test"}}}))(t)
	for target, want := range map[string]int{"Z@Y.test": 2, "a@a.test": 1, "none@y.test": 0, "": 2} {
		if got := must(b.Aliases(ctx, model.Filter{Target: target}, "", 10))(t); len(got.Items) != want {
			t.Errorf("target %q: %+v", target, got.Items)
		}
	}
	must(b.SetAlias(ctx, me, "list@a.test", model.AliasChange{Targets: []string{"new@y.test"}}))(t)
	if got := must(b.Alias(ctx, "list@a.test"))(t); !slices.Equal(got.Targets, []string{"new@y.test"}) {
		t.Errorf("after set %+v", got)
	}
	_, err := b.SetAlias(ctx, me, "none@a.test", model.AliasChange{Targets: []string{"new@y.test"}})
	wantKind(t, "set unknown", err, model.NotFound)
	if err := b.RemoveAlias(ctx, me, "@a.test"); err != nil {
		t.Error(err)
	}
	must(b.AddRelocated(ctx, me, model.NewRelocated{Address: "gone@a.test", RelocatedChange: model.RelocatedChange{MovedTo: "x@y.test"}}))(t)
	r := must(b.SetRelocated(ctx, me, "gone@a.test", model.RelocatedChange{MovedTo: "ask the office"}))(t)
	if got := must(b.Relocated(ctx, "gone@a.test"))(t); got != r || got.MovedTo != "ask the office" {
		t.Errorf("read %+v", got)
	}
	if err := b.RemoveRelocated(ctx, me, "gone@a.test"); err != nil {
		t.Error(err)
	}
	if c := must(b.Counts(ctx))(t); c != (model.HostedCounts{Domains: 1, Aliases: 1}) {
		t.Errorf("counts %+v", c)
	}
}

// TestPaging goes through 5,000 mailboxes of two domains while others come.
func TestPaging(t *testing.T) {
	t.Parallel()
	b, ctx := newBench(t), context.Background()
	b.domain(t, "a.test")
	b.domain(t, "b.test")
	const n = 5000
	in := make([]model.NewMailbox, n)
	for i := range in {
		in[i].Address = fmt.Sprintf("u%d@%s.test", i, string("ab"[i%2]))
	}
	start := time.Now()
	for chunk := range slices.Chunk(in, 500) {
		for _, r := range must(b.AddMailboxes(ctx, me, chunk))(t) {
			if r.Result != model.BulkAdded {
				t.Fatalf("%+v", r)
			}
		}
	}
	t.Logf("%d mailboxes in %s", n, time.Since(start))
	for _, f := range []model.Filter{{}, {Domain: "a.test"}, {Contains: "99@"}, {Domain: "none.test"}, {Enabled: ptr(false)}} {
		seen := map[string]bool{}
		last, after := "", ""
		for {
			p := must(b.Mailboxes(ctx, f, after, 333))(t)
			for _, m := range p.Items {
				if m.Address <= last {
					t.Fatalf("%q after %q", m.Address, last)
				}
				last = m.Address
				seen[m.Address] = true
			}
			if p.Next == "" {
				break
			}
			after = p.Next
			if f == (model.Filter{}) && len(seen) == 999 {
				// One that comes before the place is not shown, one behind is.
				must(b.AddMailbox(ctx, me, model.NewMailbox{Address: "0@a.test"}))(t)
				must(b.AddMailbox(ctx, me, model.NewMailbox{Address: "zzz@a.test"}))(t)
			}
		}
		want := map[model.Filter]int{{}: n + 1, {Domain: "a.test"}: n/2 + 2, {Contains: "99@"}: 50, {Domain: "none.test"}: 0}[f]
		if len(seen) != want {
			t.Errorf("%+v: %d mailboxes, want %d", f, len(seen), want)
		}
	}
}

func TestBulk(t *testing.T) {
	t.Parallel()
	b, ctx := newBench(t), context.Background()
	must(b.AddDomain(ctx, me, model.NewDomain{Name: "a.test", DomainChange: model.DomainChange{MaxMailboxes: ptr(int64(4))}}))(t)
	must(b.AddRelocated(ctx, me, model.NewRelocated{Address: "gone@a.test", RelocatedChange: model.RelocatedChange{MovedTo: "x"}}))(t)
	must(b.AddMailbox(ctx, me, model.NewMailbox{Address: "old@a.test", MailboxChange: model.MailboxChange{Password: ptr("keep")}}))(t)
	const hash = "{SSHA}OzzvfepGxsUTtI24VJOyxGOx6G886Nvd"
	in := []model.NewMailbox{
		{Address: "one@a.test", MailboxChange: model.MailboxChange{Password: ptr("1"), QuotaBytes: ptr(int64(7))}},
		{Address: "Old@a.test", MailboxChange: model.MailboxChange{Password: ptr("new")}},
		{Address: "nonsense"},
		{Address: "hash@a.test", MailboxChange: model.MailboxChange{PasswordHash: ptr(hash)}},
		{Address: "ONE@a.test", MailboxChange: model.MailboxChange{Password: ptr("2")}},
		{Address: "gone@a.test"},
		{Address: "x@elsewhere.test"},
		{Address: "bad@a.test", MailboxChange: model.MailboxChange{PasswordHash: ptr("{NOPE}")}},
		{Address: "four@a.test"},
		{Address: "five@a.test"},
	}
	want := []string{"added", "exists", "failed", "added", "exists", "failed", "failed", "failed", "added", "failed"}
	before := b.changed.Load()
	for i, r := range must(b.AddMailboxes(ctx, me, in))(t) {
		if r.Result != want[i] || (r.Error != "") != (want[i] == "failed") {
			t.Errorf("%d: %+v, want %s", i, r, want[i])
		}
	}
	if b.changed.Load() != before+1 {
		t.Error("not one change")
	}
	b.wantPassword(t, "one@a.test", "1")
	b.wantPassword(t, "old@a.test", "keep")
	b.wantPassword(t, "hash@a.test", "secret")
	if got := b.hash(t, "hash@a.test"); got != hash {
		t.Errorf("stored %s", got)
	}
	for i, r := range must(b.AddMailboxes(ctx, me, in[:2]))(t) {
		if r.Result != model.BulkExists {
			t.Errorf("again %d: %+v", i, r)
		}
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	_, err := b.AddMailboxes(cancelled, me, in)
	wantKind(t, "cancelled", err, model.Unavailable)
}

func TestAuditIsComplete(t *testing.T) {
	t.Parallel()
	b, ctx := newBench(t), context.Background()
	b.domain(t, "a.test")
	must(b.AddMailbox(ctx, "token:x", model.NewMailbox{Address: "m@a.test", MailboxChange: model.MailboxChange{Password: ptr("s3cr3t")}}))(t)
	must(b.SetMailbox(ctx, me, "m@a.test", model.MailboxChange{Password: ptr("s3cr3t2")}))(t)
	if _, err := b.RemoveMailbox(ctx, me, "m@a.test"); err != nil {
		t.Fatal(err)
	}
	secret := must(b.AddToken(ctx, me, model.NewToken{Name: "t"}))(t)
	_, err := b.AddMailbox(ctx, me, model.NewMailbox{Address: "m@none.test"})
	wantKind(t, "refused", err, model.Invalid)
	all := must(b.Audit(ctx, "", "", 0, 100))(t)
	var got []string
	for _, e := range all {
		got = append(got, fmt.Sprintf("%s %s %s %s %v %v", e.Actor, e.Action, e.Object, e.Name, e.Before != nil, e.After != nil))
		if text := string(e.Before) + string(e.After); strings.Contains(text, "argon2") || strings.Contains(text, "s3cr3t") || strings.Contains(text, secret.Secret) {
			t.Errorf("secret in the audit: %s", text)
		}
	}
	want := []string{
		"unix:uid=0 add token t false true",
		"unix:uid=0 remove mailbox m@a.test true false",
		"unix:uid=0 set mailbox m@a.test true true",
		"token:x add mailbox m@a.test false true",
		"unix:uid=0 add domain a.test false true",
	}
	if !slices.Equal(got, want) {
		t.Errorf("audit:\n%s", strings.Join(got, "\n"))
	}
	if !strings.Contains(string(all[2].After), `"password_changed":true`) {
		t.Errorf("the change of password does not show: %s", all[2].After)
	}
	if second := must(b.Audit(ctx, "mailbox", "m@a.test", all[1].ID, 1))(t); len(second) != 1 || second[0].Action != "set" {
		t.Errorf("second page %+v", second)
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	b, ctx := newBench(t), context.Background()
	soon := b.clock.Now().Add(time.Hour)
	s := must(b.AddToken(ctx, me, model.NewToken{Name: "ci", Expires: &soon}))(t)
	if len(s.Secret) < 40 || !strings.HasPrefix(s.Secret, "tmt_") {
		t.Errorf("secret %q", s.Secret)
	}
	p := must(b.Authenticate(ctx, s.Secret))(t)
	if p.Name != "token:ci" || p.Role != "superadmin" {
		t.Errorf("principal %+v", p)
	}
	if list := must(b.Tokens(ctx))(t); len(list) != 1 || list[0].LastUsed == nil || list[0].Name != "ci" {
		t.Errorf("list %+v", list)
	}
	var plain int
	if err := b.reader.QueryRow("SELECT count(*) FROM api_tokens WHERE token_hash LIKE 'tmt%'").Scan(&plain); err != nil || plain != 0 {
		t.Error("the secret is in the database")
	}
	_, err := b.AddToken(ctx, me, model.NewToken{Name: "ci"})
	wantKind(t, "same name", err, model.Exists)
	_, err = b.AddToken(ctx, me, model.NewToken{Name: "x", Role: "king"})
	wantKind(t, "unknown role", err, model.Invalid)
	past := b.clock.Now().Add(-time.Hour)
	_, err = b.AddToken(ctx, me, model.NewToken{Name: "x", Expires: &past})
	wantKind(t, "expired at birth", err, model.Invalid)
	for _, bad := range []string{"", "x", s.Secret + "x", strings.ToUpper(s.Secret)} {
		_, err := b.Authenticate(ctx, bad)
		wantKind(t, bad, err, model.Unauthenticated)
	}
	b.clock.advance(time.Hour)
	_, err = b.Authenticate(ctx, s.Secret)
	wantKind(t, "expired", err, model.Unauthenticated)
	if err := b.RemoveToken(ctx, me, "ci"); err != nil {
		t.Error(err)
	}
	wantKind(t, "remove again", b.RemoveToken(ctx, me, "ci"), model.NotFound)
}

func TestReplaceHash(t *testing.T) {
	t.Parallel()
	b, ctx := newBench(t), context.Background()
	b.domain(t, "a.test")
	m := must(b.AddMailbox(ctx, me, model.NewMailbox{Address: "m@a.test", MailboxChange: model.MailboxChange{PasswordHash: ptr("{PLAIN}x")}}))(t)
	box := must(store.Directory(m))(t)
	for _, step := range []struct{ old, new, want string }{
		{"{PLAIN}other", "{PLAIN}evil", "{PLAIN}x"}, {"{PLAIN}x", "{PLAIN}stronger", "{PLAIN}stronger"},
	} {
		if err := b.ReplaceHash(ctx, box, step.old, step.new); err != nil {
			t.Fatal(err)
		}
		if got := b.hash(t, "m@a.test"); got != step.want {
			t.Errorf("hash %s, want %s", got, step.want)
		}
	}
}

// TestLockedDatabase: another process writes; the answer is "later", and what
// was refused is not there.
func TestLockedDatabase(t *testing.T) {
	t.Parallel()
	b, ctx := newBench(t), context.Background()
	b.domain(t, "a.test")
	other := must(dirsql.OpenWriter(ctx, b.path, configs.Default().Directory))(t)
	defer other.Close()
	lock := must(other.BeginTx(ctx, nil))(t)
	before := b.changed.Load()
	_, err := b.AddMailbox(ctx, me, model.NewMailbox{Address: "m@a.test"})
	wantKind(t, "locked", err, model.Unavailable)
	if b.changed.Load() != before {
		t.Error("Changed was called")
	}
	must(b.Mailboxes(ctx, model.Filter{}, "", 10))(t) // readers go on
	if err := lock.Rollback(); err != nil {
		t.Fatal(err)
	}
	must(b.AddMailbox(ctx, me, model.NewMailbox{Address: "m@a.test"}))(t)
}

func TestBrokenSchemaIsInternal(t *testing.T) {
	t.Parallel()
	b, ctx := newBench(t), context.Background()
	if _, err := b.writer.Exec("DROP TABLE relocated"); err != nil {
		t.Fatal(err)
	}
	_, err := b.RelocatedList(ctx, model.Filter{}, "", 10)
	wantKind(t, "dropped table", err, model.Internal)
	var e *model.Error
	if !errors.As(err, &e) || strings.Contains(e.Text, "relocated") || e.Cause == nil {
		t.Errorf("internals in the text, or no cause: %+v", e)
	}
}

func BenchmarkBulk(b *testing.B) {
	s := newBench(b)
	s.domain(b, "a.test")
	i := 0
	for b.Loop() {
		in := make([]model.NewMailbox, 500)
		for j := range in {
			in[j] = model.NewMailbox{Address: fmt.Sprintf("u%d@a.test", i), MailboxChange: model.MailboxChange{Password: ptr("secret")}}
			i++
		}
		must(s.AddMailboxes(context.Background(), me, in))(b)
	}
	b.ReportMetric(float64(i)/b.Elapsed().Seconds(), "mailboxes/s")
}

// TestCredential: it changes with the mailbox and with the password, and with
// nothing else, because open sessions end with it.
func TestCredential(t *testing.T) {
	t.Parallel()
	b, ctx := newBench(t), context.Background()
	b.domain(t, "a.test")
	directory := must(dirsql.Open(b.path, configs.Default().Directory, ""))(t)
	defer directory.Close()
	in := model.NewMailbox{Address: "m@a.test", MailboxChange: model.MailboxChange{PasswordHash: ptr("{PLAIN}x")}}
	m := must(b.AddMailbox(ctx, me, in))(t)
	last := ""
	for _, step := range []struct {
		name    string
		do      func() error
		another bool
	}{
		{"add", func() error { return nil }, true},
		{"quota", func() error {
			_, err := b.SetMailbox(ctx, me, "m@a.test", model.MailboxChange{QuotaBytes: ptr(int64(5))})
			return err
		}, false},
		{"stronger hash", func() error {
			return b.ReplaceHash(ctx, must(store.Directory(m))(t), "{PLAIN}x", "{PLAIN}y")
		}, false},
		{"password", func() error {
			_, err := b.SetMailbox(ctx, me, "m@a.test", in.MailboxChange)
			return err
		}, true},
		{"made anew", func() error {
			if _, err := b.RemoveMailbox(ctx, me, "m@a.test"); err != nil {
				return err
			}
			_, err := b.AddMailbox(ctx, me, in)
			return err
		}, true},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		now := must(directory.Account(ctx, "m@a.test"))(t).Mailbox.Credential
		if now == "" || (now != last) != step.another {
			t.Errorf("%s: %q after %q", step.name, now, last)
		}
		last = now
	}
}
