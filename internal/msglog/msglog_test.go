package msglog

import (
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fixed is a clock that stands; its timers are real.
type fixed struct{ clock.System }

func (fixed) Now() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 67_890_123, time.UTC) }

// stamp is the beginning of each line at that time.
const stamp = "2026-01-02T03:04:05.067Z "

func examples() []struct {
	event Event
	text  string
} {
	return []struct {
		event Event
		text  string
	}{
		{Connect{Service: "smtpd", Session: "S1", Client: "192.0.2.1", TLS: true},
			`info connect service=smtpd session=S1 client=192.0.2.1 tls=true`},
		{Disconnect{Service: "smtpd", Session: "S1", Client: "192.0.2.1", Duration: 1500 * time.Millisecond, Reason: "quit", Stats: "mail=1 rcpt=2"},
			`info disconnect service=smtpd session=S1 client=192.0.2.1 duration=1.50 reason=quit stats="mail=1 rcpt=2"`},
		{Login{Service: "imapd", Session: "S1", Client: "192.0.2.1", Login: "alice@example.test", Mechanism: "PLAIN"},
			`info login service=imapd session=S1 client=192.0.2.1 login=alice@example.test mechanism=PLAIN status=ok`},
		{Login{Service: "imapd", Session: "S1", Login: "eve\n2026 forged", Mechanism: "X", Reason: "mismatch"},
			`warn login service=imapd session=S1 login="eve\n2026 forged" mechanism=X status=failed reason=mismatch`},
		{Reject{Service: "smtpd", Session: "S1", Client: "192.0.2.1", Helo: "a", Mail: true, From: "b@c", To: "d@e", Stage: "rcpt",
			Err: dsn.Wrap(dsn.BadDestMailbox, "No such user", errors.New("no row"))},
			`info reject service=smtpd session=S1 client=192.0.2.1 helo=a stage=rcpt from=<b@c> to=<d@e> code=550 dsn=5.1.1 text="No such user" cause="no row"`},
		{Reject{Service: "smtpd", Stage: "data", Mail: true, Err: dsn.Wrap(dsn.SystemFull, "Insufficient system storage", errors.New("all segments are in use"))},
			`warn reject service=smtpd stage=data from=<> code=452 dsn=4.3.1 text="Insufficient system storage" cause="all segments are in use"`},
		{Reject{Service: "smtpd", Stage: "mail", Err: dsn.New(dsn.ShuttingDown, "Stopping")},
			`info reject service=smtpd stage=mail code=421 dsn=4.3.2 text=Stopping`},
		{Queued{ID: "Q1", Session: "S1", Client: "192.0.2.1", Proto: "ESMTP", Size: 4096, Recipients: 2, MessageID: "<m@x>"},
			`info queued id=Q1 session=S1 client=192.0.2.1 proto=ESMTP from=<> size=4096 nrcpt=2 message_id=<m@x>`},
		{Attempt{ID: "Q1", From: "b@c", To: "d@e", Relay: "virtual", Delay: 40 * time.Millisecond, Delays: [4]time.Duration{1e6, 0, 12e9, 1e9}, DSN: dsn.OK, Status: "sent", Text: "stored"},
			`info attempt id=Q1 from=<b@c> to=<d@e> relay=virtual delay=0.040 delays=0.001/0/12/1.00 dsn=2.0.0 status=sent text=stored`},
		{Attempt{ID: "Q1", To: "a b@e", OrigTo: "x@e", DSN: dsn.MailSystem, Status: "deferred", Err: errors.New("disk")},
			`warn attempt id=Q1 from=<> to="<a b@e>" orig_to=x@e delay=0 delays=0/0/0/0 dsn=4.3.0 status=deferred cause=disk`},
		{Removed{ID: "Q1", Reason: "done"}, `info removed id=Q1 reason=done`},
		{Notification{ID: "Q1", Report: "Q2", Kind: "failure", To: "b@c"}, `info notification id=Q1 report=Q2 kind=failure to=<b@c>`},
		{Stored{Service: "lmtpd", Session: "S1", Mailbox: "d@e", Folder: "INBOX", UID: 7, Size: 99},
			`info stored service=lmtpd session=S1 mailbox=d@e folder=INBOX uid=7 size=99`},
	}
}

func open(t *testing.T, o Options) (l *Log, file string) {
	t.Helper()
	o.File = filepath.Join(t.TempDir(), "log")
	if o.Clock == nil {
		o.Clock = fixed{}
	}
	if o.Flush == 0 {
		o.Flush = time.Hour // nothing is written by time
	}
	if o.CloseTimeout == 0 {
		o.CloseTimeout = limit
	}
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l, o.File
}

