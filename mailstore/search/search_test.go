package search

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/envelope"
	"toastmaster/internal/mime"
)

// message is a Source in memory that counts what it is asked.
type message struct {
	t          *testing.T
	info       Info
	text       string
	structures int
	contents   int
	open       int
	err        error
	limits     mime.Limits
}

func (m *message) Info(i *Info) { *i = m.info }

func (m *message) Text(context.Context, *Column) ([]byte, bool, error) { return nil, false, nil }

func (m *message) Record(_ context.Context, whole bool) (*mime.Message, error) {
	m.structures++
	if m.err != nil {
		return nil, m.err
	}
	s := m.scan()
	if !whole {
		s.Fields = mime.Fields{} // as of an older version
	}
	return s, nil
}

func (m *message) scan() *mime.Message {
	s, err := m.limits.Scan(strings.NewReader(m.text))
	if err != nil {
		m.t.Fatal(err)
	}
	s.Keys = AppendSortKeys(nil, s)
	return s
}

func (m *message) Content(ctx context.Context) (envelope.Content, *mime.Message, error) {
	if m.err != nil {
		return nil, nil, m.err
	}
	m.contents++
	m.open++
	return &content{envelope.Memory(m.text), m}, m.scan(), nil
}

// content is one that has to be read.
type content struct {
	envelope.Memory
	m *message
}

func (c *content) Bytes() ([]byte, bool) { return nil, false }
func (c *content) Close() error          { c.m.open--; return nil }

func limits() Limits {
	return Limits{Octets: 1 << 30, Tests: 1 << 20, Step: func(int) error { return nil }, Now: time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)}
}

const letter = "From: =?utf-8?q?J=C3=B6rg?= <joerg@example.org>\nTo: Alice <alice@example.test>, bob@example.test\nSubject: Gr\u00fc\u00dfe\n from afar\nMessage-ID: <1@x>\n" +
	"Date: Thu, 26 Nov 2026 23:30:00 -0800\nX-Two: one\nX-Two: other\nReferences: <0@x>\nReferences: <\n 00@x>\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\nsch=F6ne W=\n=F6rter\n"

func newMessage(t *testing.T) *message {
	return &message{t: t, text: letter, info: Info{
		Number: 7, Flags: []imap.Flag{imap.FlagSeen, "$Label"}, Date: time.Date(2026, 11, 26, 11, 0, 0, 0, time.UTC), Size: 400,
	}}
}

// TestMatch has each kind of key, that it matches and that it does not, and what
// it asks of the message.
func TestMatch(t *testing.T) {
	t.Parallel()
	const nothing, structure, everything, both = 0, 1, 2, 3 // everything has no structure of its own
	bounds := func(kind Kind, low, high int64) *Key { return &Key{Kind: kind, Low: low, High: high} }
	for _, c := range []struct {
		name string
		key  *Key
		want bool
		asks int
	}{
		{"all", &Key{Kind: All}, true, nothing},
		{"not all", &Key{Kind: All, Not: true}, false, nothing},
		{"in set", &Key{Kind: InSet, Set: []Range{{1, 2}, {5, 9}}}, true, nothing},
		{"not in set", &Key{Kind: InSet, Set: []Range{{1, 6}, {8, 9}}}, false, nothing},
		{"flag", &Key{Kind: HasFlag, Flag: imap.FlagSeen}, true, nothing},
		{"keyword in another case", &Key{Kind: HasFlag, Flag: "$LABEL"}, true, nothing},
		{"no flag", &Key{Kind: HasFlag, Flag: imap.FlagDeleted}, false, nothing},
		{"recent", &Key{Kind: IsRecent}, false, nothing},
		{"received", bounds(Received, 20261126, 20261126), true, nothing},
		{"received before", bounds(Received, 0, 20261125), false, nothing},
		{"size", bounds(HasSize, 400, 400), true, nothing},
		{"larger", bounds(HasSize, 401, 1<<40), false, nothing},
		{"an hour old", bounds(IsOld, 3600, 3600), true, nothing},
		{"older", bounds(IsOld, 3601, 1<<40), false, nothing},
		{"sent, in its own zone", bounds(Sent, 20261126, 20261126), true, structure},
		{"sent, elsewhere", bounds(Sent, 20261127, 20261127), false, structure},
		{"from", FieldWords(From, "J\u00d6RG"), true, structure},
		{"from an address", FieldWords(From, "joerg@EXAMPLE"), true, structure},
		{"to the second", FieldWords(To, "bob@"), true, structure},
		{"no cc", FieldWords(Cc, ""), false, structure},
		{"subject, folded", HeaderWords("Subject", "gru\u0308\u00dfe from"), true, structure},
		{"message-id", HeaderWords("Message-Id", "<1@x>"), true, structure},
		{"header", HeaderWords("x-two", "OTHER"), true, both},
		{"header, not across fields", HeaderWords("x-two", "oneother"), false, both},
		{"header that is there", HeaderWords("X-Two", ""), true, both},
		{"header that is not", HeaderWords("X-Three", ""), false, structure},
		{"header that is kept", HeaderWords("references", "<0@x>"), true, structure},
		{"header that is kept, not across fields", HeaderWords("References", "<0@x><"), false, structure},
		{"header that is kept and there", HeaderWords("References", ""), true, structure},
		{"header that is not there", HeaderWords("Newsgroups", ""), false, structure},
		{"body", Words(InBody, "SCH\u00d6NE w\u00f6rter"), true, everything},
		{"body has no header", Words(InBody, "afar"), false, everything},
		{"text has", Words(InText, "afar"), true, everything},
		{"cheap first", And(Words(InBody, "x"), &Key{Kind: HasFlag, Flag: imap.FlagDeleted}), false, nothing},
		{"or, cheap first", Or(Words(InBody, "x"), &Key{Kind: HasFlag, Flag: imap.FlagSeen}), true, nothing},
		{"two texts, read once", And(Words(InBody, "sch\u00f6ne"), Words(InText, "afar"), Words(InText, "w\u00f6rter")), true, everything},
	} {
		m := newMessage(t)
		p := New(c.key, limits())
		for range 2 { // the second message finds nothing of the first
			m.structures, m.contents = 0, 0
			got, err := p.Match(t.Context(), m)
			if got != c.want || err != nil {
				t.Errorf("%s: %v %v", c.name, got, err)
			}
			if asked := min(m.structures, 1) + 2*m.contents; asked != c.asks || m.structures > 1 || m.open != 0 {
				t.Errorf("%s: %d structures, %d contents, %d open", c.name, m.structures, m.contents, m.open)
			}
		}
	}
}

