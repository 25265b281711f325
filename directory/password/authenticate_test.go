package password

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/static"
	"toastmaster/internal/anvil"
	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
	"toastmaster/internal/msglog"
)

// handClock moves when a timer is made: whoever waits has waited.
type handClock struct {
	mu     sync.Mutex
	now    time.Time
	waited []time.Duration
}

func (c *handClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *handClock) NewTimer(d time.Duration) clock.Timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	c.waited = append(c.waited, d)
	return clock.System{}.NewTimer(0)
}

func (c *handClock) lastWait() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waited) == 0 {
		return 0
	}
	d := c.waited[len(c.waited)-1]
	c.waited = nil
	return d
}

type bench struct {
	auth  *Authenticator
	clock *handClock
	log   *bytes.Buffer
}

func newBench(t *testing.T, c configs.Auth, d *directory.Directory, change func(*Options)) *bench {
	t.Helper()
	b := &bench{clock: &handClock{now: time.Unix(1e9, 0)}, log: &bytes.Buffer{}}
	o := Options{
		Directory: d, Params: c, Log: msglog.New(slog.NewTextHandler(b.log, nil)), Clock: b.clock,
		Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	}
	if change != nil {
		change(&o)
	}
	b.auth = New(o)
	return b
}

func hosted(t *testing.T, accounts ...directory.Account) *directory.Directory {
	t.Helper()
	return directory.New(table(t, accounts...), "")
}

func table(t *testing.T, accounts ...directory.Account) *static.Table {
	t.Helper()
	d, err := static.NewTable(static.Data{Domains: static.Hosted("example.test"), Accounts: accounts})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func people(t *testing.T) *directory.Directory {
	h := NewHasher(cheap())
	off := static.Box("off@example.test", h.Hash("off"))
	off.Mailbox.Enabled = false
	return hosted(t, static.Box("alice@example.test", h.Hash("secret")), off,
		static.Box("empty@example.test", ""), static.Box("broken@example.test", "{NOPE}x"))
}

func attempt(login, password string) Attempt {
	return Attempt{Service: "imapd", Session: "s1", Client: netip.MustParseAddr("192.0.2.1"), Mechanism: "PLAIN", Login: login, Password: password}
}

func statusOf(err error) dsn.Status {
	var e *dsn.Error
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		attempt Attempt
		status  dsn.Status
		reason  string
	}{
		"right":       {attempt("alice@example.test", "secret"), 0, ""},
		"other case":  {attempt("Alice@Example.Test", "secret"), 0, ""},
		"wrong":       {attempt("alice@example.test", "Secret"), dsn.AuthFailed, "mismatch"},
		"unknown":     {attempt("bob@example.test", "secret"), dsn.AuthFailed, "unknown"},
		"no domain":   {attempt("alice", "secret"), dsn.AuthFailed, "unknown"},
		"disabled":    {attempt("off@example.test", "off"), dsn.AuthFailed, "disabled"},
		"disabled 2":  {attempt("off@example.test", "wrong"), dsn.AuthFailed, "mismatch"},
		"no hash":     {attempt("empty@example.test", ""), dsn.AuthFailed, "mismatch"},
		"broken hash": {attempt("broken@example.test", "x"), dsn.AuthUnavailable, "unavailable"},
		"too long":    {attempt("alice@example.test", strings.Repeat("x", MaxPassword+1)), dsn.AuthFailed, "mismatch"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, cheap(), people(t), nil)
			box, err := b.auth.Authenticate(context.Background(), c.attempt)
			if got := statusOf(err); got != c.status || (err == nil) != (c.status == 0) {
				t.Errorf("status %s (%v), want %s", got, err, c.status)
			}
			if err == nil && box.Address.String() != "alice@example.test" {
				t.Errorf("mailbox %+v", box)
			}
			if n := strings.Count(b.log.String(), "msg=login"); n != 1 {
				t.Errorf("%d events:\n%s", n, b.log)
			}
			if !strings.Contains(b.log.String(), c.reason) {
				t.Errorf("reason %q missing:\n%s", c.reason, b.log)
			}
		})
	}
}

func TestAuthorizationIdentity(t *testing.T) {
	t.Parallel()
	b := newBench(t, cheap(), people(t), nil)
	a := attempt("alice@example.test", "secret")
	a.AuthzID = "ALICE@example.test"
	if _, err := b.auth.Authenticate(context.Background(), a); err != nil {
		t.Errorf("own identity: %v", err)
	}
	a.AuthzID = "off@example.test"
	if _, err := b.auth.Authenticate(context.Background(), a); statusOf(err) != dsn.AuthFailed {
		t.Errorf("another's identity: %v", err)
	}
}

