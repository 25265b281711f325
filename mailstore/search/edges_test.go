package search

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/mime"
)

// TestUsualDates: the form that nearly all dates have is read without trials, and what is
// read so is what net/mail reads; whatever octet is another, or missing.
func TestUsualDates(t *testing.T) {
	t.Parallel()
	usual := []string{
		"Thu, 26 Nov 2026 23:30:00 -0800", "26 Nov 2026 23:30:00 -0800", "Mon, 1 Jan 2024 00:00:00 +0000", "01 Jan 0001 23:59:59 +2359", "29 Feb 2024 12:00:00 -2359",
		"31 Dec 9999 23:59:59 +0530", "Sun, 30 Apr 2000 01:02:03 -0000",
		"Fri, 27 Nov 2026 07:30:00 +0000 (UTC)", "7 Nov 2026 07:30:00 +0200 (EET)", "Fri, 27 Nov 2026 07:30:00 +0000 ()", "Fri, 27 Nov 2026 07:30:00 GMT",
	}
	same := func(s string) (ok bool) {
		got, ok := parseUsualDate([]byte(s))
		want, err := mail.ParseDate(s)
		if ok && (err != nil || !got.Equal(want) || DayOf(got) != DayOf(want)) {
			t.Errorf("%q: %v, want %v, %v", s, got, want, err)
		}
		if either, found := parseDate([]byte(s)); found != (err == nil) || found && !either.Equal(want) {
			t.Errorf("%q: in the end %v %v, want %v", s, either, found, want)
		}
		return ok
	}
	for _, s := range usual {
		if !same(s) {
			t.Errorf("%q is not read at once", s)
		}
		for i := range len(s) {
			same(s[:i])
			same(s[:i] + s[i+1:])
			for _, c := range "0369+-: ,aJGT()\\\r\n" {
				same(s[:i] + string(c) + s[i+1:])
				same(s[:i] + string(c) + s[i:])
			}
		}
		same(s + " ")
		same(s + " (PST)")
	}
	for _, s := range []string{
		"", "Thu,", "26", "26 Nov", "0 Nov 2026 00:00:00 +0000", "32 Jan 2026 00:00:00 +0000", "31 Apr 2026 00:00:00 +0000", "29 Feb 2026 00:00:00 +0000", "1 Jan 2026 24:00:00 +0000",
		"1 Jan 2026 00:60:00 +0000", "1 Jan 2026 00:00:60 +0000", "1 Jan 2026 00:00:00 +2400", "1 Jan 2026 00:00:00 +0060", "1 jan 2026 00:00:00 +0000", "1 Jan 26 00:00:00 +0000",
	} {
		if same(s) {
			t.Errorf("%q is read at once", s)
		}
	}
}

// TestFieldsOfEnvelopes: what ENVELOPE has is text again, with names and addresses as they
// were written, whatever had to be quoted or sent as a literal.
func TestFieldsOfEnvelopes(t *testing.T) {
	t.Parallel()
	m := mime.Limits{}.ScanBytes([]byte("From: \"A \\\"quoted\\\" name\" <a@x>, =?utf-8?q?=C3=BC=2C?= <b@y>\nTo: undisclosed: c@z, D <d@z>;, e@z\nSubject: back\\slash and \"quotes\"\nCc: \xff\xfe <f@x>\n" +
		"In-Reply-To: <1@x>\nDate: some day\n\n"))
	for field, want := range map[Field]string{
		From: "A \"quoted\" name <a@x>, ü, <b@y>", Subject: "back\\slash and \"quotes\"", InReplyTo: "<1@x>", Date: "some day", Sender: "A \"quoted\" name <a@x>, ü, <b@y>",
	} {
		if got, ok := envelopeString(nil, m.Envelope, field); !ok || string(got) != want {
			t.Errorf("%d: %q %v, want %q", field, got, ok, want)
		}
	}
	to, ok := envelopeString(nil, m.Envelope, To)
	for _, part := range []string{"c@z", "D <d@z>", "e@z"} {
		if !ok || !strings.Contains(string(to), part) {
			t.Errorf("To is %q, without %q", to, part)
		}
	}
	for _, none := range []Field{Bcc, MessageID} {
		if got, ok := envelopeString(nil, m.Envelope, none); ok || len(got) > 0 {
			t.Errorf("%d: %q, of a field that is not there", none, got)
		}
	}
}

