package cleanup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/tables"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
)

// asking is a bed with these tables, one for each kind, "" for none.
func asking(t testing.TB, header, mime, nested, body string) *bed {
	t.Helper()
	b := newBed(t, hosted(t))
	c := configs.Default()
	for _, row := range []struct {
		to   *[]string
		name string
	}{{&c.Cleanup.HeaderChecks, header}, {&c.Cleanup.MIMEHeaderChecks, mime}, {&c.Cleanup.NestedChecks, nested}, {&c.Cleanup.BodyChecks, body}} {
		if *row.to = nil; row.name != "" {
			*row.to = []string{row.name}
		}
	}
	b.checks(c)
	return b
}

func (b *bed) inspected(text string) (*envelope.Envelope, string, *dsn.Error) {
	b.t.Helper()
	s := b.submission(text, "alice@example.test")
	s.Incoming = true
	env, out, err := b.try(s)
	if err != nil {
		b.nothingKept()
		return nil, "", dsn.From(err)
	}
	return env, out, nil
}

// TestNothingPassesATableThatCannotAnswer, and nothing is refused for good by it; a text that cannot be
// obeyed is the operator's mistake. In the log stands which table it was.
func TestNothingPassesATableThatCannotAnswer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ table, want string }{
		{"fail:x", "451 4.3.0 Temporary failure while checking the content"},
		{"tcp:127.0.0.1:1", "451 4.3.0 Temporary failure while checking the content"},
		{"pcre:{ {/./ NONSENSE} }", "451 4.3.5 Server configuration error"},
		{"pcre:{ {/./ FILTER} }", "451 4.3.5 Server configuration error"},
		{"pcre:{ {/./ FILTER smtp} }", "451 4.3.5 Server configuration error"},
		{"pcre:{ {/./ BCC someone} }", "451 4.3.5 Server configuration error"},
		{"pcre:{ {/./ REDIRECT} }", "451 4.3.5 Server configuration error"},
		{"pcre:{ {/./ PREPEND} }", "451 4.3.5 Server configuration error"},
		{"pcre:{ {/./ REPLACE} }", "451 4.3.5 Server configuration error"},
	} {
		for i, text := range []string{simple, simple, "Content-Type: message/rfc822\n\nSubject: inner\n\nx\n", simple} {
			which := [4]string{}
			which[i] = c.table
			if i == 1 {
				text = "MIME-Version: 1.0\n" + text
			}
			b := asking(t, which[0], which[1], which[2], which[3])
			_, _, e := b.inspected(text)
			if e == nil || fmt.Sprintf("%d %s %s", e.Reply(), e.Status, e.Text) != c.want {
				t.Errorf("%s: %v", which, e)
			}
			if log := b.log.String(); !strings.Contains(log, "level=ERROR") || !strings.Contains(log, "table=") || !strings.Contains(log, "session=S1") {
				t.Errorf("%s: %s", which, log)
			}
		}
	}
	// A field in which a name is wanted.
	for _, action := range []string{"REPLACE no field", "PREPEND no field", "REPLACE : x"} {
		if _, _, e := asking(t, "pcre:{ {/^Subject/ "+action+"} }", "", "", "").inspected(simple); e == nil || e.Status != dsn.Misconfigured {
			t.Errorf("%s: %v", action, e)
		}
	}
}

// TestWhatNoTableWantsIsNotTouched: not an octet of the message, nor is it copied.
func TestWhatNoTableWantsIsNotTouched(t *testing.T) {
	t.Parallel()
	all := "pcre:{ {/act/ IGNORE}, {/./ DUNNO} }"
	b := asking(t, all, all, all, all)
	for _, text := range append(inspected()[60:], "", "\n", "no header", " x\n", "A: b", "A: b\r\n\r\nc\r", "A : b\n\n\x00\xff", strings.Repeat("A: b\n c\n", 4000)+"\n"+strings.Repeat("line\n", 40_000)+"end") {
		if strings.Contains(text, "act") {
			continue
		}
		s := b.submission(text, "alice@example.test")
		plain := b.submission(text, "alice@example.test")
		s.Incoming = true
		before := s.Content
		_, got, err := b.try(s)
		if err != nil {
			t.Fatal(err)
		}
		_, want, err := b.try(plain)
		if err != nil {
			t.Fatal(err)
		}
		if s.Content != before || bodyOf(got) != bodyOf(want) {
			t.Errorf("%.100q became %.300q", text, got)
		}
	}
}