func TestNothingSecretIsLogged(t *testing.T) {
	t.Parallel()
	b := newBench(t, cheap(), people(t), nil)
	for _, login := range []string{"alice@example.test", "broken@example.test", "x", strings.Repeat("y", 10000)} {
		b.auth.Authenticate(context.Background(), attempt(login, "s3cr3tpassw0rd"))
	}
	if log := b.log.String(); strings.Contains(log, "s3cr3t") || strings.Contains(log, "argon2id$") || len(log) > 5000 {
		t.Errorf("log:\n%s", log)
	}
}

func TestDirectoryDown(t *testing.T) {
	t.Parallel()
	for _, outcome := range []directory.Outcome{directory.Unavailable, directory.Misconfigured} {
		b := newBench(t, cheap(), static.Broken{Outcome: outcome}.Directory(), nil)
		_, err := b.auth.Authenticate(context.Background(), attempt("alice@example.test", "secret"))
		if statusOf(err) != dsn.AuthUnavailable {
			t.Errorf("%s: %v", outcome, err)
		}
		if strings.Contains(dsn.From(err).Text, "static") {
			t.Errorf("internals in the text: %s", dsn.From(err).Text)
		}
		if b.auth.guard.counter.Keys(anvil.Auth) != 0 {
			t.Error("the client is punished for our failure")
		}
	}
}

func TestFailuresSlowAClientDown(t *testing.T) {
	t.Parallel()
	b := newBench(t, cheap(), people(t), nil)
	ctx := context.Background()
	for i, want := range []time.Duration{0, 2, 4, 8, 16, 16} {
		if _, err := b.auth.Authenticate(ctx, attempt("alice@example.test", fmt.Sprint("wrong", i))); statusOf(err) != dsn.AuthFailed {
			t.Fatal(err)
		}
		if got := b.clock.lastWait(); got != want*time.Second {
			t.Errorf("attempt %d waited %s, want %ds", i, got, want)
		}
	}
	// A success waits too, and forgives.
	if _, err := b.auth.Authenticate(ctx, attempt("alice@example.test", "secret")); err != nil {
		t.Fatal(err)
	}
	if got := b.clock.lastWait(); got != 16*time.Second {
		t.Errorf("the success waited %s", got)
	}
	wrong := attempt("alice@example.test", "wrong")
	b.auth.Authenticate(ctx, wrong)
	if got := b.clock.lastWait(); got != 0 {
		t.Errorf("after the success waited %s", got)
	}
	// Failures are forgotten in time.
	b.clock.mu.Lock()
	b.clock.now = b.clock.now.Add(2 * cheap().FailureMemory)
	b.clock.mu.Unlock()
	b.auth.Authenticate(ctx, wrong)
	if got := b.clock.lastWait(); got != 0 {
		t.Errorf("long after waited %s", got)
	}
}

func TestWhoIsPunished(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		failing, asking string
		punished        bool
		trusted         string // 127.0.0.0/8 when empty
	}{
		{"192.0.2.1", "192.0.2.1", true, ""},
		{"192.0.2.1", "192.0.2.2", false, ""},
		{"192.0.2.1", "::ffff:192.0.2.1", true, ""},
		{"2001:db8::1", "2001:db8::ffff", true, ""},
		{"2001:db8::1", "2001:db8:0:1::1", false, ""},
		{"127.0.0.1", "127.0.0.1", false, ""},
		{"::ffff:127.0.0.1", "127.0.0.1", false, ""},
		{"", "", false, ""},
		// Loopback is trusted by the list only.
		{"127.0.0.1", "127.0.0.1", true, "192.0.2.0/24"},
		{"::1", "::1", true, "192.0.2.0/24"},
		{"", "", false, "192.0.2.0/24"},
	} {
		b := newBench(t, cheap(), people(t), func(o *Options) {
			if c.trusted != "" {
				o.Trusted = []netip.Prefix{netip.MustParsePrefix(c.trusted)}
			}
		})
		a := attempt("nobody@example.test", "x")
		ask := a
		a.Client, ask.Client = netip.Addr{}, netip.Addr{}
		if c.failing != "" {
			a.Client, ask.Client = netip.MustParseAddr(c.failing), netip.MustParseAddr(c.asking)
		}
		b.auth.Authenticate(context.Background(), a)
		b.auth.Authenticate(context.Background(), ask)
		if got := b.clock.lastWait() > 0; got != c.punished {
			t.Errorf("%+v: punished %v", c, got)
		}
	}
}

