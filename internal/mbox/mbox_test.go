package mbox

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// read is all messages of a file, with their texts.
func read(t testing.TB, text string, f Format) (all []*Message, texts []string) {
	t.Helper()
	r := NewReader(strings.NewReader(text), int64(len(text)), f)
	for {
		m, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all, texts
		}
		if err != nil {
			t.Fatal(err)
		}
		all, texts = append(all, m), append(texts, content(t, m))
	}
}

// content is a message as its owner takes it.
func content(t testing.TB, m *Message) string {
	t.Helper()
	var b bytes.Buffer
	if n, err := m.WriteTo(&b); err != nil || n != int64(b.Len()) {
		t.Fatalf("%d of %d: %v", n, b.Len(), err)
	}
	if m.Export != nil {
		n, ok := m.Export.Trim(int64(b.Len()))
		if !ok {
			m.Rewritten()
			b.Reset()
			if _, err := m.WriteTo(&b); err != nil {
				t.Fatal(err)
			}
			return b.String()
		}
		b.Truncate(int(n))
	}
	return b.String()
}

const from = "From a@example.net Thu Nov 26 10:00:00 2026\n"

var when = time.Date(2026, 11, 26, 10, 0, 0, 0, time.UTC)

func TestForms(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text   string
		format Format
		want   []string
	}{
		"two messages":                     {from + "A: 1\n\none\n\n" + from + "A: 2\n\ntwo\n", Auto, []string{"A: 1\n\none\n", "A: 2\n\ntwo\n"}},
		"no blank line between":            {from + "A: 1\n\none\n" + from + "A: 2\n\ntwo\n\n", Auto, []string{"A: 1\n\none\n", "A: 2\n\ntwo\n"}},
		"mboxrd":                           {from + "A: 1\n\n>From x\n>>From y\n> From\n>Fro\n\n" + from + "\nz\n", RD, []string{"A: 1\n\nFrom x\n>From y\n> From\n>Fro\n", "\nz\n"}},
		"auto is mboxrd":                   {from + "A: 1\n\n>From x\n>>From y\n", Auto, []string{"A: 1\n\nFrom x\n>From y\n"}},
		"mboxo":                            {from + "A: 1\n\n>From x\n>>From y\n", O, []string{"A: 1\n\nFrom x\n>>From y\n"}},
		"mboxo, length is of no meaning":   {from + "Content-Length: 3\nA: 1\n\n>From x\n", O, []string{"A: 1\n\nFrom x\n"}},
		"mboxcl2":                          {from + "Content-Length: " + fmt.Sprint(len(from)+5) + "\nA: 1\n\n" + from + ">From\n"[:5] + "\n" + from + "\nz\n", Auto, []string{"A: 1\n\n" + from + ">From", "\nz\n"}},
		"mboxcl":                           {from + "Content-Length: 8\nA: 1\n\n>From x\n\n" + from + "\nz\n", CL, []string{"A: 1\n\nFrom x\n", "\nz\n"}},
		"a length that is wrong":           {from + "Content-Length: 5\nA: 1\n\n>From x\n\n" + from + "\nz\n", Auto, []string{"A: 1\n\nFrom x\n", "\nz\n"}},
		"a length beyond the file":         {from + "Content-Length: 9223372036854775807\nA: 1\n\nx\n\n" + from + "\nz\n", Auto, []string{"A: 1\n\nx\n", "\nz\n"}},
		"a length that is negative":        {from + "Content-Length: -5\nA: 1\n\nx\n", CL2, []string{"A: 1\n\nx\n"}},
		"a length in the middle of a line": {from + "Content-Length: 2\nA: 1\n\nx " + from + "y\n", Auto, []string{"A: 1\n\nx " + from + "y\n"}},
		"fields of mailboxes":              {from + "Status: RO\nA: 1\nX-UID: 7\nX-Keywords: a b\n  c\nB: 2\nX-Mozilla-Status2: 00000000\n\nStatus: x\n", Auto, []string{"A: 1\nB: 2\n\nStatus: x\n"}},
		"mutt's lines":                     {from + "Lines: 9\nA: 1\nContent-Length: 2\nLines: 1\n\nx\n", Auto, []string{"Lines: 9\nA: 1\n\nx\n"}},
		"a line that is no From line":      {from + "A: 1\n\nFrom here on all is text,\nFrom January 1 too.\n\nFrom me Thu Nov 26 25:00:00 2026\n", Auto, []string{"A: 1\n\nFrom here on all is text,\nFrom January 1 too.\n\nFrom me Thu Nov 26 25:00:00 2026\n"}},
		"CR LF":                            {strings.ReplaceAll(from+"A: 1\nStatus: R\n\none\n\n"+from+"A: 2\n\ntwo\n\n", "\n", "\r\n"), Auto, []string{"A: 1\r\n\r\none\r\n", "A: 2\r\n\r\ntwo\r\n"}},
		"Thunderbird's without a date":     {"From \nA: 1\n\none\nFrom \ntwo\n\nFrom \nA: 2\n\nthree\n", Auto, []string{"A: 1\n\none\nFrom \ntwo\n", "A: 2\n\nthree\n"}},
		"a header and nothing":             {from + "A: 1\n\n" + from + "A: 2\n", Auto, []string{"A: 1\n", "A: 2\n"}},
		"nothing at all":                   {from + "\n" + from, Auto, []string{"", ""}},
		"the end in a mark":                {from + "A: 1\n\n>>Fro", Auto, []string{"A: 1\n\n>>Fro"}},
		"line ends at the end":             {from + "A: 1\n\nx\n\n\n\n", Auto, []string{"A: 1\n\nx\n\n\n"}},
		"an empty file":                    {"", Auto, nil},
	} {
		_, got := read(t, c.text, c.format)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s:\n%q, want\n%q", name, got, c.want)
		}
	}
}

