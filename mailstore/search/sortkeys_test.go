package search

import (
	"bytes"
	"context"
	"net/mail"
	"strings"
	"testing"
	"time"

	"toastmaster/internal/mime"
	"toastmaster/internal/mime/text"
)

// TestBaseSubject has the examples of RFC 5256 section 2.1 and those that readers
// get wrong.
func TestBaseSubject(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		subject, base string
		reply         bool
	}{
		{"Hello", "hello", false},
		{"", "", false},
		{"Re: Hello", "hello", true},
		{"RE : re:  Fwd:Fw: Hello   world ", "hello world", true},
		{"Re[2]: Hello", "hello", true},
		{"re [2] : Hello", "hello", true},
		{"[list] Re: [list] Hello", "hello", true},
		{"[a] [b] Hello", "hello", false},
		{"[list]", "[list]", false},
		{"[list] Re:", "", true},
		{"[a][b]", "[b]", false},
		{"[list", "[list", false},
		{"[a[b] Re: x", "[a[b] re: x", false},
		{"Hello (fwd)", "hello", true},
		{"Hello (FWD) (fwd) ", "hello", true},
		{"[Fwd: Re: Hello]", "hello", true},
		{"[fwd: [fwd: Hello (fwd)]]", "hello", true},
		{"Re: [Fwd: Hello] (fwd)", "hello", true},
		{"[fwd:]", "", true},
		{"Reply: Hello", "reply: hello", false},
		{"Fwdx: y", "fwdx: y", false},
		{"=?utf-8?q?Re:_Gr=C3=BC=C3=9Fe?=", "gr\u00fc\u00dfe", true},
		{"GR\u00dcSSE\tan\r\n alle", "gr\u00fcsse an alle", false},
		{"re: \u00a0x", "x", true},
	} {
		base, reply := baseSubjectOf([]byte(c.subject))
		if string(base) != c.base || reply != c.reply {
			t.Errorf("%q: %q %v, want %q %v", c.subject, base, reply, c.base, c.reply)
		}
	}
	long, _ := baseSubjectOf(bytes.Repeat([]byte("long "), 1000))
	if len(long) != MaxBaseSubject {
		t.Errorf("%d octets", len(long))
	}
}

// TestBaseSubjectOfNothingElse: who walks over what follows for each piece of a
// subject is not done in a day.
func TestBaseSubjectOfNothingElse(t *testing.T) {
	t.Parallel()
	const n = 1 << 20
	for _, piece := range []string{"[a]", "re:", "re[a]:", "[a] re:", "(fwd)", "[fwd:", "[", "]", "[a"} {
		for _, subject := range []string{strings.Repeat(piece, n) + "x", "x" + strings.Repeat(piece, n), strings.Repeat(piece, n), "[fwd:" + strings.Repeat(piece, n) + strings.Repeat("]", n)} {
			if base, _ := baseSubjectOf([]byte(subject)); len(base) > MaxBaseSubject {
				t.Errorf("%d octets of %q", len(base), piece)
			}
		}
	}
}

// baseSubjectOf is the base subject of a subject as it is written.
func baseSubjectOf(subject []byte) (base []byte, reply bool) {
	return baseSubject(text.Fold(nil, text.DecodeWords(subject)))
}

// TestSortKeysTakeNoMemory besides that of who keeps them: each delivery makes some.
func TestSortKeysTakeNoMemory(t *testing.T) {
	for _, date := range []string{"Thu, 26 Nov 2026 23:30:00 -0800", "Fri, 27 Nov 2026 07:30:00 +0000 (UTC)", "27 Nov 2026 07:30:00 +0100", "Fri, 27 Nov 2026 07:30:00 GMT"} {
		m := mime.Limits{}.ScanBytes([]byte("Date: " + date + "\nSubject: Re: [list] A subject of some words, about nothing much\n\n"))
		keys := make([]byte, 0, 1024)
		if n := testing.AllocsPerRun(100, func() { keys = AppendSortKeys(keys[:0], m) }); n > 0 {
			t.Errorf("%s: %v pieces of memory", date, n)
		}
		if k, err := ParseSortKeys(keys); err != nil || k.Sent.IsZero() || !k.Reply {
			t.Errorf("%s: %+v, %v", date, k, err)
		}
	}
}

func TestSortKeysAreKept(t *testing.T) {
	t.Parallel()
	m := mime.Limits{}.ScanBytes([]byte(letter))
	m.Keys = AppendSortKeys(nil, m)
	var back mime.Message
	if err := back.Parse(m.AppendBinary(nil)); err != nil {
		t.Fatal(err)
	}
	back.Envelope = nil // all is in the keys
	k := SortKeysOf(&back)
	if want := time.Date(2026, 11, 27, 7, 30, 0, 0, time.UTC); !k.Sent.Equal(want) || DayOf(k.Sent) != 20261126 || string(k.Subject) != "gr\u00fc\u00dfe from afar" || k.Reply {
		t.Errorf("%v %q %v", k.Sent, k.Subject, k.Reply)
	}
	// Without a date, and of an old record, which has no keys.
	m = mime.Limits{}.ScanBytes([]byte("Subject: Re: x\nDate: some day\n\n"))
	for range 2 {
		if k = SortKeysOf(m); !k.Sent.IsZero() || string(k.Subject) != "x" || !k.Reply {
			t.Errorf("%+v", k)
		}
		m.Keys = AppendSortKeys(nil, m)
	}
}