// TestEnvelopesThatAreDamaged, cut at each octet or with a length that is none, have no
// more than what is there.
func TestEnvelopesThatAreDamaged(t *testing.T) {
	t.Parallel()
	whole := mime.Limits{}.ScanBytes([]byte(letter)).Envelope
	for i := range len(whole) {
		for field := Date; field <= MessageID; field++ {
			if got, _ := envelopeString(nil, whole[:i], field); len(got) > i+20 {
				t.Errorf("cut at %d: %q", i, got)
			}
		}
	}
	for data, want := range map[string]string{
		"({5}\r\nhello NIL": "hello", "({5}\r\nhell": "", "({-1}\r\nhello": "", "({x}\r\nhello": "", "({\r\n": "", "({\n": "", "({5": "", "({0}\r\n)": "", "(\"a\\": "a\\", "(\"a\\\"b": `a"b`, "(": "",
		"({99999999999999999999}\r\nx": "", "({1}\r\nxy": "x",
	} {
		if got, _ := envelopeString(nil, []byte(data), Date); string(got) != want {
			t.Errorf("%q: %q, want %q", data, got, want)
		}
	}
}

// TestNumbersInRanges at the edges of each range.
func TestNumbersInRanges(t *testing.T) {
	t.Parallel()
	set := []Range{{2, 3}, {5, 5}, {7, 1<<32 - 1}}
	for number, want := range map[uint32]bool{0: false, 1: false, 2: true, 3: true, 4: false, 5: true, 6: false, 7: true, 8: true, 1<<32 - 1: true} {
		if got := inRanges(set, number); got != want {
			t.Errorf("%d: %v", number, got)
		}
	}
	if inRanges(nil, 1) {
		t.Error("1 is in nothing")
	}
	flags := []imap.Flag{"\\Seen", "$a"}
	for flag, want := range map[imap.Flag]bool{"\\seen": true, "$A": true, "$": false, "$ab": false, "\\Recent": false, "": false} {
		if got := hasFlag(flags, flag); got != want {
			t.Errorf("%s: %v", flag, got)
		}
	}
}

// TestTextsAcrossPieces: text that lies across the pieces in which a message is read is
// found, with one key and with several, in parts of any size and coding.
func TestTextsAcrossPieces(t *testing.T) {
	t.Parallel()
	const needle = "wörd that is looked for"
	for _, size := range []int{blockSize - 30, blockSize, blockSize + 1, 3*blockSize - 10, maxTexts - 40, maxTexts + blockSize} {
		for shift := range 3 {
			before := strings.Repeat("filler text\n", size/12) + strings.Repeat("x", shift*9)
			text := before + needle + "\nand an end\n"
			for name, letter := range map[string]string{
				"8bit":   "Subject: s\nContent-Type: text/plain; charset=utf-8\n\n" + text,
				"base64": "Subject: s\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n" + base64.StdEncoding.EncodeToString([]byte(text)) + "\n",
			} {
				m := newMessage(t)
				m.text = letter
				for _, key := range []*Key{
					Words(InBody, "WÖRD that IS looked"), Words(InText, needle), And(Words(InBody, needle), Words(InText, "an end"), Words(InText, "filler")),
					And(Words(InText, needle), &Key{Kind: AllOf, Not: true, Kids: []*Key{Words(InBody, "not there")}}),
				} {
					if ok, err := New(key, limits()).Match(t.Context(), m); !ok || err != nil {
						t.Errorf("%s, %d octets: %v %v", name, len(before), ok, err)
					}
				}
				if m.open != 0 {
					t.Errorf("%d open", m.open)
				}
			}
		}
	}
}