func TestWhatAFileSays(t *testing.T) {
	t.Parallel()
	text := "garbage\n\n" + from + "Status: RO\nX-Status: AF\nX-Keywords: work $Later\n\nx\n\n" +
		"From - Thu Nov 26 10:00:00 2026\nX-Mozilla-Status: 0001\nX-Mozilla-Keys: $label1          \n\nx\n\n" +
		"From 17@xxx Thu Nov 26 10:00:00 +0200 2026\nX-Status: DT\n\nx\n\n" +
		"From b@example.net Thu, 26 Nov 2026 10:00:00 -0530\n\nx\n\n" +
		"From \nReceived: from x; Thu, 26 Nov 2026\n 11:00:00 +0100\nDate: Wed, 25 Nov 2026 10:00:00 +0000\n\nx\n\n" +
		"From MAILER-DAEMON Thu Nov 26 10:00:00 2026\nSubject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 1 2\n\nx\n"
	all, _ := read(t, text, Auto)
	if len(all) != 6 {
		t.Fatalf("%d messages", len(all))
	}
	if m := all[0]; m.Skipped != 9 || m.Offset != 9 || m.Sender != "a@example.net" || !m.Date.Equal(when) || m.Flags != (Flags{Seen: true, Answered: true, Flagged: true}) || !slices.Equal(m.Keywords, []string{"work", "$Later"}) {
		t.Errorf("%+v", m)
	}
	if m := all[1]; m.Sender != "-" || !m.Date.Equal(when) || m.Flags != (Flags{Seen: true}) || !slices.Equal(m.Keywords, []string{"$label1"}) {
		t.Errorf("%+v", m)
	}
	if m := all[2]; !m.Date.Equal(when.Add(-2*time.Hour)) || m.Flags != (Flags{Deleted: true, Draft: true}) {
		t.Errorf("%+v", m)
	}
	if m := all[3]; !m.Date.Equal(when.Add(5*time.Hour + 30*time.Minute)) {
		t.Errorf("%+v", m)
	}
	if m := all[4]; !m.Date.Equal(when) {
		t.Errorf("%+v", m)
	}
	if !all[5].Internal || all[0].Internal {
		t.Error("the notes of an IMAP server")
	}
	for _, bad := range []string{"x", "Subject: x\n\nFrom a\n", "From a@example.net yesterday\n\nx\n"} {
		if _, err := NewReader(strings.NewReader(bad), int64(len(bad)), Auto).Next(); !errors.Is(err, ErrNotMbox) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// nasty are texts that a file of messages can hardly tell from itself.
var nasty = []string{
	"A: 1\n\ntext\n", "", "\n", "\n\n", "\n\n\n", "x", ">", ">F", ">From ", "From ", from, from + from, from + "A: 1\n\n" + from,
	"A: 1\n\nno end of line", "A: 1\nStatus: D\nX-Status: D\nContent-Length: 1\n\ntext\n\n\n", "A: 1\n\n>>>>From x\n>From\n> From x\nFrom\n",
	"X-Toastmaster-Export: v=1&size=3&validity=1&uid=1&date=2026-11-26T10%3A00%3A00Z\nA: 1\n\ntext\n",
	"A: 1\r\n\r\ntext\r\n", "A: 1\r\n\r\n" + strings.TrimSuffix(from, "\n") + "\r\n\r\n" + strings.TrimSuffix(from, "\n") + "\r\n", "\r", "\r\n", "a\rb\r\rc\r\r\n",
	"A: \x00\n\n\x00\n\xff\xfe\n", "A: 1\n\n" + strings.Repeat(">", 3*blockSize) + "From x\n", "A: 1\n\n" + strings.Repeat("x", 3*blockSize),
	strings.Repeat("X: "+strings.Repeat("y", 70)+"\n", 20000) + "Status: R\n\ntext\n",
	"Subject: DON'T DELETE THIS MESSAGE\nX-IMAP: 1\n\nx\n",
}

func write(t testing.TB, texts []string) string {
	t.Helper()
	var b bytes.Buffer
	w := NewWriter(&b)
	w.Begin(7, []string{"$x", "y"})
	for i, text := range texts {
		e := Export{Size: int64(len(text)), Folder: "Ä/b &c=\n", Validity: 7, UID: uint32(i + 1), Date: when, Flags: []string{`\Seen`, "$x"}}
		if err := w.Write(e, Flags{Seen: i%2 == 0, Flagged: true, Answered: true, Draft: true, Deleted: true}, []string{"$x"}, strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestThereAndBack(t *testing.T) {
	t.Parallel()
	all, texts := read(t, write(t, nasty), Auto)
	if len(texts) != len(nasty) {
		t.Fatalf("%d of %d messages", len(texts), len(nasty))
	}
	for i, want := range nasty {
		m := all[i]
		if texts[i] != want {
			t.Errorf("%d: %.200q, want %.200q", i, texts[i], want)
		}
		if m.Flags != (Flags{Seen: i%2 == 0, Flagged: true, Answered: true, Draft: true, Deleted: true}) || !slices.Equal(m.Keywords, []string{"$x"}) || !m.Date.Equal(when) || m.Internal {
			t.Errorf("%d: %+v", i, m)
		}
		if e := m.Export; e == nil || e.Folder != "Ä/b &c=\n" || e.UID != uint32(i+1) || e.Validity != 7 || !slices.Equal(e.Flags, []string{`\Seen`, "$x"}) {
			t.Errorf("%d: %+v", i, e)
		}
	}
}

// TestRewritten: mutt keeps the fields that it does not know where they were, and puts
// its own at the end of the header.
func TestRewritten(t *testing.T) {
	t.Parallel()
	text := write(t, []string{"A: 1\n\n>From x\n"})
	text = strings.Replace(text, "Status: RO\nX-Status: ADFT\n", "", 1)
	text = strings.Replace(text, "A: 1\n\n", "A: 1\nStatus: O\nX-Status: F\nContent-Length: 10\n\n", 1)
	all, texts := read(t, text, Auto)
	if len(all) != 1 || texts[0] != "A: 1\n\n>From x\n" || all[0].Flags != (Flags{Flagged: true}) {
		t.Errorf("%q %+v", texts, all[0])
	}
}

// endless is a file of many octets that lie nowhere.
type endless struct{ head, line string }

func (e endless) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	if off < int64(len(e.head)) {
		n = copy(p, e.head[off:])
	}
	if n < len(p) {
		at := int(off+int64(n)-int64(len(e.head))) % len(e.line)
		for n < len(p) {
			n += copy(p[n:], e.line[at:])
			at = 0
		}
	}
	return len(p), nil
}

// TestMemory: neither the message nor the line is held, and every octet is looked at
// a bounded number of times.
func TestMemory(t *testing.T) {
	const size = 16 << 20
	for name, file := range map[string]endless{
		"a line without an end": {from + "A: 1\n\n", strings.Repeat("x", 4096)}, "marks without a date": {from + "A: 1\n\n", strings.Repeat("From x\n", 1000)}, ">s": {from + "A: 1\n\n", strings.Repeat(">", 4096)},
		"a field without an end": {from + "A: ", strings.Repeat("x", 4096)}, "fields": {from, "Subject: x\n"},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		m, err := NewReader(file, size, Auto).Next()
		if err != nil {
			t.Fatal(err)
		}
		n, err := m.WriteTo(io.Discard)
		runtime.ReadMemStats(&after)
		// Whoever keeps the file needs size. What each field leaves for the collector
		// counts too, and is more under the race detector.
		if used := after.TotalAlloc - before.TotalAlloc; err != nil || n < size-100 || used > size/2 {
			t.Errorf("%s: %d octets, memory for %d, %v", name, n, used, err)
		}
	}
	lengths := endless{from, from + "Content-Length: 30000000\n\nx\n\n"}
	n := 0
	for r := NewReader(lengths, size, Auto); ; n++ {
		if _, err := r.Next(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if n < 200_000 {
		t.Errorf("%d messages", n)
	}
}

// FuzzReader: whatever a file has in it, its messages lie one behind the other, and
// what is read from it is written and read again as it is.
func FuzzReader(f *testing.F) {
	for _, text := range nasty {
		if len(text) < 1<<16 {
			f.Add([]byte(from+text+"\n"+from+text), byte(0))
		}
	}
	f.Add([]byte(write(f, nasty[:20])), byte(0))
	f.Fuzz(func(t *testing.T, data []byte, format byte) {
		r := NewReader(bytes.NewReader(data), int64(len(data)), Format(format%5))
		var at int64
		var texts []string
		for {
			m, err := r.Next()
			if errors.Is(err, io.EOF) || errors.Is(err, ErrNotMbox) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(texts) > 0 && m.Offset != at || m.End <= m.Offset || m.End > int64(len(data)) || m.start > m.stop || m.stop > m.End {
				t.Fatalf("message from %d (%d) to %d (%d), the one before ends at %d", m.Offset, m.start, m.End, m.stop, at)
			}
			at = m.End
			texts = append(texts, content(t, m))
		}
		if len(texts) > 0 && at != int64(len(data)) {
			t.Fatalf("%d of %d octets", at, len(data))
		}
		_, again := read(t, write(t, texts), Auto)
		if !slices.Equal(again, texts) {
			t.Fatalf("%q, want %q", again, texts)
		}
	})
}