func TestSuccessIsRememberedUntilTheHashChanges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := NewHasher(cheap())
		d := &switching{under: table(t, static.Box("alice@example.test", h.Hash("secret")))}
		b := newBench(t, cheap(), directory.New(d, ""), nil)
		ctx := context.Background()
		right := attempt("alice@example.test", "secret")
		if _, err := b.auth.Authenticate(ctx, right); err != nil {
			t.Fatal(err)
		}
		// From here on nobody gets a slot: only the memory can say yes.
		for range cap(b.auth.slots) {
			b.auth.slots <- struct{}{}
		}
		short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		defer cancel()
		if _, err := b.auth.Authenticate(short, right); err != nil {
			t.Errorf("not remembered: %v", err)
		}
		if _, err := b.auth.Authenticate(short, attempt("alice@example.test", "secreT")); statusOf(err) != dsn.AuthUnavailable {
			t.Errorf("another password: %v", err)
		}
		for range cap(b.auth.slots) {
			<-b.auth.slots
		}
		d.become(table(t, static.Box("alice@example.test", h.Hash("changed"))))
		if _, err := b.auth.Authenticate(ctx, right); statusOf(err) != dsn.AuthFailed {
			t.Errorf("the old password after a change: %v", err)
		}
		off := static.Box("alice@example.test", h.Hash("secret"))
		off.Mailbox.Enabled = false
		d.become(table(t, off))
		if _, err := b.auth.Authenticate(ctx, right); statusOf(err) != dsn.AuthFailed {
			t.Errorf("disabled after a success: %v", err)
		}
	})
}

type switching struct {
	mu    sync.Mutex
	under directory.Backend
}

func (s *switching) become(b directory.Backend) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.under = b
}

func (s *switching) Entry(ctx context.Context, key directory.Key) (directory.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.under.Entry(ctx, key)
}

func TestTooManyWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := cheap()
		c.Verifications, c.Waiting = 1, 1
		b := newBench(t, c, people(t), nil)
		b.auth.slots <- struct{}{}
		b.auth.waiting <- struct{}{}
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := b.auth.verify(ctx, "{PLAIN}x", "x")
			if !errors.Is(err, context.Canceled) {
				t.Errorf("the one who waits: %v", err)
			}
		})
		synctest.Wait() // until he waits
		if n := len(b.auth.waiting); n != 2 {
			t.Errorf("%d wait", n)
		}
		_, err := b.auth.Authenticate(context.Background(), attempt("alice@example.test", "secret"))
		if statusOf(err) != dsn.AuthUnavailable || !errors.Is(err, errTooMany) {
			t.Errorf("one too many: %v", err)
		}
		cancel()
		wg.Wait()
	})
}

func TestWeakHashIsReplaced(t *testing.T) {
	t.Parallel()
	const old = "{SSHA}OzzvfepGxsUTtI24VJOyxGOx6G886Nvd"
	var gotOld, gotNew string
	fail := error(nil)
	b := newBench(t, cheap(), hosted(t, static.Box("alice@example.test", old)), func(o *Options) {
		o.Rehash = func(_ context.Context, box directory.Mailbox, old, new string) error {
			gotOld, gotNew = old, new
			return fail
		}
	})
	ctx := context.Background()
	if _, err := b.auth.Authenticate(ctx, attempt("alice@example.test", "wrong")); err == nil || gotNew != "" {
		t.Fatalf("replaced by a wrong password: %v", err)
	}
	if _, err := b.auth.Authenticate(ctx, attempt("alice@example.test", "secret")); err != nil {
		t.Fatal(err)
	}
	wantVerify(t, gotNew, "secret", true)
	if gotOld != old || b.auth.hasher.Weak(gotNew) {
		t.Errorf("%s became %s", gotOld, gotNew)
	}
	fail = errors.New("locked")
	if _, err := b.auth.Authenticate(ctx, attempt("alice@example.test", "secret")); err != nil {
		t.Errorf("a failed replacement refused the log-in: %v", err)
	}
	if !strings.Contains(b.log.String(), "locked") {
		t.Error("the failed replacement is not in the log")
	}
}

func TestRecheck(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	box := func(change func(*directory.Account)) directory.Account {
		a := static.Box("alice@example.test", "{PLAIN}secret")
		a.Mailbox.Credential = "1"
		if change != nil {
			change(&a)
		}
		return a
	}
	granted, err := newBench(t, cheap(), hosted(t, box(nil)), nil).auth.Authenticate(ctx, attempt("alice@example.test", "secret"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		now  *directory.Directory
		want dsn.Status
	}{
		"same":            {hosted(t, box(nil)), 0},
		"quota and hash":  {hosted(t, box(func(a *directory.Account) { a.Mailbox.QuotaBytes, a.PasswordHash = 5, "{PLAIN}other" })), 0},
		"gone":            {hosted(t), dsn.AuthFailed},
		"disabled":        {hosted(t, box(func(a *directory.Account) { a.Mailbox.Enabled = false })), dsn.AuthFailed},
		"anew":            {hosted(t, box(func(a *directory.Account) { a.Mailbox.Credential = "2" })), dsn.AuthFailed},
		"moved":           {hosted(t, box(func(a *directory.Account) { a.Mailbox.Home = "elsewhere" })), dsn.AuthFailed},
		"cannot be known": {static.Broken{Outcome: directory.Unavailable}.Directory(), dsn.AuthUnavailable},
	} {
		err := newBench(t, cheap(), c.now, nil).auth.Recheck(ctx, granted)
		if got := statusOf(err); got != c.want || (err == nil) != (c.want == 0) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}
