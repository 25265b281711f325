package milter

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/addr"
	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/milter"
	"toastmaster/internal/msglog"
	"toastmaster/internal/spool"
	"toastmaster/internal/testkit/miltertest"
	"toastmaster/internal/vfs"
)

// bed is Filters and filters with scripts.
type bed struct {
	t       *testing.T
	f       *Filters
	filters []*miltertest.Filter
	list    List
}

func newBed(t *testing.T, change func(*configs.Milter), scripts ...miltertest.Script) *bed {
	t.Helper()
	p := configs.Default().Milter
	if change != nil {
		change(&p)
	}
	b := &bed{t: t, f: New(Options{
		Params: p, Hostname: "mx.test", MaxBody: 1 << 20, Spool: &spool.Dir{FS: vfs.OS{}, Path: t.TempDir(), Memory: 1 << 10}, Log: msglog.Discard(), Clock: clock.System{},
	})}
	t.Cleanup(func() { b.f.Close() })
	var items []string
	for _, s := range scripts {
		f, err := miltertest.Start("unix", filepath.Join(t.TempDir(), "s"), s)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(f.Close)
		b.filters, items = append(b.filters, f), append(items, f.Name())
	}
	b.named(items...)
	return b
}

func (b *bed) named(items ...string) {
	b.t.Helper()
	var err error
	if b.list, err = b.f.List(items); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bed) session() *Session {
	s := b.f.Session(b.list, "session", func(context.Context, string) (string, bool) { return "", false })
	b.t.Cleanup(s.Close)
	return s
}

const text = "Received: ours\nSubject: x\nX-A: 1\nX-A: 2\n\nbody\n"

// message runs a whole session, and is what the message becomes.
func (b *bed) message(ctx context.Context, message string) (string, *envelope.Envelope, Verdict, error) {
	b.t.Helper()
	s := b.session()
	d := draft(b.t, message)
	for _, tell := range []func() Verdict{
		func() Verdict { return s.Connect(ctx, "unknown", netip.MustParseAddrPort("192.0.2.1:25")) },
		func() Verdict { return s.Helo(ctx, "client.test") },
		func() Verdict { return s.Mail(ctx, []string{"<a@b.test>"}) },
		func() Verdict { return s.Rcpt(ctx, []string{"<c@d.test>"}, false) },
		func() Verdict { return s.Data(ctx) },
	} {
		if v := tell(); v.Err != nil {
			return "", nil, v, nil
		}
	}
	err := s.Filter(ctx, d)
	whole := envelope.Joined(d.Prefix, d.Content)
	out := make([]byte, whole.Size())
	if len(out) > 0 {
		if n, _ := whole.ReadAt(out, 0); n != len(out) {
			b.t.Fatalf("%d of %d octets", n, len(out))
		}
	}
	if err := d.Content.Close(); err != nil {
		b.t.Fatal(err)
	}
	return string(out), d.Envelope, Verdict{}, err
}

func draft(t *testing.T, message string) *envelope.Draft {
	t.Helper()
	a := addr.Address{Local: "c", Domain: "d.test"}
	own, rest, _ := strings.Cut(message, "\n")
	return &envelope.Draft{
		Envelope: &envelope.Envelope{ID: "ID", Recipients: []envelope.Recipient{{Address: a, Original: a}}},
		Prefix:   []byte(own + "\n"), Own: own + "\n", Content: envelope.Memory(rest),
	}
}

func atEnd(packets ...miltertest.Packet) miltertest.Script {
	return miltertest.Script{On: map[milter.Command][]miltertest.Packet{milter.EndOfBody: append(packets, miltertest.Packet{Code: milter.Continue})}}
}