// TestWhichHeadersAreText: TEXT has the header of the message, BODY those of messages within
// it; a header of a part that is none has no text, nor has a part that is no text.
func TestWhichHeadersAreText(t *testing.T) {
	t.Parallel()
	m := newMessage(t)
	m.text = "Subject: outermost\nContent-Type: multipart/mixed; boundary=b\n\npreamble\n--b\nContent-Type: text/plain; name=parthead\n\nfirst\n--b\n" +
		"Content-Type: message/rfc822\n\nSubject: innermost\n\ninside\n--b\nContent-Type: application/octet-stream\n\nbinary\n--b--\nepilogue\n"
	for word, want := range map[string][2]bool{
		"outermost": {true, false}, "innermost": {true, true}, "inside": {true, true}, "first": {true, true}, "parthead": {false, false}, "binary": {false, false},
		"preamble": {false, false}, "epilogue": {false, false}, "": {true, true}, "firstinside": {false, false}, "first\ninside": {false, false},
	} {
		for i, kind := range []Kind{InText, InBody} {
			one := Words(kind, word)
			for name, key := range map[string]*Key{"alone": one, "with another": And(one, Words(InText, "inside"))} {
				if ok, err := New(key, limits()).Match(t.Context(), m); ok != want[i] || err != nil {
					t.Errorf("%q %s, kind %d: %v %v", word, name, i, ok, err)
				}
			}
		}
	}
}

// TestHeaderFieldsOfAnySize: of many fields of one name as much is looked at as the bound
// allows, and a field without a value is there.
func TestHeaderFieldsOfAnySize(t *testing.T) {
	t.Parallel()
	m := newMessage(t)
	filler := strings.Repeat("X-Many: "+strings.Repeat("y", 70)+"\n", maxHeaderText/79)
	m.text = "X-Many: first\n" + filler + "X-Many: beyond\nX-Empty:\nx-case: Found\n\nbody\n"
	for _, c := range []struct {
		name, needle string
		want         bool
	}{{"X-Many", "first", true}, {"x-many", "yyyy", true}, {"X-Empty", "", true}, {"X-Empty", "x", false}, {"X-CASE", "fOUND", true}, {"X-Man", "first", false}, {"X-Many", "first yyy", false}} {
		if ok, err := New(HeaderWords(c.name, c.needle), limits()).Match(t.Context(), m); ok != c.want || err != nil {
			t.Errorf("%s %q: %v %v", c.name, c.needle, ok, err)
		}
	}
}

// TestLimitsAreExact: a program may cost just what it is allowed to, and no more; what one
// message has cost is not there for the next.
func TestLimitsAreExact(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]*Key{
		"flags": And(&Key{Kind: HasFlag, Flag: "\\Seen"}, &Key{Kind: HasSize, High: 1 << 40}), "fields": Or(FieldWords(From, "nobody"), FieldWords(To, "nobody")),
		"texts": Words(InText, "nowhere"), "texts twice": Or(Words(InText, "nowhere"), Words(InBody, "nowhere")), "headers": HeaderWords("X-Two", "nothing"),
	} {
		cost := func(tests int, octets int64) (left Limits, err error) {
			l := limits()
			l.Tests, l.Octets = tests, octets
			p := New(key, l)
			_, err = p.Match(t.Context(), newMessage(t))
			return p.limits, err
		}
		const plenty = 1 << 30
		left, err := cost(plenty, plenty)
		if err != nil {
			t.Fatal(name, err)
		}
		tests, octets := plenty-left.Tests, plenty-left.Octets
		if _, err := cost(tests, octets); err != nil {
			t.Errorf("%s: %v with all that it costs", name, err)
		}
		if _, err := cost(tests-1, octets); !errors.Is(err, ErrTests) {
			t.Errorf("%s: %v with a test less", name, err)
		}
		if octets == 0 != (name == "flags" || name == "fields") {
			t.Errorf("%s reads %d octets", name, octets)
		}
		if octets > 0 {
			if _, err := cost(tests, octets-1); !errors.Is(err, ErrWork) {
				t.Errorf("%s: %v with an octet less", name, err)
			}
		}
		l := limits()
		l.Tests, l.Octets = 2*tests, 2*octets
		p := New(key, l)
		for i := range 3 {
			if _, err := p.Match(t.Context(), newMessage(t)); (err == nil) != (i < 2) {
				t.Errorf("%s: message %d of two: %v", name, i+1, err)
			}
		}
	}
}

