package cleanup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/static"
	"toastmaster/internal/addr"
	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/msglog"
	"toastmaster/internal/trace"
	"toastmaster/internal/vfs"
	"toastmaster/mta/queue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bed is a Cleanup on a real queue.
type bed struct {
	t   testing.TB
	c   *Cleanup
	q   *queue.Queue
	log bytes.Buffer
}

func hosted(t testing.TB) *directory.Directory {
	t.Helper()
	many := make([]string, 30)
	for i := range many {
		many[i] = fmt.Sprintf("user%d@elsewhere.test", i)
	}
	d, err := static.New(static.Data{
		Domains: append(static.Hosted("example.test", "caught.test", "round.test"),
			directory.Domain{Name: "alias.test", AliasOf: "example.test", Enabled: true}),
		Accounts: []directory.Account{static.Box("alice@example.test", ""), static.Box("bob@example.test", ""),
			static.Box("copy@example.test", ""), static.Box("friend@example.test", ""), static.Box("away@example.test", "")},
		Aliases: map[string][]string{
			"one@example.test":      {"alice@example.test"},
			"two@example.test":      {"alice@example.test", "bob@example.test", "far@elsewhere.test"},
			"nested@example.test":   {"two@example.test", "one@alias.test"},
			"dangling@example.test": {"nobody@example.test"},
			"gone@example.test":     {"moved@example.test"},
			"loop1@example.test":    {"loop2@alias.test"},
			"loop2@example.test":    {"alice@example.test", "loop1@example.test"},
			"copy@example.test":     {"far@elsewhere.test", "Copy@alias.test"},
			"friend@example.test":   {"copy@example.test", "ally@example.test", "friend@example.test"},
			"ally@example.test":     {"friend@alias.test", "bob@example.test"},
			"away@example.test":     {"far@elsewhere.test"},
			"self@example.test":     {"self@example.test"},
			"@round.test":           {"nobody@round.test"},
			"many@example.test":     many,
			"deep1@example.test":    {"deep2@example.test"},
			"deep2@example.test":    {"deep3@example.test"},
			"deep3@example.test":    {"deep4@example.test"},
			"deep4@example.test":    {"alice@example.test"},
			"@caught.test":          {"bob@example.test"},
		},
		Relocated:  map[string]string{"moved@example.test": "new@elsewhere.test"},
		Delimiters: "+",
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func newBed(t testing.TB, d *directory.Directory) *bed {
	t.Helper()
	b := &bed{t: t}
	cfg := configs.Default()
	cfg.Queue.MemoryLimit = 4 << 10
	cfg.Cleanup.AliasDepthLimit, cfg.Cleanup.AliasExpandLimit, cfg.Cleanup.HopCountLimit = 3, 20, 5
	log := msglog.New(slog.NewTextHandler(&b.log, nil))
	q, err := queue.Open(context.Background(), queue.Options{
		FS: vfs.OS{}, Dir: t.TempDir(), Config: cfg.Queue, Clock: clock.System{}, Log: msglog.Discard(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	})
	b.q = q
	b.c = New(Options{Params: cfg.Cleanup, Hostname: "mx.test", Directory: d, Queue: q, Log: log, Clock: clock.System{}})
	return b
}

func address(t testing.TB, s string) addr.Address {
	t.Helper()
	a, err := addr.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// submission is a message from outside.
func (b *bed) submission(text string, to ...string) *envelope.Submission {
	env := &envelope.Envelope{
		Sender: address(b.t, "sender@elsewhere.test"),
		Origin: envelope.Origin{Protocol: "ESMTPS", ClientAddr: "192.0.2.1", ClientName: "mail.elsewhere.test", Helo: "mail", Session: "S1", TLS: "TLS 1.3 with cipher X"},
	}
	for _, s := range to {
		a := address(b.t, s)
		env.Recipients = append(env.Recipients, envelope.Recipient{Address: a, Original: a})
	}
	buf := b.q.Spool().New()
	if _, err := io.WriteString(buf, text); err != nil {
		b.t.Fatal(err)
	}
	return &envelope.Submission{Envelope: env, Content: buf}
}

// take submits and returns what the queue hands out.
func (b *bed) take(s *envelope.Submission) (*envelope.Envelope, string) {
	b.t.Helper()
	id, err := b.c.Submit(b.t.Context(), s)
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	it, err := b.q.Next(ctx)
	if err != nil {
		b.t.Fatal(err)
	}
	if it.Envelope.ID != id {
		b.t.Errorf("ID %s, queue has %s", id, it.Envelope.ID)
	}
	c, err := it.Content()
	if err != nil {
		b.t.Fatal(err)
	}
	text, err := io.ReadAll(envelope.Reader(c))
	if err != nil || c.Close() != nil {
		b.t.Fatal(err)
	}
	for _, i := range it.Pending() {
		if err := it.Done(i, queue.EffectFinal); err != nil {
			b.t.Fatal(err)
		}
	}
	if err := it.Close(ctx, time.Time{}, false); err != nil {
		b.t.Fatal(err)
	}
	return it.Envelope, string(text)
}

func (b *bed) nothingKept() {
	b.t.Helper()
	list, err := b.q.List(b.t.Context(), queue.Filter{}, "", 10)
	if err != nil || len(list) != 0 {
		b.t.Errorf("in the queue: %v, %v", list, err)
	}
}

func recipients(env *envelope.Envelope) string {
	var all []string
	for _, r := range env.Recipients {
		all = append(all, r.Address.String())
	}
	return strings.Join(all, " ")
}

const simple = "From: a@elsewhere.test\nSubject: x\n\nbody\n"

func TestTraceHeader(t *testing.T) {
	t.Parallel()
	b := newBed(t, hosted(t))
	env, text := b.take(b.submission(simple, "alice@example.test"))
	want := regexp.MustCompile(`^Received: from mail \(mail\.elsewhere\.test \[192\.0\.2\.1\]\)
	\(using TLS 1\.3 with cipher X\)
	by mx\.test \(Toastmaster\) with ESMTPS id [0-9A-Za-z]+
	for <alice@example\.test>; [A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}
From: a@elsewhere\.test
Subject: x

body
$`)
	if !want.MatchString(text) {
		t.Errorf("%s", text)
	}
	if env.Hops != 0 || env.Arrived.IsZero() || recipients(env) != "alice@example.test" {
		t.Errorf("%+v", env)
	}
	if log := b.log.String(); !strings.Contains(log, "msg=queued id="+string(env.ID)) || !strings.Contains(log, "nrcpt=1") {
		t.Error(log)
	}
}

func TestTraceTellsNobodyOfOthers(t *testing.T) {
	t.Parallel()
	b := newBed(t, hosted(t))
	_, text := b.take(b.submission(simple, "alice@example.test", "bob@example.test"))
	if strings.Contains(text, "for <") {
		t.Errorf("%s", text)
	}
	// One recipient that stands for several is named as the client gave it.
	_, text = b.take(b.submission(simple, "two@example.test"))
	if !strings.Contains(text, "\tfor <two@example.test>;") {
		t.Errorf("%s", text)
	}
}

func TestWhatClientsSayIsHarmless(t *testing.T) {
	t.Parallel()
	b := newBed(t, hosted(t))
	s := b.submission(simple, "alice@example.test")
	s.Envelope.Origin.Helo = "(evil);\n x\xff"
	s.Envelope.Origin.ClientAddr = "2001:db8::1"
	_, text := b.take(s)
	if !strings.HasPrefix(text, "Received: from ?evil????x? (mail.elsewhere.test [IPv6:2001:db8::1])\n") {
		t.Errorf("%s", text)
	}
	s = b.submission(simple, "alice@example.test")
	s.Envelope.Origin = envelope.Origin{Source: envelope.SourceBounce}
	_, text = b.take(s)
	if !strings.HasPrefix(text, "Received: by mx.test (Toastmaster, from bounce) id ") {
		t.Errorf("%s", text)
	}
}

func TestExpansion(t *testing.T) {
	t.Parallel()
	b := newBed(t, hosted(t))
	for _, c := range []struct{ to, want string }{
		{"alice@example.test", "alice@example.test"},
		{"Alice+news@Alias.test", "Alice+news@example.test"},
		{"one@example.test", "alice@example.test"},
		{"one@alias.test", "alice@example.test"},
		{"two@example.test", "alice@example.test bob@example.test far@elsewhere.test"},
		{"nested@example.test", "alice@example.test bob@example.test far@elsewhere.test"},
		{"two@example.test bob@example.test x@elsewhere.test", "alice@example.test bob@example.test far@elsewhere.test x@elsewhere.test"},
		{"whoever@caught.test", "bob@example.test"},
		{"dangling@example.test", "nobody@example.test"},
		{"gone@example.test", "moved@example.test"},
		// virtual(5): expansion ends where an alias names itself.
		{"self@example.test", "self@example.test"},
		{"copy@example.test", "far@elsewhere.test Copy@example.test"},
		{"copy+x@alias.test", "far@elsewhere.test Copy@example.test"},
		{"friend@example.test", "far@elsewhere.test Copy@example.test bob@example.test friend@example.test"},
		{"ally@example.test", "far@elsewhere.test Copy@example.test friend@example.test bob@example.test"},
		{"away@example.test", "far@elsewhere.test"},
		{"x@elsewhere.test X@elsewhere.test", "x@elsewhere.test"},
	} {
		env, _ := b.take(b.submission(simple, strings.Fields(c.to)...))
		if got := recipients(env); got != c.want {
			t.Errorf("%s: %s, want %s", c.to, got, c.want)
		}
	}
}

// TestWhatTheSenderAskedForGoesAlong: to each target, but of several none makes
// a report of success; the alias does (RFC 3461 section 5.2.7.3).
func TestWhatTheSenderAskedForGoesAlong(t *testing.T) {
	t.Parallel()
	b := newBed(t, hosted(t))
	const success, failure, never = envelope.NotifySuccess, envelope.NotifyFailure, envelope.NotifyNever
	const two, friend = "alice@example.test bob@example.test far@elsewhere.test", "far@elsewhere.test Copy@example.test"
	for _, c := range []struct {
		to             string
		asked, targets envelope.Notify
		want           string
	}{
		{"two@example.test", success, never, two + " two@example.test"},
		{"two@example.test", success | failure, failure, two + " two@example.test"},
		{"two@example.test", failure, failure, two},
		{"two@example.test", never, never, two},
		{"two@example.test", 0, 0, two},
		{"one@example.test", success, success, "alice@example.test"},
		{"copy@example.test", success, never, friend + " copy@example.test"},
	} {
		s := b.submission(simple, c.to, c.to)
		for i := range s.Envelope.Recipients {
			s.Envelope.Recipients[i].Notify, s.Envelope.Recipients[i].ORcpt = c.asked, "rfc822;list@elsewhere.test"
		}
		env, _ := b.take(s)
		if got := recipients(env); got != c.want {
			t.Errorf("%s: %s, want %s", c.to, got, c.want)
		}
		for i, r := range env.Recipients {
			want := c.targets
			if r.Expanded {
				want = c.asked
			}
			if expanded := i >= len(strings.Fields(c.want))-1 && strings.HasSuffix(c.want, " "+c.to); r.Expanded != expanded ||
				r.Notify != want || r.Original.String() != c.to || r.ORcpt != "rfc822;list@elsewhere.test" {
				t.Errorf("%+v", r)
			}
		}
	}
}

// TestAnExpandedRecipientIsNoneToDeliver: it does not save a message that
// nobody can get, is not in a loop itself, and takes no room from others.
func TestAnExpandedRecipientIsNoneToDeliver(t *testing.T) {
	t.Parallel()
	b := newBed(t, hosted(t))
	submission := func(text string, to ...string) *envelope.Submission {
		s := b.submission(text, to...)
		for i := range s.Envelope.Recipients {
			s.Envelope.Recipients[i].Notify = envelope.NotifySuccess
		}
		return s
	}
	all := "Delivered-To: copy@example.test\nDelivered-To: far@elsewhere.test\n"
	if _, err := b.c.Submit(t.Context(), submission(all+simple, "copy@example.test")); dsn.From(err).Status != dsn.LoopDetected {
		t.Errorf("nobody to deliver to: %v", err)
	}
	b.nothingKept()
	env, _ := b.take(submission("Delivered-To: copy@example.test\n"+simple, "copy@example.test"))
	if r := env.Recipients; len(r) != 3 || r[1].Refused == nil || !r[2].Expanded || r[2].Refused != nil {
		t.Errorf("%+v", r)
	}
	to := []string{"two@example.test"}
	for i := range 17 {
		to = append(to, fmt.Sprintf("u%d@elsewhere.test", i))
	}
	if env, _ := b.take(submission(simple, to...)); len(env.Recipients) != 21 {
		t.Error(recipients(env))
	}
}

// closing notes that a content was closed.
type closing struct {
	envelope.Content
	closed int
}

func (c *closing) Close() error {
	c.closed++
	return c.Content.Close()
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	good := hosted(t)
	down := static.Broken{Outcome: directory.Unavailable, Cause: errors.New("down")}.Directory()
	bad := static.Broken{Outcome: directory.Misconfigured}.Directory()
	received := strings.Repeat("Received: from a by b; x\n", 5)
	for _, c := range []struct {
		name, to, text, status string
		d                      *directory.Directory
	}{
		{"hops", "alice@example.test", received + simple, "5.4.6", good},
		{"alias loop", "loop1@example.test", simple, "5.4.6", good},
		{"catch-all of itself", "x@round.test", simple, "5.4.6", good},
		{"nested too deep", "deep1@example.test", simple, "5.3.5", good},
		{"too many", "many@example.test", simple, "5.3.5", good},
		{"more than one, each in a loop", "loop1@example.test x@round.test", simple, "5.4.6", good},
		{"was here before", "alice@example.test", "Delivered-To: Alice@example.test\n" + simple, "5.4.6", good},
		{"was here before, by alias", "one@alias.test", "Subject: x\ndelivered-to: <alice@example.test>\n\n", "5.4.6", good},
		{"directory down", "alice@example.test", simple, "4.3.0", down},
		{"directory bad", "alice@example.test", simple, "4.3.5", bad},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, c.d)
			s := b.submission(c.text, strings.Fields(c.to)...)
			content := &closing{Content: s.Content}
			s.Content = content
			_, err := b.c.Submit(t.Context(), s)
			var e *dsn.Error
			if !errors.As(err, &e) || e.Status.String() != c.status || content.closed != 1 {
				t.Errorf("%v, closed %d times", err, content.closed)
			}
			b.nothingKept()
		})
	}
}

// TestARefusedRecipientConcernsNobodyElse: what cannot be delivered goes to the
// queue as such, with what can.
func TestARefusedRecipientConcernsNobodyElse(t *testing.T) {
	t.Parallel()
	b := newBed(t, hosted(t))
	here := "Delivered-To: alice@example.test\n" + simple
	for _, c := range []struct{ to, text, want string }{
		{"loop1@example.test bob@example.test", simple, "loop1@example.test 5.4.6 bob@example.test"},
		{"bob@example.test many@example.test deep1@example.test", simple, "bob@example.test many@example.test 5.3.5 deep1@example.test 5.3.5"},
		{"two@example.test", here, "alice@example.test 5.4.6 bob@example.test far@elsewhere.test"},
		{"x@elsewhere.test one@alias.test", here, "x@elsewhere.test alice@example.test 5.4.6"},
	} {
		env, _ := b.take(b.submission(c.text, strings.Fields(c.to)...))
		var got []string
		for _, r := range env.Recipients {
			got = append(got, r.Address.String())
			if r.Refused != nil {
				got = append(got, r.Refused.Status.String())
			}
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: %s, want %s", c.to, s, c.want)
		}
	}
	// Nobody could be told of a report's fate: it is taken, for qmgr to drop.
	s := b.submission(simple, "loop1@example.test")
	s.Envelope.Sender = addr.Address{}
	if env, _ := b.take(s); len(env.Recipients) != 1 || env.Recipients[0].Refused == nil {
		t.Errorf("%+v", env.Recipients)
	}
}

// TestWhatWasGivenIsNoExpansion: recipients that are no aliases have their limit where they came in.
func TestWhatWasGivenIsNoExpansion(t *testing.T) {
	t.Parallel()
	b := newBed(t, hosted(t))
	var to []string
	for n := range 50 { // of 20 that aliases may stand for
		to = append(to, fmt.Sprintf("r%d@far.test", n))
	}
	if env, _ := b.take(b.submission("Subject: x\n\n", to...)); len(env.Recipients) != len(to) {
		t.Errorf("%d recipients of %d", len(env.Recipients), len(to))
	}
}

func TestHopsBelowTheLimit(t *testing.T) {
	t.Parallel()
	b := newBed(t, hosted(t))
	text := strings.Repeat("received : from a by b;\n x\n", 4) + "Subject: Received: no\n\nReceived: body\n"
	if env, _ := b.take(b.submission(text, "alice@example.test")); env.Hops != 4 {
		t.Errorf("%d hops", env.Hops)
	}
	// Delivered to somebody else before is no loop.
	b.take(b.submission("Delivered-To: bob@example.test\n\n", "alice@example.test"))
}

func TestSubmittedMailIsCompleted(t *testing.T) {
	t.Parallel()
	b := newBed(t, hosted(t))
	s := b.submission("Subject: x\n\n", "alice@example.test")
	s.Complete = true
	env, text := b.take(s)
	for _, want := range []string{
		"\nMessage-ID: <" + env.Arrived.UTC().Format("20060102150405") + "." + string(env.ID) + "@mx.test>\n",
		"\nDate: " + env.Arrived.Format(trace.DateFormat) + "\n", "\nFrom: sender@elsewhere.test\nSubject: x\n\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	s = b.submission("date: d\nMESSAGE-ID: <i>\nfrom: f\n\n", "alice@example.test")
	s.Complete = true
	if _, text := b.take(s); strings.Count(text, "\n") != 8 {
		t.Errorf("%s", text)
	}
	// Other people's mail is left alone.
	if _, text := b.take(b.submission("Subject: x\n\n", "alice@example.test")); strings.Contains(text, "Date:") || strings.Contains(text, "From:") {
		t.Errorf("%s", text)
	}
}

func TestDroppedFields(t *testing.T) {
	t.Parallel()
	b := newBed(t, hosted(t))
	head := "Return-Path: <a@b>\nFrom: f\nBCC : secret@x,\n\tmore@x\nSubject: s\nContent-Length: 5\nX: y\n"
	want := "From: f\nSubject: s\nX: y\n"
	for _, body := range []string{"\nBcc: in the body\n", "\n" + strings.Repeat("large\n", 2000)} {
		_, text := b.take(b.submission(head+body, "alice@example.test"))
		_, after, _ := strings.Cut(text, "From: f")
		if got := "From: f" + after; got != want+body {
			t.Errorf("%.300q", got)
		}
	}
	// A message in a file that has nothing to drop goes to the queue as it is.
	s := b.submission(simple+strings.Repeat("large\n", 2000), "alice@example.test")
	m := b.c.begin(s)
	if err := m.run(t.Context()); err != nil || m.content != s.Content {
		t.Errorf("%v, content was replaced", err)
	}
	if err := s.Content.Close(); err != nil {
		t.Error(err)
	}
}

func TestContentWithoutHeader(t *testing.T) {
	t.Parallel()
	b := newBed(t, hosted(t))
	for text, want := range map[string]string{
		"":                         "",
		"\nbody\n":                 "\nbody\n",
		"just text\n":              "\njust text\n",
		" folded\n":                "\n folded\n",
		"From x Mon\nSubject: s\n": "\nFrom x Mon\nSubject: s\n",
		"A: b":                     "A: b",
		": no name\n":              "\n: no name\n",
	} {
		_, got := b.take(b.submission(text, "alice@example.test"))
		_, after, _ := strings.Cut(got, "; ")
		_, after, _ = strings.Cut(after, "\n")
		if after != want {
			t.Errorf("%q became %q", text, after)
		}
	}
}

// FuzzHeader: in memory and in a file the header reads the same, and what is
// dropped are whole lines.
func FuzzHeader(f *testing.F) {
	f.Add([]byte("Received: x\n y\nBcc: z\n\nbody"), uint16(3))
	f.Add([]byte("Authentication-Results: (c)\n mx.test;\n x\nnone\nAuthentication-Results : mx.test\n\nb"), uint16(0))
	f.Add([]byte("Bcc: "+strings.Repeat("x", 100)+"\nDelivered-To: a@b\nDate:\n"), uint16(40))
	c := New(Options{Params: configs.Default().Cleanup})
	f.Fuzz(func(t *testing.T, text []byte, pad uint16) {
		text = append(bytes.Repeat([]byte("x"), int(pad)*3), text...)
		mem, inMemory := readHeader(t, c, envelope.Memory(text))
		if _, inFile := readHeader(t, c, onFile{envelope.Memory(text)}); inMemory != inFile {
			t.Fatalf("%s\n%s", inMemory, inFile)
		}
		at := int64(0)
		for _, d := range mem.removed {
			if d.from < at || d.to <= d.from || d.to > int64(len(text)) || d.from > 0 && text[d.from-1] != '\n' {
				t.Fatalf("%+v of %q", mem.removed, text)
			}
			at = d.to
		}
	})
}

// readHeader lets the stages see a header, and says what they found.
func readHeader(t testing.TB, c *Cleanup, content envelope.Content) (*message, string) {
	t.Helper()
	m := c.begin(&envelope.Submission{Envelope: &envelope.Envelope{}, Content: content, Outside: true})
	if err := m.read(); err != nil {
		t.Fatal(err)
	}
	return m, fmt.Sprint(m.headless, m.removed, m.hasDate, m.hasFrom, m.hasMessageID, m.messageID, m.hops.count, m.loops.delivered)
}

// onFile is a content that does not lie in memory.
type onFile struct{ envelope.Memory }

func (onFile) Bytes() ([]byte, bool) { return nil, false }