func FuzzSortKeys(f *testing.F) {
	f.Add([]byte{1, 2, 0, 'x'})
	f.Add(AppendSortKeys(nil, mime.Limits{}.ScanBytes([]byte(letter))))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := ParseSortKeys(b)
		if err != nil {
			return
		}
		if len(k.Subject) > MaxBaseSubject {
			t.Fatal(len(k.Subject))
		}
		DayOf(k.Sent)
	})
}

// FuzzDate: what is read without the trials of net/mail is what it reads.
func FuzzDate(f *testing.F) {
	for _, s := range []string{
		"Thu, 26 Nov 2026 23:30:00 -0800", "1 Jan 1970 00:00:00 +0000", "Mon, 29 Feb 2027 00:00:00 +0000", "Thu, 26 Nov 2026 23:30 +0100",
		"Thu, 26 Nov 26 23:30:00 GMT", "Xxx, 26 Nov 2026 23:30:60 -0000", "31 Apr 2026 00:00:00 +0000", "26 Nov 2026 23:30:00 +2359", "0 Nov 2026 23:30:00 +0000",
		"Thu, 26 Nov 2026 23:30:00 +0000 (UTC)", "Thu, 26 Nov 2026 23:30:00 GMT",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := parseUsualDate([]byte(s))
		if !ok {
			return
		}
		want, err := mail.ParseDate(s)
		if err != nil || !got.Equal(want) || DayOf(got) != DayOf(want) {
			t.Fatalf("%q: %v, want %v, %v", s, got, want, err)
		}
	})
}

// FuzzHeader holds what a record answers about a header field against the message:
// with the record and without it a search has the same result.
func FuzzHeader(f *testing.F) {
	f.Add("Subject: a\n b\nsubject: c\n\nx", "subject", "a b", uint16(100))
	f.Add("To: =?utf-8?q?=C3=9F?=\nX-Mailer: y\nTo : b\r\n\r\n", "x-mailer", "", uint16(20))
	f.Add("References\n: x\nReferences:\n y\n", "references", "y", uint16(0))
	f.Add("List-\u212a: x\n", "list-k", "", uint16(100))
	f.Fuzz(func(t *testing.T, header, name, needle string, room uint16) {
		m := &message{t: t, text: header, limits: mime.Limits{MaxFields: int(room%2000) - 1}}
		key := Words(InHeader, needle)
		key.Field = name
		with, err := New(key, limits()).Match(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		without, err := New(key, limits()).Match(t.Context(), old{m})
		if err != nil {
			t.Fatal(err)
		}
		if with != without {
			t.Fatalf("%v with the record, %v without", with, without)
		}
		scanned := m.scan()
		if strings.Contains(string(SortKeysOf(scanned).Subject), "\n") {
			t.Fatalf("%q", SortKeysOf(scanned).Subject)
		}
	})
}

// old is a message whose record has no fields, whatever is asked.
type old struct{ *message }

func (o old) Record(ctx context.Context, _ bool) (*mime.Message, error) {
	return o.message.Record(ctx, false)
}

// TestColumns: a key with a column at hand asks for nothing else, and one without
// finds the same.
func TestColumns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		key  *Key
		want bool
	}{
		{FieldWords(From, "J\u00d6RG"), true}, {FieldWords(Cc, ""), false}, {FieldWords(To, "test>, <bob"), true},
		{HeaderWords("References", "00@x"), true}, {HeaderWords("references", ""), true}, {HeaderWords("List-Id", ""), false},
		{And(FieldWords(From, "joerg@"), FieldWords(From, "example.org"), FieldWords(To, "alice")), true},
	} {
		m := &columns{message: newMessage(t), of: map[Column][]byte{}}
		for range 2 {
			p := New(c.key, limits())
			m.structures = 0
			if got, err := p.Match(t.Context(), m); got != c.want || err != nil {
				t.Errorf("%v %v", got, err)
			}
			if asked := m.structures > 0; asked != (len(m.of) == 0) {
				t.Errorf("%d records with %d columns", m.structures, len(m.of))
			}
			var scratch []byte
			for _, column := range p.columns {
				m.of[*column], _ = column.Append(nil, &scratch, m.scan())
			}
		}
	}
}

type columns struct {
	*message
	of map[Column][]byte
}

func (m *columns) Text(_ context.Context, c *Column) ([]byte, bool, error) {
	text, ok := m.of[*c]
	return text, ok, nil
}