// bodyOf is a message without our Received.
func bodyOf(text string) string {
	_, rest, _ := strings.Cut(text, "for <alice@example.test>; ")
	_, rest, _ = strings.Cut(rest, "\n")
	return rest
}

// TestOnlyMailThatComesInIsInspected: reports, and what users' mailboxes forward, are not.
func TestOnlyMailThatComesInIsInspected(t *testing.T) {
	t.Parallel()
	b := asking(t, "pcre:{ {/./ REJECT} }", "", "", "")
	if _, text := b.take(b.submission(simple, "alice@example.test")); !strings.HasSuffix(text, simple) {
		t.Errorf("%q", text)
	}
	if _, _, e := b.inspected(simple); e == nil || e.Reply() != 550 || e.Status != dsn.Policy {
		t.Errorf("%v", e)
	}
}

// TestTracesAreInspected: what smtpd puts on top, Received and the fields of PREPEND, are fields of the
// header like all others. So users' addresses are taken out of their mail.
func TestTracesAreInspected(t *testing.T) {
	t.Parallel()
	b := asking(t, "pcre:{ {/^Received: from .*with ESMTPS/ IGNORE}, {/^X-Top: (.*)/ REPLACE Date: $1} }", "", "", "")
	s := b.submission("From: a@elsewhere.test\nSubject: x\n\nbody\n", "alice@example.test")
	s.Incoming, s.Complete, s.Envelope.Prepend = true, true, []string{"X-Top: Fri, 27 Nov 2026 09:00:00 +0000"}
	_, text, err := b.try(s)
	if err != nil || strings.Contains(text, "Received:") || strings.Count(text, "Date: ") != 1 || !strings.HasPrefix(text, "Date: Fri, 27 Nov 2026 09:00:00 +0000\n") {
		t.Errorf("%q, %v", text, err)
	}
}

// TestStagesSeeWhatChecksLeave: a field that is taken out is not there for what completes a message, one
// that is put in is; and who writes as somebody else does not come by with it.
func TestStagesSeeWhatChecksLeave(t *testing.T) {
	t.Parallel()
	b := asking(t, "pcre:{ {/^Date:/ IGNORE}, {/^X-From: (.*)/ REPLACE From: $1}, {/^X-Bcc/ REPLACE Bcc: x@y.test}, {/^(X-Two: )(.*)/ REPLACE ${1}changed $2} }", "", "", "")
	s := b.submission("Date: x\nX-From: bob@example.test\nX-Bcc: y\nX-Two: a\n b\nMessage-ID: <x@y>\n\nbody\n", "alice@example.test")
	s.Incoming, s.Complete = true, true
	_, text, err := b.try(s)
	if err != nil || strings.Contains(text, "Date: x") || strings.Count(text, "Date: ") != 1 || strings.Count(text, "From: ") != 1 || strings.Contains(text, "Bcc") ||
		!strings.Contains(text, "X-Two: changed a\n b\n") {
		t.Errorf("%q, %v", text, err)
	}
	s = b.submission("X-From: bob@example.test\n\nbody\n", "alice@example.test")
	s.Incoming, s.Author = true, address(t, "alice@example.test")
	if _, _, err := b.try(s); err == nil || dsn.From(err).Status != dsn.Policy {
		t.Errorf("%v", err)
	}
}