// TestCandidatesOfNot: a set under NOT, or in one of several, says nothing about all that
// may match.
func TestCandidatesOfNot(t *testing.T) {
	t.Parallel()
	set := func(not bool) *Key { return &Key{Kind: InSet, Set: []Range{{2, 3}}, Not: not} }
	all := &Key{Kind: All}
	for name, c := range map[string]struct {
		key  *Key
		want bool
	}{
		"the set": {set(false), true}, "not the set": {set(true), false}, "and": {And(all, set(false)), true}, "and not": {And(all, set(true)), false}, "or": {Or(set(false), all), false},
		"not and": {&Key{Kind: AllOf, Not: true, Kids: []*Key{set(false), all}}, false}, "not both": {And(set(true), set(false)), true}, "and or": {And(Or(set(false), all), all), false}, "all": {all, false},
	} {
		got, ok := New(c.key, limits()).Candidates()
		if ok != c.want || ok && !slices.Equal(got, []Range{{2, 3}}) {
			t.Errorf("%s: %v %v", name, got, ok)
		}
	}
}

// TestSortKeysThatAreDamaged are none, and are made anew from the message.
func TestSortKeysThatAreDamaged(t *testing.T) {
	t.Parallel()
	keys := func(bits byte, seconds, zone int64, subject string) []byte {
		return append(binary.AppendVarint(binary.AppendVarint([]byte{bits}, seconds), zone), subject...)
	}
	for name, c := range map[string]struct {
		b    []byte
		good bool
	}{
		"nothing": {nil, false}, "bits only": {[]byte{0}, false}, "no zone": {[]byte{0, 0}, false}, "empty": {keys(0, 0, 0, ""), true}, "both bits": {keys(3, 1, 1, "x"), true},
		"another bit": {keys(4, 1, 1, "x"), false}, "the last zone": {keys(1, 0, maxZone, ""), true}, "beyond": {keys(1, 0, maxZone+1, ""), false}, "the first zone": {keys(1, 0, -maxZone, ""), true},
		"before": {keys(1, 0, -maxZone-1, ""), false}, "longest": {keys(0, 0, 0, strings.Repeat("x", MaxBaseSubject)), true}, "longer": {keys(0, 0, 0, strings.Repeat("x", MaxBaseSubject+1)), false},
		"seconds too long": {append([]byte{1}, bytes.Repeat([]byte{0xff}, 11)...), false}, "zone too long": {append([]byte{1, 0}, bytes.Repeat([]byte{0xff}, 11)...), false},
	} {
		k, err := ParseSortKeys(c.b)
		if (err == nil) != c.good || !c.good && !errors.Is(err, ErrKeys) {
			t.Errorf("%s: %+v %v", name, k, err)
		}
		m := mime.Limits{}.ScanBytes([]byte("Subject: Re: from the envelope\nDate: 1 Jan 2026 00:00:00 +0000\n\n"))
		if m.Keys = c.b; !c.good {
			if k := SortKeysOf(m); string(k.Subject) != "from the envelope" || !k.Reply || !k.Sent.Equal(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)) {
				t.Errorf("%s: %+v", name, k)
			}
		}
	}
}