// TestEachSeesTheChangesOfThoseBefore: filters are asked in their order, and the second reads what the first has made of the message.
func TestEachSeesTheChangesOfThoseBefore(t *testing.T) {
	t.Parallel()
	b := newBed(t, nil,
		atEnd(miltertest.Answer(milter.AddHeader, "X-One", "1"), miltertest.Numbered(milter.ChangeHeader, 1, "Subject", "changed"), miltertest.Raw(milter.ReplaceBody, "another\r\n"), miltertest.Answer(milter.AddRcpt, "<e@f.test>")),
		atEnd(miltertest.Numbered(milter.ChangeHeader, 1, "X-One", "2"), miltertest.Numbered(milter.ChangeHeader, 2, "X-A", "")),
	)
	got, env, _, err := b.message(t.Context(), text)
	if want := "Received: ours\nSubject: changed\nX-A: 1\nX-One: 2\n\nanother\n"; err != nil || got != want || len(env.Recipients) != 2 {
		t.Errorf("%v %q %v", err, got, env)
	}
	seen := strings.Join(b.filters[1].Sessions()[0], "\n")
	if !strings.Contains(seen, `L ["Subject" "changed"]`) || !strings.Contains(seen, `L ["X-One" "1"]`) || !strings.Contains(seen, `B "another\r\n"`) || strings.Contains(seen, "ours") {
		t.Error(seen)
	}
}