// TestActionsOnTheEnvelope: hold, filter, copies and redirections are in the queue, and are those of
// restrictions, too: the last word counts, and nothing takes the place of a discard.
func TestActionsOnTheEnvelope(t *testing.T) {
	t.Parallel()
	b := asking(t, "pcre:{ {/^Subject: (.*)/ $1}, {/^X: (.*)/ $1} }", "", "", "")
	hold := func(e *envelope.Envelope) { e.Hold = true }
	filter := func(e *envelope.Envelope) { e.Filter = &envelope.Route{Transport: "scan", Nexthop: "x"} }
	discard := func(e *envelope.Envelope) { e.Filter = &envelope.Route{Transport: "discard"} }
	redirect := func(e *envelope.Envelope) { e.Redirect = address(t, "bob@example.test") }
	for _, c := range []struct {
		header string
		before func(*envelope.Envelope)
		want   string
	}{
		{"Subject: HOLD look\nX: HOLD again", nil, "hold=true filter= to=alice@example.test"},
		{"Subject: DUNNO", hold, "hold=true filter= to=alice@example.test"},
		{"Subject: FILTER scan:[127.0.0.1]:1\nX: FILTER other:", nil, "hold=false filter=other: to=alice@example.test"},
		{"Subject: FILTER other:", filter, "hold=false filter=other: to=alice@example.test"},
		{"Subject: FILTER other:", discard, "hold=false filter=discard: to=alice@example.test"},
		{"Subject: FILTER other:", redirect, "hold=false filter= to=bob@example.test"},
		{"Subject: REDIRECT bob@example.test", filter, "hold=false filter= to=bob@example.test"},
		{"Subject: BCC bob@example.test\nX: BCC bob@example.test", filter, "hold=false filter=scan:x to=alice@example.test bob@example.test"},
		{"Subject: DISCARD\nX: REJECT", nil, "hold=false filter=discard: to=alice@example.test"},
	} {
		s := b.submission(c.header+"\n\nbody\n", "alice@example.test")
		s.Incoming = true
		if c.before != nil {
			c.before(s.Envelope)
		}
		env, _, err := b.try(s)
		if err != nil {
			t.Fatalf("%s: %v", c.header, err)
		}
		route := ""
		if env.Filter != nil {
			route = env.Filter.String()
		}
		if got := fmt.Sprintf("hold=%v filter=%s to=%s", s.Envelope.Hold, route, recipients(env)); got != c.want {
			t.Errorf("%s: %s, want %s", c.header, got, c.want)
		}
	}
	if log := b.log.String(); strings.Count(log, "action=HOLD") != 1 || !strings.Contains(log, "check=header_checks") {
		t.Error(log)
	}
	// As many copies as a message may have recipients.
	var many strings.Builder
	for i := range b.c.o.Params.AliasExpandLimit + 1 {
		fmt.Fprintf(&many, "X: BCC user%d@elsewhere.test\n", i)
	}
	if _, _, e := b.inspected(many.String() + "\nbody\n"); e == nil || e.Status != dsn.Misconfigured {
		t.Errorf("%v", e)
	}
}

// TestLongFieldsAreLookedUpToTheirLimit, and stay whole; behind a line that is no field nothing
// is a field, for a table, and no line is put in.
func TestLongFieldsAreLookedUpToTheirLimit(t *testing.T) {
	t.Parallel()
	b := asking(t, "pcre:{ {/late/ REJECT}, {/early/ PREPEND X-Found: early} }", "", "", "pcre:{ {/act strip/ STRIP} }")
	b.c.o.Params.HeaderSizeLimit = 1000
	for _, fold := range []string{"", "\n ", "\n\t"} {
		long := "Subject: early" + strings.Repeat(fold+"0123456789", 3000) + "late\n"
		_, text, e := b.inspected(long + "\nbody\n")
		if e != nil || !strings.HasSuffix(text, "\nX-Found: early\n"+long+"\nbody\n") {
			t.Errorf("%v", e)
		}
	}
	_, text, e := b.inspected("Subject: x\nno field act strip\nX-Not: late\n\nact strip\nx\n")
	if e != nil || !strings.HasSuffix(text, "\nSubject: x\nX-Not: late\n\nx\n") {
		t.Errorf("%q %v", text, e)
	}
}

// TestABrokenDiskIsNoPass: an inspection that cannot read, or whose time is over, refuses for now.
func TestABrokenDiskIsNoPass(t *testing.T) {
	t.Parallel()
	b := asking(t, "pcre:{ {/./ DUNNO} }", "", "", "pcre:{ {/./ DUNNO} }")
	s := b.submission(simple, "alice@example.test")
	s.Incoming = true
	s.Content = shorter{s.Content}
	if _, err := b.c.Submit(t.Context(), s); err == nil || !dsn.From(err).Temporary() {
		t.Errorf("%v", err)
	}
	s = b.submission(simple, "alice@example.test")
	s.Incoming = true
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.c.Submit(ctx, s); err == nil || !dsn.From(err).Temporary() {
		t.Errorf("%v", err)
	}
	b.nothingKept()
}