func contents(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestEventsAsText(t *testing.T) {
	t.Parallel()
	l, file := open(t, Options{Buffer: 1 << 16})
	var want strings.Builder
	for _, e := range examples() {
		l.Event(e.event)
		want.WriteString(stamp + e.text + "\n")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	got := strings.Split(contents(t, file), "\n")
	for i, line := range strings.Split(want.String(), "\n") {
		if got[i] != line {
			t.Errorf("line %d\n got %s\nwant %s", i, got[i], line)
		}
	}
}

func TestEventsAsJSONHaveTheSameKeys(t *testing.T) {
	t.Parallel()
	l, file := open(t, Options{Format: JSON, Buffer: 1 << 16})
	for _, e := range examples() {
		l.Event(e.event)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(contents(t, file), "\n"), "\n")
	for i, e := range examples() {
		var object map[string]any
		if err := json.Unmarshal([]byte(lines[i]), &object); err != nil {
			t.Fatal(err)
		}
		if object["msg"] != strings.Fields(e.text)[1] {
			t.Errorf("%s: message %v", e.text, object["msg"])
		}
		if keys := strings.Count(e.text, "="); len(object)-3 > keys {
			t.Errorf("%d keys in %s", len(object)-3, lines[i])
		}
		for key := range object {
			if key != "time" && key != "level" && key != "msg" && !strings.Contains(e.text, " "+key+"=") {
				t.Errorf("key %s is not in the text", key)
			}
		}
	}
}

func TestDiagnosticsAsText(t *testing.T) {
	t.Parallel()
	l, file := open(t, Options{})
	l.With("service", "qmgr").WithGroup("g").Info("two words", "n", 7, "u", uint64(8), "ok", true, "s", "x y", "d", time.Second,
		slog.Group("in", "k", "v"), "err", errors.New("no"), slog.Attr{})
	l.Debug("hidden")
	settled(l)
	got, _, _ := strings.Cut(contents(t, file), "\n")
	_, got, _ = strings.Cut(got, " ")
	if want := `info "two words" service=qmgr g.n=7 g.u=8 g.ok=true g.s="x y" g.d=1s g.in.k=v g.err=no`; got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func TestLevel(t *testing.T) {
	t.Parallel()
	for _, format := range []Format{Text, JSON, Postfix} {
		l, file := open(t, Options{Format: format, Level: slog.LevelWarn})
		l.Event(Removed{ID: "quiet", Reason: "done"})
		l.Info("quiet")
		l.Warn("loud")
		settled(l)
		if got := contents(t, file); strings.Contains(got, "quiet") || !strings.Contains(got, "loud") {
			t.Errorf("%d: %s", format, got)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{{Format: Postfix + 1}, {File: t.TempDir()}} {
		if _, err := Open(o); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
}

func TestNewAndDiscard(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	l := New(slog.NewTextHandler(&b, nil))
	l.Event(Removed{ID: "Q1", Reason: "done"})
	if !strings.Contains(b.String(), "msg=removed id=Q1 reason=done") {
		t.Errorf("%s", b.String())
	}
	Discard().Event(Removed{})
	for _, err := range []error{l.Reopen(), l.Health(), l.Close()} {
		if err != nil {
			t.Error(err)
		}
	}
}

func TestSeconds(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0", -time.Second: "0", time.Nanosecond: "0.000", 1499 * time.Microsecond: "0.001", 99 * time.Millisecond: "0.099",
		100 * time.Millisecond: "0.10", 5555 * time.Millisecond: "5.56", 9999 * time.Millisecond: "10.00",
		10 * time.Second: "10", 123456 * time.Second: "123456",
	} {
		if got := string(appendSeconds(nil, d)); got != want {
			t.Errorf("%v is %s, want %s", d, got, want)
		}
	}
}

func TestLongValuesAreCut(t *testing.T) {
	t.Parallel()
	l, file := open(t, Options{})
	l.Event(Reject{Helo: strings.Repeat("x", 1<<20), Err: dsn.New(dsn.Policy, "")})
	settled(l)
	if got := contents(t, file); len(got) > 2*maxValue || !strings.Contains(got, "x... ") {
		t.Errorf("%d octets", len(got))
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"", "plain", "two words", "new\nline", `"`, `\`, "\xff", "é", "\u2028", "a\u00a0b", "\x7f"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := string(appendText(nil, s))
		if strings.ContainsAny(got, "\n\r\x00\x1b") {
			t.Fatalf("%q breaks the line", got)
		}
		back := got
		if strings.HasPrefix(got, `"`) {
			b, err := strconv.Unquote(got)
			if err != nil {
				t.Fatal(err)
			}
			back = b
		} else if strings.Contains(got, " ") {
			t.Fatalf("%q is two words", got)
		}
		if back != s {
			t.Fatalf("%q came back as %q", s, back)
		}
	})
}

func attempt() Attempt {
	return Attempt{
		ID: "4c2mFh1kzQb", To: "somebody@example.test", Relay: "virtual", Delay: 42 * time.Millisecond,
		Delays: [4]time.Duration{10e6, 2e6, 0, 30e6}, DSN: dsn.OK, Status: "sent", Text: "delivered to maildir",
	}
}

func BenchmarkEvent(b *testing.B) {
	for _, c := range []struct {
		name     string
		format   Format
		registry prometheus.Registerer
	}{{"text", Text, nil}, {"text+metrics", Text, prometheus.NewRegistry()}, {"json", JSON, nil}} {
		b.Run(c.name, func(b *testing.B) {
			l, err := Open(Options{
				Format: c.format, File: filepath.Join(b.TempDir(), "log"), Buffer: 64 << 10, Flush: 100 * time.Millisecond, Registry: c.registry,
			})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = l.Close() }()
			b.ReportAllocs()
			for b.Loop() {
				l.Event(attempt())
			}
		})
	}
}