// TestAFilterThatDiesHasChangedNothing: whatever it wanted before, with each default action the message is the one that came, or refused.
func TestAFilterThatDiesHasChangedNothing(t *testing.T) {
	t.Parallel()
	changes := []miltertest.Packet{miltertest.Answer(milter.AddHeader, "X-One", "1"), miltertest.Raw(milter.ReplaceBody, "half"), miltertest.Answer(milter.AddRcpt, "<e@f.test>"), miltertest.Answer(milter.ChangeFrom, "<>")}
	ends := map[string]miltertest.Packet{
		"closed": {Code: miltertest.Close}, "garbage": {Code: miltertest.Garbage, Data: []byte("HTTP/1.1 400 Bad Request\r\n")}, "unknown": {Code: 'z'},
		"length": {Code: miltertest.Garbage, Data: []byte{0xff, 0xff, 0xff, 0xff, 'c'}}, "none": {Code: miltertest.Garbage, Data: []byte{0, 0, 0, 0}},
		"address": miltertest.Answer(milter.AddRcpt, "<not an address@>"), "short": miltertest.Raw(milter.AddHeader, "x"), "no number": miltertest.Raw(milter.ChangeHeader, "ab"),
		"name": miltertest.Answer(milter.AddHeader, "Bad Name", "x"), "negative": miltertest.Numbered(milter.InsertHeader, 1<<31, "X", "y"), "behind": miltertest.Raw(milter.Accept, "x"),
		"agreement": miltertest.Answer(milter.Reply(milter.Negotiate), "x"),
	}
	for name, end := range ends {
		for _, action := range []string{"accept", "tempfail", "reject", "quarantine", "shutdown"} {
			b := newBed(t, nil)
			f, err := miltertest.Start("unix", filepath.Join(t.TempDir(), "s"), miltertest.Script{On: map[milter.Command][]miltertest.Packet{milter.EndOfBody: append(changes[:len(changes):len(changes)], end)}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(f.Close)
			b.named("{ " + f.Name() + " default_action=" + action + " }")
			got, env, _, err := b.message(t.Context(), text)
			if len(env.Recipients) != 1 || !env.Sender.IsNull() || got != text {
				t.Errorf("%s %s: %q %+v", name, action, got, env)
			}
			if env.Hold != (action == "quarantine") || (err == nil) != (action == "accept" || action == "quarantine") {
				t.Errorf("%s %s: held %v, %v", name, action, env.Hold, err)
			}
			if e := dsn.From(err); action == "shutdown" && e.Reply() != 421 {
				t.Errorf("%s: %v", name, e)
			}
		}
	}
}

// TestLimits: progress without an end, changes without an end, a body that is too large, and silence end with the default action.
func TestLimits(t *testing.T) {
	t.Parallel()
	many := make([]miltertest.Packet, 0, 1000)
	for range 1000 {
		many = append(many, miltertest.Packet{Code: milter.Progress})
	}
	var large []miltertest.Packet
	for range 20 {
		large = append(large, miltertest.Raw(milter.ReplaceBody, strings.Repeat("0123456789", 6553)))
	}
	fields := make([]miltertest.Packet, 0, maxFieldChanges+1)
	for range cap(fields) {
		fields = append(fields, miltertest.Answer(milter.AddHeader, "X", "x"))
	}
	for name, c := range map[string]struct {
		change func(*configs.Milter)
		script miltertest.Script
	}{
		"fields":   {nil, atEnd(fields...)},
		"progress": {func(p *configs.Milter) { p.ProgressTimeout = time.Nanosecond }, atEnd(many...)},
		"changes":  {func(p *configs.Milter) { p.ChangeLimit = 100 }, atEnd(miltertest.Answer(milter.AddHeader, "X", strings.Repeat("x", 100)))},
		"body":     {nil, atEnd(large...)},
		"packet":   {nil, atEnd(miltertest.Answer(milter.AddHeader, "X", strings.Repeat("x", 2<<20)))},
		"silence":  {func(p *configs.Milter) { p.ContentTimeout = time.Millisecond }, miltertest.Script{On: map[milter.Command][]miltertest.Packet{milter.EndOfBody: {{Code: miltertest.Silence}}}}},
	} {
		b := newBed(t, c.change, c.script)
		got, env, v, err := b.message(t.Context(), text)
		if err == nil && v.Err == nil || err != nil && dsn.From(err).Reply() != 451 || env != nil && got != text {
			t.Errorf("%s: %v %v %.200q", name, v, err, got)
		}
	}
}

// TestAContextEndsTheWait: a client that must go does not wait for a filter.
func TestAContextEndsTheWait(t *testing.T) {
	t.Parallel()
	for _, c := range []milter.Command{milter.Negotiate, milter.Connect, milter.Mail, milter.EndOfBody} {
		b := newBed(t, nil, miltertest.Script{On: map[milter.Command][]miltertest.Packet{c: {{Code: miltertest.Silence}}}})
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			b.filters[0].Wait(t.Context().Done(), func(all [][]string) bool {
				return len(all) > 0 && strings.Contains("\n"+strings.Join(all[0], "\n"), "\n"+string(rune(c))+" ")
			})
			cancel()
		}()
		if _, _, v, err := b.message(ctx, text); v.Err == nil && err == nil {
			t.Errorf("%c: it has passed", c)
		}
	}
}

// TestAFilterThatIsSilentIsLetAlone: when a connection was not taken in time nobody else waits.
func TestAFilterThatIsSilentIsLetAlone(t *testing.T) {
	t.Parallel()
	b := newBed(t, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b.named("inet:" + l.Addr().String())
	p := b.list[0].peer
	p.silent = time.Now().Add(time.Hour)
	if v := b.session().Connect(t.Context(), "unknown", netip.AddrPort{}); !errors.Is(v.Err, errSilent) {
		t.Errorf("%v", v)
	}
}

// TestConnectionsAreKept: with milter.max_idle the next client has the connection of the one before, by QUIT_NC.
func TestConnectionsAreKept(t *testing.T) {
	t.Parallel()
	b := newBed(t, func(p *configs.Milter) { p.MaxIdle = time.Hour; p.MaxConnections = 1 }, miltertest.Script{})
	for range 3 {
		s := b.session()
		if v := s.Connect(t.Context(), "unknown", netip.MustParseAddrPort("192.0.2.1:25")); v.Err != nil {
			t.Fatal(v.Err)
		}
		s.Close()
	}
	if all := b.filters[0].Sessions(); len(all) != 1 || strings.Count(strings.Join(all[0], "\n"), "\nC ") != 3 {
		t.Error(all)
	}
}

// TestAKeptConnectionOfAFilterThatHasGone: after a restart of the filter, and where it ends a kept connection at the first that it is asked, the
// client has its answer, from a new one. What it says when nobody asks is no answer.
func TestAKeptConnectionOfAFilterThatHasGone(t *testing.T) {
	t.Parallel()
	silent := milter.Agreement{Version: milter.Version, Actions: milter.AllActions, Steps: milter.NoReplyConnect | milter.NoReplyHelo}
	later := func(c milter.Command, n int, _ []byte) []miltertest.Packet {
		if n == 2 && (c == milter.Connect || c == milter.Mail) {
			return []miltertest.Packet{{Code: miltertest.Close}}
		}
		return nil
	}
	silentMail := silent
	silentMail.Steps |= milter.NoReplyMail
	for name, script := range map[string]miltertest.Script{
		"ends at RCPT, after an abort": {Agreed: silentMail, By: func(c milter.Command, n int, _ []byte) []miltertest.Packet {
			if c == milter.Rcpt && n == 2 {
				return []miltertest.Packet{{Code: miltertest.Close}}
			}
			return nil
		}},
		"ends at the first command":      {By: later},
		"ends where it answers at first": {By: later, Agreed: silent},
		"is restarted":                   {},
		"is restarted, and refuses":      {On: map[milter.Command][]miltertest.Packet{milter.Rcpt: {miltertest.Raw(milter.Reject, "")}}},
		"says something that nobody asks": {By: func(c milter.Command, n int, _ []byte) []miltertest.Packet {
			if c == milter.QuitNew {
				return []miltertest.Packet{miltertest.Raw(milter.Reject, "")}
			}
			return nil
		}},
	} {
		b := newBed(t, func(p *configs.Milter) { p.MaxIdle, p.MaxConnections = time.Hour, 1 }, script)
		for n := range 2 {
			s := b.session()
			all := []Verdict{
				s.Connect(t.Context(), "unknown", netip.MustParseAddrPort("192.0.2.1:25")), s.Helo(t.Context(), "client.test"),
				s.Mail(t.Context(), []string{"<a@b.test>"})}
			if n > 0 && strings.Contains(name, "abort") {
				s.Abort()
				all = append(all, s.Mail(t.Context(), []string{"<a@b.test>"}))
			}
			all = append(all, s.Rcpt(t.Context(), []string{"<c@d.test>"}, false))
			refuses := strings.Contains(name, "refuses")
			for i, v := range all {
				if v.Err != nil != (refuses && i == len(all)-1) {
					t.Errorf("%s, session %d, command %d: %v", name, n, i, v.Err)
				}
			}
			s.Close()
			if n > 0 {
				break
			}
			if strings.Contains(name, "restarted") {
				old := b.filters[0]
				path := strings.TrimPrefix(old.Name(), "unix:")
				old.Close()
				_ = os.Remove(path)
				f, err := miltertest.Start("unix", path, script)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(f.Close)
				b.filters[0] = f
			} else if !b.filters[0].Wait(t.Context().Done(), func(all [][]string) bool { return strings.Contains(strings.Join(all[0], " "), "said") }) {
				t.Fatal(b.filters[0].Sessions())
			}
		}
		sessions := b.filters[0].Sessions()
		last := strings.Join(sessions[len(sessions)-1], "\n")
		if want := 2; !strings.Contains(name, "restarted") && len(sessions) != want || strings.Count(last, "\nC ") != 1 || strings.Count(last, "\nH ") != 1 || strings.Count(last, "\nM ") != 1 {
			t.Errorf("%s: %d connections, the last one %s", name, len(sessions), last)
		}
	}
}

// TestLargeMessages: a message in a file is changed as one in memory, with fields in front of it without a copy.
func TestLargeMessages(t *testing.T) {
	t.Parallel()
	for _, where := range []uint32{0, 1, 2, 100} {
		b := newBed(t, nil, atEnd(miltertest.Numbered(milter.InsertHeader, where, "X-I", "i")))
		s := b.session()
		d := draft(t, text)
		file := b.f.o.Spool.New()
		long := strings.Repeat("a line\n", 1000)
		fmt.Fprintf(file, "Subject: x\nX-A: 1\n\n%s", long)
		d.Content = file
		s.Connect(t.Context(), "unknown", netip.MustParseAddrPort("192.0.2.1:25"))
		if err := s.Filter(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		whole := envelope.Joined(d.Prefix, d.Content)
		got := make([]byte, whole.Size())
		whole.ReadAt(got, 0)
		lines := []string{"Received: ours", "Subject: x", "X-A: 1"}
		at := min(int(where), 3)
		lines = append(lines[:at], append([]string{"X-I: i"}, lines[at:]...)...)
		if want := strings.Join(lines, "\n") + "\n\n" + long; string(got) != want {
			t.Errorf("%d: %.200q", where, got)
		}
		if same := d.Content == envelope.Content(file); same != (where < 2) {
			t.Errorf("%d: the content is the same: %v", where, same)
		}
		d.Content.Close()
	}
}

// TestReplies: what is a reply, and what it says.
func TestReplies(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"550 5.7.9 no": "550 5.7.9 no", "550 no": "550 5.7.1 no", "450": "450 4.7.1 ", "554-5.7.9 a\r\n554 5.7.9 b": "554 5.7.9 a\nb", "451 4.7.1 100%% %s": "451 4.7.1 100% s",
		"550-5.7.1 half": "", "250 ok": "", "550 4.7.1 x": "", "5x0 x": "", "550-a\r\n450 b": "", "550 a\r\n550 b": "", "550\x00 a": "", "": "", "55": "", "550 a\nb": "", "550_x": "",
	} {
		e, ok := reply(append([]byte(text), 0))
		got := ""
		if ok {
			got = fmt.Sprintf("%d %s %s", e.Reply(), e.Status, e.Text)
		}
		if got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

// TestAFieldBeginsNoOther: a line of a value is a line of the field, whatever stands in it.
func TestAFieldBeginsNoOther(t *testing.T) {
	t.Parallel()
	b := newBed(t, nil, atEnd(miltertest.Answer(milter.AddHeader, "X-One", "1\nX-Two: 2\r\n\r\nbody"), miltertest.Answer(milter.AddHeader, "X-Three", "3\n\n")))
	got, _, _, err := b.message(t.Context(), text)
	if want := "Received: ours\nSubject: x\nX-A: 1\nX-A: 2\nX-One: 1\n\tX-Two: 2\n\t\n\tbody\nX-Three: 3\n\nbody\n"; err != nil || got != want {
		t.Errorf("%v %q", err, got)
	}
}

// TestVeryManyRecipients: what a filter makes of the recipients is what its words say, in their order, and costs no more than they
// are many: looking through the list for each of so many would take an hour.
func TestVeryManyRecipients(t *testing.T) {
	t.Parallel()
	rcpt := func(remove bool, local string) rcptChange {
		a := addr.Address{Local: local, Domain: "d.test"}
		return rcptChange{remove, envelope.Recipient{Address: a, Original: a}}
	}
	is := func(list []envelope.Recipient) string {
		var b strings.Builder
		for _, r := range list {
			b.WriteString(r.Address.Local + " ")
		}
		return b.String()
	}
	list := []envelope.Recipient{rcpt(false, "a").to, rcpt(false, "b").to, rcpt(false, "A").to}
	got := recipientsAfter(list, []rcptChange{
		rcpt(false, "c"), rcpt(false, "C"), rcpt(true, "a"), rcpt(false, "B"), rcpt(false, "A"), rcpt(true, "d"), rcpt(true, "c"), rcpt(false, "c"), rcpt(false, "e"), rcpt(true, "e"),
	})
	if is(got) != "b A c " || is(list) != "a b A " {
		t.Errorf("%q of %q", is(got), is(list))
	}
	var many []rcptChange
	for _, remove := range []bool{false, true} {
		for i := range 400_000 {
			many = append(many, rcpt(remove, fmt.Sprint(i)))
		}
	}
	if got := recipientsAfter(list, many[:len(many)-1]); is(got) != "a b A 399999 " {
		t.Errorf("%d are left", len(got))
	}
}