// shorter says that it is longer than it is.
type shorter struct{ envelope.Content }

func (s shorter) Size() int64         { return s.Content.Size() + 10 }
func (shorter) Bytes() ([]byte, bool) { return nil, false }
func (shorter) ReadAt(p []byte, off int64) (int, error) {
	return 0, errors.New("input/output error")
}

// TestOpenChecksNamesTheParameter of a table that is not there.
func TestOpenChecksNamesTheParameter(t *testing.T) {
	t.Parallel()
	c := configs.Default()
	set := tables.NewSet(tables.Options{Params: c.Lookup})
	defer set.Close()
	c.Cleanup.MIMEHeaderChecks = []string{"$header_checks", "pcre:" + filepath.Join(t.TempDir(), "none")}
	var e *configs.Error
	if _, err := OpenChecks(t.Context(), c, set); !errors.As(err, &e) || e.Param != "cleanup.mime_header_checks" || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	c.Cleanup.HeaderChecks, c.Cleanup.MIMEHeaderChecks = []string{"static:DUNNO"}, []string{"$header_checks"}
	if all, err := OpenChecks(t.Context(), c, set); err != nil || all.mime.maps.String() != "static:DUNNO" || all.nested.maps.String() != "static:DUNNO" || len(all.body.maps) != 0 {
		t.Errorf("%v %v", all, err)
	}
}

// marking is a table that wants a mark before everything, and sees what it is asked.
type marking struct{ action string }

func (m marking) Lookup(_ context.Context, key string) (string, error) {
	if m.action == "" {
		return "", directory.Missing("", key)
	}
	return m.action, nil
}

// FuzzInspect: whatever a message is, a table that has nothing to say leaves it as it is; marks are put
// between its octets, and none is lost; and one in a file is marked as one in memory.
func FuzzInspect(f *testing.F) {
	for _, text := range inspected() {
		f.Add(text)
	}
	b := newBed(f, hosted(f))
	b.c.o.Params.LineLengthLimit, b.c.o.Params.HeaderSizeLimit, b.c.o.Params.BodyChecksLimit = 100, 1000, 0
	const mark = "X-Mark: \x01\n"
	run := func(t *testing.T, c envelope.Content, action string) string {
		maps := tables.Maps{marking{action}}
		b.c.o.Checks = Checks{check{"header_checks", maps}, check{"mime_header_checks", maps}, check{"nested_header_checks", maps}, check{"body_checks", maps}, check{}}
		m := b.c.begin(&envelope.Submission{Envelope: &envelope.Envelope{}, Content: c})
		if err := m.inspect(t.Context()); err != nil {
			t.Fatal(err)
		}
		if (m.content != c) != (m.s.Content != c) {
			t.Fatal("two contents")
		}
		text := make([]byte, m.content.Size())
		if n, _ := m.content.ReadAt(text, 0); n != len(text) {
			t.Fatal("short")
		}
		if action == "" && m.content != c {
			t.Fatal("copied")
		}
		if err := m.content.Close(); err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "\x01") {
			return
		}
		if got := run(t, &inMemory{envelope.Memory(text)}, ""); got != text {
			t.Fatalf("%q became %q", text, got)
		}
		marked := run(t, &inMemory{envelope.Memory(text)}, "PREPEND "+strings.TrimSpace(mark))
		if got := strings.ReplaceAll(marked, mark, ""); got != text {
			t.Fatalf("%q became %q", text, got)
		}
		if got := run(t, &filed{inMemory{envelope.Memory(text)}}, "PREPEND "+strings.TrimSpace(mark)); got != marked {
			t.Fatalf("%q: in a file %q, in memory %q", text, got, marked)
		}
		if got := run(t, &inMemory{envelope.Memory(text)}, "STRIP"); strings.Trim(got, "\n") != "" {
			t.Fatalf("%q: nobody looked at %q", text, got)
		}
	})
}

// inMemory is a content that can be compared, and filed one that is not in memory.
type (
	inMemory struct{ envelope.Memory }
	filed    struct{ inMemory }
)

func (*filed) Bytes() ([]byte, bool) { return nil, false }
