package virtual

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/static"
	"toastmaster/internal/addr"
	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/msglog"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore"
	"toastmaster/mailstore/plan"
	"toastmaster/mta/agent"
	"toastmaster/mta/queue"
)

func openStore(t *testing.T) *mailstore.Store {
	t.Helper()
	s, err := mailstore.Open(t.Context(), mailstore.Options{
		Root: t.TempDir(), FS: vfs.OS{}, Clock: clock.System{}, Log: msglog.Discard(), Hostname: "mail.example.test",
		Store: configs.Default().Store,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// planned delivers into a store by the plan for everybody.
func planned(s *mailstore.Store) *plan.Executor {
	return plan.New(plan.Options{Store: s, Plan: plan.ToInbox, Params: configs.Default().Store, Log: msglog.Discard()})
}

func hosted(t *testing.T) *directory.Directory {
	t.Helper()
	off, small := static.Box("off@example.test", ""), static.Box("small@example.test", "")
	off.Mailbox.Enabled = false
	small.Mailbox.QuotaBytes = 10
	d, err := static.New(static.Data{
		Domains:    append(static.Hosted("example.test"), directory.Domain{Name: "example.net", AliasOf: "example.test", Enabled: true}),
		Accounts:   []directory.Account{static.Box("alice@example.test", ""), off, small},
		Aliases:    map[string][]string{"sales@example.test": {"alice@example.test"}},
		Relocated:  map[string]string{"gone@example.test": "gone@example.org"},
		Delimiters: "+",
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func parse(t *testing.T, s string) addr.Address {
	t.Helper()
	a, err := addr.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func request(t *testing.T, to ...string) *agent.Request {
	t.Helper()
	r := &agent.Request{
		Envelope: &envelope.Envelope{ID: "3XyzQueue1", Sender: addr.Address{Local: "s", Domain: "remote.test"}},
		Content:  envelope.Memory("Subject: hi\n\nhello\n"), Nexthop: "example.test",
	}
	for i, s := range to {
		a := parse(t, s)
		r.Envelope.Recipients = append(r.Envelope.Recipients, envelope.Recipient{Address: a, Original: a})
		r.Recipients = append(r.Recipients, i)
	}
	return r
}

func deliver(ctx context.Context, a *Agent, r *agent.Request) []agent.Result {
	var out []agent.Result
	a.Deliver(ctx, r, func(res agent.Result) { out = append(out, res) })
	return out
}

// messages lists the contents of an account's INBOX.
func messages(t *testing.T, s *mailstore.Store, home string) []string {
	t.Helper()
	u, err := s.User(t.Context(), mailstore.Account{Address: parse(t, "alice@example.test"), Home: home})
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	v, err := u.Open(t.Context(), "INBOX", true)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	var out []string
	for seq := range v.Len() {
		c, err := v.Read(t.Context(), uint32(seq+1))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(envelope.Reader(c))
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		out = append(out, string(text))
	}
	return out
}

func TestDelivers(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	a := New(Options{Directory: hosted(t), Deliverer: planned(s), Clock: clock.System{}})
	r := request(t, "Alice@example.test", "alice+work@example.net")
	r.Envelope.Recipients[1].Original = parse(t, "team@example.test")
	got := deliver(t.Context(), a, r)
	if len(got) != 2 {
		t.Fatalf("%+v", got)
	}
	for i, res := range got {
		if res.Err != nil || res.Recipient != i || res.Effect != queue.EffectStore || res.Action != agent.Sent || res.Relay != "virtual" {
			t.Errorf("%+v", res)
		}
	}
	want := []string{
		"Return-Path: <s@remote.test>\nDelivered-To: Alice@example.test\nSubject: hi\n\nhello\n",
		"Return-Path: <s@remote.test>\nX-Original-To: team@example.test\nDelivered-To: alice+work@example.net\nSubject: hi\n\nhello\n",
	}
	if text := messages(t, s, "example.test/alice"); strings.Join(text, "|") != strings.Join(want, "|") {
		t.Errorf("%q", text)
	}
}

func TestReplayIsStoredOnce(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	a := New(Options{Directory: hosted(t), Deliverer: planned(s), Clock: clock.System{}})
	r := request(t, "alice@example.test")
	deliver(t.Context(), a, r)
	r.Replay = true
	r.Envelope.Recipients[0].Address.Local = "ALICE" // the same mailbox, so the same delivery
	if got := deliver(t.Context(), a, r); got[0].Err != nil {
		t.Fatal(got[0].Err)
	}
	if n := len(messages(t, s, "example.test/alice")); n != 1 {
		t.Errorf("%d messages", n)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	d := hosted(t)
	to := []string{"nobody@example.test", "gone@example.test", "off@example.test", "small@example.test", "sales@example.test"}
	want := []dsn.Status{dsn.BadDestMailbox, dsn.MailboxMoved, dsn.MailboxDisabled, dsn.MailboxFull, dsn.BadDestMailbox}
	for i, res := range deliver(t.Context(), New(Options{Directory: d, Deliverer: planned(s), Clock: clock.System{}}), request(t, to...)) {
		if res.Err == nil || res.Err.Status != want[i] || res.Site {
			t.Errorf("%s: %+v", to[i], res)
		}
	}
	res := deliver(t.Context(), New(Options{Directory: d, Deliverer: planned(s), Clock: clock.System{}, OverQuotaTemporary: true}), request(t, "small@example.test"))
	if e := res[0].Err; e == nil || e.Status != dsn.MailboxFullNow || !e.Temporary() {
		t.Errorf("over quota, temporary: %+v", res)
	}
}

func TestTroubleWaits(t *testing.T) {
	t.Parallel()
	for outcome, want := range map[directory.Outcome]dsn.Status{
		directory.Unavailable: dsn.MailSystem, directory.Misconfigured: dsn.Misconfigured,
	} {
		a := New(Options{Directory: static.Broken{Outcome: outcome, Cause: errors.New("down")}.Directory(), Deliverer: planned(openStore(t)), Clock: clock.System{}})
		if got := deliver(t.Context(), a, request(t, "alice@example.test")); got[0].Err == nil || got[0].Err.Status != want {
			t.Errorf("%v: %+v", outcome, got)
		}
	}
	closed := openStore(t)
	closed.Close()
	got := deliver(t.Context(), New(Options{Directory: hosted(t), Deliverer: planned(closed), Clock: clock.System{}}), request(t, "alice@example.test"))
	if e := got[0].Err; e == nil || !e.Temporary() {
		t.Errorf("closed store: %+v", got)
	}
}

func TestShutdownLeavesTheRestAlone(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	New(Options{Directory: hosted(t), Deliverer: planned(openStore(t)), Clock: clock.System{}}).Deliver(ctx, request(t, "alice@example.test", "alice@example.net"), func(res agent.Result) {
		n++
		if res.Err != nil {
			t.Error(res.Err)
		}
		cancel()
	})
	if n != 1 {
		t.Errorf("%d reports", n)
	}
}

func TestDeliveryIDs(t *testing.T) {
	t.Parallel()
	id := envelope.DeliveryID("3XyzQueue1", parse(t, "Alice@example.test"))
	if !regexp.MustCompile(`^3XyzQueue1[a-f0-9]{24}$`).MatchString(id) {
		t.Error(id)
	}
	if id != envelope.DeliveryID("3XyzQueue1", parse(t, "alice@example.test")) {
		t.Error("case makes a difference")
	}
	if id == envelope.DeliveryID("3XyzQueue1", parse(t, "bob@example.test")) || id == envelope.DeliveryID("3XyzQueue2", parse(t, "alice@example.test")) {
		t.Error("not unique")
	}
}

// TestOverQuotaLeavesNothing: an error leaves no file behind.
func TestOverQuotaLeavesNothing(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	s, err := mailstore.Open(t.Context(), mailstore.Options{
		Root: root, FS: vfs.OS{}, Clock: clock.System{}, Log: msglog.Discard(), Hostname: "h", Store: configs.Default().Store,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	deliver(t.Context(), New(Options{Directory: hosted(t), Deliverer: planned(s), Clock: clock.System{}}), request(t, "small@example.test"))
	files, err := filepath.Glob(filepath.Join(root, "example.test/small/*/*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if info, err := os.Stat(f); err == nil && info.Mode().IsRegular() && strings.Contains(f, "/new/") {
			t.Error(f)
		}
	}
}

func BenchmarkOneRecipient(b *testing.B) {
	a := New(Options{Directory: directory.New(oneMailbox{}, ""), Deliverer: discardStore{}, Clock: clock.System{}})
	r := &agent.Request{
		Envelope:   &envelope.Envelope{ID: "3XyzQueue1", Recipients: []envelope.Recipient{{Address: addr.Address{Local: "alice", Domain: "example.test"}}}},
		Recipients: []int{0}, Content: envelope.Memory(strings.Repeat("x", 4096)),
	}
	b.ReportAllocs()
	for b.Loop() {
		a.Deliver(b.Context(), r, func(agent.Result) {})
	}
}

type discardStore struct{}

func (discardStore) Deliver(context.Context, *plan.Message) (*plan.Outcome, *dsn.Error) {
	return &plan.Outcome{}, nil
}

// oneMailbox has one for every key.
type oneMailbox struct{}

func (oneMailbox) Entry(_ context.Context, key directory.Key) (directory.Entry, error) {
	return directory.Entry{
		Domain:  directory.Domain{Name: key.Domain, Enabled: true},
		Mailbox: directory.Mailbox{Home: "d/u", Enabled: true},
	}, nil
}