// TestTextsAreOfOneMessage: what was read of a message is not looked into for the
// next.
func TestTextsAreOfOneMessage(t *testing.T) {
	t.Parallel()
	other := newMessage(t)
	other.text = "Subject: else\n\nnothing of it\n"
	p := New(And(Words(InText, "afar"), Words(InBody, "sch\u00f6ne")), limits())
	for i, m := range []*message{newMessage(t), other, newMessage(t)} {
		if ok, err := p.Match(t.Context(), m); ok != (m != other) || err != nil {
			t.Errorf("%d: %v %v", i, ok, err)
		}
	}
}

// TestLimits: a program ends at what it may cost, and says which it was.
func TestLimits(t *testing.T) {
	t.Parallel()
	lost := errors.New("nobody waits")
	for _, c := range []struct {
		name  string
		limit func(l *Limits)
		want  error
	}{
		{"octets", func(l *Limits) { l.Octets = 3 * int64(len(letter)) }, ErrWork},
		{"tests", func(l *Limits) { l.Tests = 50 }, ErrTests},
		{"step", func(l *Limits) { n := 0; l.Step = func(int) error { n++; return errAfter(n > 9, lost) } }, lost},
	} {
		l := limits()
		c.limit(&l)
		p := New(Words(InText, "nowhere"), l)
		m, ended := newMessage(t), error(nil)
		for range 10 {
			if _, ended = p.Match(t.Context(), m); ended != nil {
				break
			}
		}
		if ended != c.want || m.open != 0 {
			t.Errorf("%s: %v, %d open", c.name, ended, m.open)
		}
	}
}

// TestErrorsOfTheSource come back as they are, under NOT too.
func TestErrorsOfTheSource(t *testing.T) {
	t.Parallel()
	m := newMessage(t)
	m.err = errors.New("gone")
	for _, k := range []*Key{FieldWords(From, "x"), Words(InBody, "x"), {Kind: AllOf, Not: true, Kids: []*Key{Words(InText, "x")}}} {
		if _, err := New(k, limits()).Match(t.Context(), m); err != m.err {
			t.Errorf("%v", err)
		}
	}
}

// TestChangedContent has a content that is shorter than its structure says.
func TestChangedContent(t *testing.T) {
	t.Parallel()
	for _, k := range []*Key{HeaderWords("X-Two", "x"), Words(InText, "x"), And(Words(InText, "a"), Words(InText, "b"))} {
		m := &short{newMessage(t)}
		if ok, err := New(k, limits()).Match(t.Context(), m); ok || !errors.Is(err, errChanged) {
			t.Errorf("%v %v", ok, err)
		}
	}
}

type short struct{ *message }

func (s *short) Content(context.Context) (envelope.Content, *mime.Message, error) {
	return envelope.Memory(""), s.scan(), nil
}

func TestCandidates(t *testing.T) {
	t.Parallel()
	set := &Key{Kind: InSet, Set: []Range{{2, 3}}}
	for _, c := range []struct {
		key  *Key
		want bool
	}{{set, true}, {And(&Key{Kind: All}, set), true}, {Or(&Key{Kind: All}, set), false}, {&Key{Kind: InSet, Not: true}, false}} {
		if got, ok := New(c.key, limits()).Candidates(); ok != c.want || ok && !slices.Equal(got, set.Set) {
			t.Errorf("%v %v", got, ok)
		}
	}
}

// FuzzMatch holds a search of texts against one of the whole text in memory.
func FuzzMatch(f *testing.F) {
	f.Add("Subject: a\n\nsome text here\n", "text h", uint8(0))
	f.Add("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\nZ3LDvMOfZQ==\n", "gr\u00fc", uint8(1))
	f.Add("0", "\xff", uint8('u')) // what separates the texts of a message
	f.Fuzz(func(t *testing.T, message_, needle string, kind uint8) {
		m := &message{t: t, text: message_}
		key := Words(InBody+Kind(kind%2), needle)
		one, err := New(key, limits()).Match(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		// Two keys that look into texts read them at once.
		both, err := New(And(key, Words(InText, needle), Words(InText, "")), limits()).Match(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		if both && !one && needle != "" {
			t.Fatalf("found at once, not alone")
		}
		if m.open != 0 {
			t.Fatalf("%d open", m.open)
		}
	})
}

func errAfter(late bool, err error) error {
	if late {
		return err
	}
	return nil
}
