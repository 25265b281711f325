package mbox

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestFromLines: what is between two messages, and what is text. The forms are those of
// sendmail, mutt, Dovecot, Thunderbird, Pine and mailing list archives.
func TestFromLines(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 6, 9, 5, 7, 0, time.UTC)
	for line, want := range map[string]struct {
		sender string
		at     time.Time
	}{
		"From a@x Fri Nov  6 09:05:07 2026":                  {"a@x", at},
		"From a@x Fri Nov 06 09:05 2026":                     {"a@x", at.Add(-7 * time.Second)},
		"From a@x Fri Nov  6 09:05:07 2026 +0130":            {"a@x", at.Add(-90 * time.Minute)},
		"From a@x Fri Nov  6 09:05:07 -0130 2026":            {"a@x", at.Add(90 * time.Minute)},
		"From a@x Fri Nov  6 09:05:07 MET 2026":              {"a@x", at},
		"From a@x Fri Nov  6 09:05:07 2026 remote from b":    {"a@x", at},
		"From a@x Fri, 6 Nov 2026 09:05:07 +0100 (CET)":      {"a@x", at.Add(-time.Hour)},
		"From a@x 6 Nov 2026 09:05:07":                       {"a@x", at},
		"From Fri Nov  6 09:05:07 2026":                      {"", at},
		"From Fri, 6 Nov 2026 09:05:07 +0000":                {"", at},
		"From Nov 6 09:05:07 2026":                           {"", at},
		"From \"a b\"@x Fri Nov  6 09:05:07 2026":            {"\"a", at},
		"From Mar Fri Nov  6 09:05:07 2026":                  {"Mar", at},
		"From a@x  Fri Nov  6 23:59:60 2026":                 {"a@x", time.Date(2026, 11, 7, 0, 0, 0, 0, time.UTC)},
		"From a@x Fri Nov 6 00:00:00 1900":                   {"a@x", time.Date(1900, 11, 6, 0, 0, 0, 0, time.UTC)},
		"From MAILER-DAEMON Fri Jul  8 12:08:34 2011":        {"MAILER-DAEMON", time.Date(2011, 7, 8, 12, 8, 34, 0, time.UTC)},
		"From a at x.test  Fri Nov  6 09:05:07 2026":         {"a", at},
		"From a@x Sun Dec 31 23:59:59 9999":                  {"a@x", time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)},
		"From a@x Thu Jan  1 00:00:00 1970 -0700 (no place)": {"a@x", time.Date(1970, 1, 1, 7, 0, 0, 0, time.UTC)},
	} {
		if sender, got, ok := parseFrom(line); !ok || sender != want.sender || !got.Equal(want.at) {
			t.Errorf("%q: %q %v %v, want %q %v", line, sender, got, ok, want.sender, want.at)
		}
	}
	for _, line := range []string{
		"from a@x Fri Nov  6 09:05:07 2026", "From: a@x Fri Nov  6 09:05:07 2026", ">From a@x Fri Nov  6 09:05:07 2026", "From", "From ", "From a@x", "From Nov", "From a@x Nov 6 2026",
		"From a@x Fri Nov 0 09:05:07 2026", "From a@x Fri Nov 32 09:05:07 2026", "From a@x Fri Nov 6 24:05:07 2026", "From a@x Fri Nov 6 09:60:07 2026", "From a@x Fri Nov 6 09:05:61 2026",
		"From a@x Fri Nov 6 09:05:07 1899", "From a@x Fri Nov 6 09:05:07 10000", "From a@x Fri Nov +6 09:05:07 2026", "From a@x Fri Nov 6 9 2026", "From a@x Fri Nov 6 09:05:07:01 2026",
		"From a@x Fri November 6 09:05:07 2026", "From a@x Fri ovD 6 09:05:07 2026", "From a@x Fri nov 6 09:05:07 2026", "From a@x Fri Nov 6 xx:05:07 2026", "From a@x Fri Nov 6 09:xx:07 2026",
		"From a@x 0 Nov 2026 09:05:07", "From a@x 32 Nov 2026 09:05:07", "From a@x 6 Nov 1899 09:05:07", "From Nov 2026 09:05:07", "From a@x 6 Nov 2026", "From a@x Fri Nov 6 09:05:xx 2026",
	} {
		if sender, got, ok := parseFrom(line); ok {
			t.Errorf("%q: %q %v", line, sender, got)
		}
	}
}

// TestFromLinesOfAnyLength: the longest line that counts, and one more octet, also at the end.
func TestFromLinesOfAnyLength(t *testing.T) {
	t.Parallel()
	date := " Thu Nov 26 10:00:00 2026"
	line := func(n int) string { return fromMark + strings.Repeat("a", n-len(fromMark)-len(date)) + date }
	for n, want := range map[int]int{100: 2, maxFrom - 1: 2, maxFrom: 1, maxFrom + 1: 1, 3 * maxFrom: 1} {
		if all, _ := read(t, from+"A: 1\n\nx\n\n"+line(n)+"\nA: 2\n\ny\n", Auto); len(all) != want {
			t.Errorf("a line of %d: %d messages", n, len(all))
		}
	}
	// Wherever the border of what is read at once lies, each message is found.
	for shift := range len(from) + 16 {
		fill := strings.Repeat("x", blockSize-len(from)-len("A: 1\n\n")-shift)
		all, texts := read(t, from+"A: 1\n\n"+fill+"\n\n"+from+"A: 2\n\n>From y\n", Auto)
		if len(all) != 2 || texts[0] != "A: 1\n\n"+fill+"\n" || texts[1] != "A: 2\n\nFrom y\n" {
			t.Errorf("shifted by %d: %d messages", shift, len(all))
		}
	}
}

// TestFieldsOfMailboxes: what each says, whatever else is in the header, and that it goes.
func TestFieldsOfMailboxes(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("k", 70)
	for head, want := range map[string]struct {
		flags    Flags
		keywords []string
		left     string
	}{
		"Status: R\n":                                             {Flags{Seen: true}, nil, ""},
		"Status: O\n":                                             {Flags{}, nil, ""},
		"status :  OR \nSubject: s\n":                             {Flags{Seen: true}, nil, "Subject: s\n"},
		"X-Status: A\nX-Status: F\n":                              {Flags{Answered: true, Flagged: true}, nil, ""},
		"X-Status: DTx?\n":                                        {Flags{Deleted: true, Draft: true}, nil, ""},
		"X-Mozilla-Status: 0001\n":                                {Flags{Seen: true}, nil, ""},
		"X-Mozilla-Status: 0002\n":                                {Flags{Answered: true}, nil, ""},
		"X-Mozilla-Status: 0004\n":                                {Flags{Flagged: true}, nil, ""},
		"X-Mozilla-Status: 0008\n":                                {Flags{Deleted: true}, nil, ""},
		"X-Mozilla-Status: 1000\n":                                {Flags{Forwarded: true}, nil, ""},
		"X-Mozilla-Status: 101f\nX-Mozilla-Status: 0000\n":        {Flags{Seen: true, Answered: true, Flagged: true, Deleted: true, Forwarded: true}, nil, ""},
		"X-Mozilla-Status: zz\n":                                  {Flags{}, nil, ""},
		"X-Keywords: a\n b\n\tc\nX-Mozilla-Keys: d\n":             {Flags{}, []string{"a", "b", "c", "d"}, ""},
		"X-Keywords:\n":                                           {Flags{}, nil, ""},
		"A: 1\n Status: R\n":                                      {Flags{}, nil, "A: 1\n Status: R\n"},
		"Statusx: R\nX-Status-Of: A\n":                            {Flags{}, nil, "Statusx: R\nX-Status-Of: A\n"},
		"no colon\nStatus: R\n":                                   {Flags{Seen: true}, nil, "no colon\n"},
		"Lines: 3\nSubject: s\n":                                  {Flags{}, nil, "Lines: 3\nSubject: s\n"},
		"Content-Length: 99\nSubject: s\nLines: 3\n":              {Flags{}, nil, "Subject: s\nLines: 3\n"},
		"Content-Length: 99\nLines: 3\nLines: 4\n":                {Flags{}, nil, "Lines: 4\n"},
		"X-UID: 5\nX-IMAPbase: 1 2 a\nX-IMAP: 1\n":                {Flags{}, nil, ""},
		"X-Mozilla-Status2: 10000000\nX: y\n":                     {Flags{}, nil, "X: y\n"},
		"X-Keywords: " + strings.Repeat(long+"\n ", 5000) + "k\n": {Flags{}, slices.Repeat([]string{long}, maxField/(len(long)+2)), ""},
	} {
		all, texts := read(t, from+head+"\ntext\n", Auto)
		if len(all) != 1 || texts[0] != want.left+"\ntext\n" || all[0].Flags != want.flags {
			t.Errorf("%.100q: %.100q %+v", head, texts, all[0].Flags)
		} else if got := all[0].Keywords; len(want.keywords) > 100 {
			if n := len(got); n < len(want.keywords)-1 || n > len(want.keywords)+1 || got[0] != long {
				t.Errorf("%d keywords, want about %d", n, len(want.keywords))
			}
		} else if !slices.Equal(got, want.keywords) {
			t.Errorf("%.100q: %q", head, got)
		}
	}
}

// TestDatesOfMessages: the From line's is that of delivery; without one it is that of the
// first Received field, then Date.
func TestDatesOfMessages(t *testing.T) {
	t.Parallel()
	const received, date = "Received: by x; Thu, 26 Nov 2026 11:00:00 +0000\n", "Date: Thu, 26 Nov 2026 12:00:00 +0000\n"
	for text, want := range map[string]int{
		from + date + received: 10, "From \n" + received + date: 11, "From \n" + date + received: 11, "From -\n" + date: 12,
		"From \n" + received + strings.Replace(received, "11:", "13:", 1): 11, "From \nReceived: by x\n" + date: 12, "From \nReceived: by x; today\n" + date: 12,
		"From \nDate:\n Thu, 26\n Nov 2026 12:00:00 +0000\n": 12,
	} {
		all, _ := read(t, text+"\nx\n", Auto)
		if want := time.Date(2026, 11, 26, want, 0, 0, 0, time.UTC); len(all) != 1 || !all[0].Date.Equal(want) {
			t.Errorf("%q: %v", text, all[0].Date)
		}
	}
	if all, _ := read(t, "From \nSubject: x\n\nx\n", Auto); len(all) != 1 || !all[0].Date.IsZero() {
		t.Errorf("%v of nothing", all[0].Date)
	}
}

// TestNotesOfServers: only what has both marks is passed over; a letter about it is a letter.
func TestNotesOfServers(t *testing.T) {
	t.Parallel()
	const subject = "Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\n"
	for head, want := range map[string]bool{subject + "X-IMAP: 1 2\n": true, "X-IMAPbase: 1 2\n" + subject: true, subject: false, "X-IMAP: 1 2\n": false, "X-IMAP: 1 2\nSubject: Re: DON'T DELETE THIS MESSAGE\n": false} {
		if all, _ := read(t, from+head+"\nx\n", Auto); all[0].Internal != want {
			t.Errorf("%q: %v", head, all[0].Internal)
		}
	}
}

// TestWhatIsSkipped: octets before the first message are counted, line ends are not worth a word.
func TestWhatIsSkipped(t *testing.T) {
	t.Parallel()
	for before, want := range map[string]int64{"": 0, "\n\r\n\n": 0, "x\n": 2, "\n\nx\n\n": 5, strings.Repeat("\n", 2*blockSize) + "x\n": 2*blockSize + 2, strings.Repeat("\n", 2*blockSize): 0, "From x\n": 7} {
		all, texts := read(t, before+from+"A: 1\n\nx\n\n"+from+"\ny\n", Auto)
		if len(all) != 2 || all[0].Skipped != want || all[1].Skipped != 0 || all[0].Offset != int64(len(before)) || texts[0] != "A: 1\n\nx\n" {
			t.Errorf("%.20q: %d skipped, %q", before, all[0].Skipped, texts)
		}
	}
}

// TestALengthIsBelievedWhereItFits: by the line ends that follow it, and a From line or the end.
func TestALengthIsBelievedWhereItFits(t *testing.T) {
	t.Parallel()
	body := "\n" + from + "x\n"[:1] // a From line in the text, which only a length tells apart
	n := len(body)
	for between, fits := range map[string]bool{"": false, "\n": true, "\n\n": true, "\n\n\n\n": true, "\r\n\r\n": true, "\n\n\n\n\n": false, "x\n": false, " \n": false} {
		text := from + fmt.Sprintf("Content-Length: %d\n\n", n) + body + between + from + "\ny\n"
		_, texts := read(t, text, CL2)
		if whole := texts[0] == "\n"+body; whole != fits || fits && (len(texts) != 2 || texts[1] != "\ny\n") || !fits && texts[0] != "\n" {
			t.Errorf("between %q: %q", between, texts)
		}
	}
	for after, want := range map[string]string{"": "\n" + body, "\n": "\n" + body, "\n\n\n": "\n" + body} {
		if all, texts := read(t, from+fmt.Sprintf("Content-Length: %d\n\n", n)+body+after, Auto); len(all) != 1 || texts[0] != want || all[0].End != int64(len(from)+len("Content-Length: 54\n\n")+n+len(after)) {
			t.Errorf("at the end %q: %q, end %d", after, texts, all[0].End)
		}
	}
}

// shrinking is a file that somebody cuts off, or whose disk fails, after it was opened.
type shrinking struct {
	text string
	size int64
	err  error
}

func (s *shrinking) ReadAt(p []byte, off int64) (int, error) {
	if off >= s.size {
		return 0, s.err
	}
	n := copy(p, s.text[off:min(s.size, int64(len(s.text)))])
	if n < len(p) {
		return n, s.err
	}
	return n, nil
}

// TestAFileThatShrinksOrFails: no message ends quietly where the file does.
func TestAFileThatShrinksOrFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("the disk is broken")
	text := from + "A: 1\nStatus: R\n\n" + strings.Repeat("text\n", 1000) + "\n" + from + "B: 2\n\nx\n"
	for _, c := range []struct{ err, want error }{{io.EOF, io.ErrUnexpectedEOF}, {broken, broken}} {
		for size := int64(0); size < int64(len(text)); size += 97 {
			src := &shrinking{text: text, size: size, err: c.err}
			r := NewReader(src, int64(len(text)), Auto)
			n := 0
			err := error(nil)
			for err == nil {
				var m *Message
				if m, err = r.Next(); err != nil {
					break
				}
				n++
				_, err = m.WriteTo(io.Discard)
			}
			if !errors.Is(err, c.want) && !(c.want == io.ErrUnexpectedEOF && errors.Is(err, ErrNotMbox) && n == 0) {
				t.Fatalf("cut at %d, %v: %d messages, %v", size, c.err, n, err)
			}
		}
	}
	// It fails while a message that was found is written.
	src := &shrinking{text: text, size: int64(len(text)), err: broken}
	m, err := NewReader(src, src.size, Auto).Next()
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int64{60, 3000} {
		src.size = at
		if _, err := m.WriteTo(io.Discard); !errors.Is(err, broken) {
			t.Errorf("cut at %d: %v", at, err)
		}
	}
}

// full is a disk with room for so many octets.
type full struct{ room int }

var errFull = errors.New("no space left")

func (f *full) Write(p []byte) (int, error) {
	if len(p) > f.room {
		n := f.room
		f.room = 0
		return n, errFull
	}
	f.room -= len(p)
	return len(p), nil
}

// TestAFullDiskIsTold, wherever it becomes full, to who writes a file and to who reads one.
func TestAFullDiskIsTold(t *testing.T) {
	t.Parallel()
	text := "A: 1\n\n" + strings.Repeat(">From x\nFrom y\n>>z\n", 12_000)
	file := write(t, []string{text, text})
	for room := 0; room < len(file); room += 17_001 {
		w := NewWriter(&full{room})
		err := w.Write(Export{Size: int64(len(text)), Date: when}, Flags{}, nil, strings.NewReader(text))
		if err == nil {
			err = w.Write(Export{Size: int64(len(text)), Date: when}, Flags{}, nil, strings.NewReader(text))
		}
		if err == nil {
			err = w.Flush()
		}
		if room < len(file)-300 && !errors.Is(err, errFull) {
			t.Errorf("room for %d: %v", room, err)
		}
	}
	m, err := NewReader(strings.NewReader(file), int64(len(file)), Auto).Next()
	if err != nil {
		t.Fatal(err)
	}
	for room := 0; room < len(text); room += 17_001 {
		if _, err := m.WriteTo(&full{room}); !errors.Is(err, errFull) {
			t.Errorf("room for %d: %v", room, err)
		}
	}
	broken := errors.New("the content cannot be read")
	if err := NewWriter(io.Discard).Write(Export{Date: when}, Flags{}, nil, io.MultiReader(strings.NewReader("A"), failing{broken})); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestExportFields: each fact of a message comes back; what is not ours is no fact.
func TestExportFields(t *testing.T) {
	t.Parallel()
	e := Export{Size: 1 << 40, Account: "a+b&c@x.test", Folder: "A/ü =%\n", Validity: 1<<32 - 1, UID: 1<<32 - 2, Date: time.Date(2026, 11, 26, 10, 0, 0, 0, time.FixedZone("", -5400)), Flags: []string{`\Seen`, "$a&b=c%", "ü"}}
	got, err := parseExport(e.value())
	if err != nil || got.Size != e.Size || got.Account != e.Account || got.Folder != e.Folder || got.Validity != e.Validity || got.UID != e.UID || !got.Date.Equal(e.Date) || !slices.Equal(got.Flags, e.Flags) {
		t.Errorf("%+v, %v", got, err)
	}
	if strings.ContainsAny(e.value(), " \r\n") {
		t.Errorf("more than a word: %q", e.value())
	}
	good := "v=1&size=3&validity=1&uid=1&date=2026-11-26T10:00:00Z"
	if _, err := parseExport(good); err != nil {
		t.Error(err)
	}
	for _, change := range [][2]string{{"v=1", "v=2"}, {"v=1&", ""}, {"size=3", "size=-1"}, {"size=3", "size=x"}, {"validity=1", "validity=4294967296"}, {"uid=1", "uid=-1"}, {"uid=1", ""}, {"T10", " 10"}, {"v=1", "%zz=1&v=1"}} {
		if e, err := parseExport(strings.Replace(good, change[0], change[1], 1)); err == nil {
			t.Errorf("%q: %+v", change, e)
		}
	}
	for written, want := range map[int64]bool{9: false, 10: true, 11: true, 12: false} {
		if size, ok := (&Export{Size: 10}).Trim(written); ok != want || ok && size != 10 || !ok && size != written {
			t.Errorf("%d: %d %v", written, size, ok)
		}
	}
}

// TestManyKeywordsComeBack: as many as a mailbox may have, each as long as it may be; a file
// that could not be read again is not written.
func TestManyKeywordsComeBack(t *testing.T) {
	t.Parallel()
	for n, fits := range map[int]bool{256: true, 5000: true, 10_000: false} {
		var keywords []string
		for i := range n {
			keywords = append(keywords, fmt.Sprintf("%060d$", i))
		}
		const text = "Status: not ours\nA: 1\n\nx"
		var b bytes.Buffer
		w := NewWriter(&b)
		w.Begin(7, keywords)
		err := w.Write(Export{Size: int64(len(text)), Date: when, Flags: keywords}, Flags{Flagged: true}, keywords, strings.NewReader(text))
		if err == nil {
			err = w.Flush()
		}
		if !fits {
			if err == nil || b.Len() > 0 || !strings.Contains(err.Error(), "keywords") {
				t.Errorf("%d keywords: %v, %d octets", n, err, b.Len())
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		all, texts := read(t, b.String(), Auto)
		if len(all) != 1 || texts[0] != text || all[0].Export == nil || !slices.Equal(all[0].Export.Flags, keywords) {
			t.Errorf("%d keywords: %.100q", n, texts)
		}
		if line, _, _ := strings.Cut(b.String()[strings.Index(b.String(), "X-IMAPbase: 7 0000000000 "):], "\n"); len(line) > maxBase+100 {
			t.Errorf("X-IMAPbase has %d octets", len(line))
		}
	}
}

// TestIsBeginning: every beginning of what a Writer writes before the content is one, and
// nothing else is: what somebody delivered behind a file is never cut off.
func TestIsBeginning(t *testing.T) {
	t.Parallel()
	for _, base := range []bool{false, true} {
		var b bytes.Buffer
		w := NewWriter(&b)
		if base {
			w.Begin(0, []string{"k"})
		}
		if err := errors.Join(w.Write(Export{Size: 9, Date: when}, Flags{Deleted: true}, []string{"k"}, strings.NewReader("content\n\n")), w.Flush()); err != nil {
			t.Fatal(err)
		}
		if base != strings.Contains(b.String(), "\nX-IMAPbase: 1 0000000000 k\n") {
			t.Errorf("%q", b.String())
		}
		head, _, _ := strings.Cut(b.String(), "\ncontent")
		for i := range len(head) {
			if !IsBeginning([]byte(head[:i+1])) {
				t.Errorf("no beginning: %q", head[:i+1])
			}
		}
		if IsBeginning([]byte(head + "\n")) {
			t.Error("a whole head is none")
		}
		all, _ := read(t, b.String(), Auto)
		if as, err := all[0].AsWritten(); err != nil || !as {
			t.Errorf("as written: %v, %v", as, err)
		}
		for _, order := range [][2]string{{"Status: O\nX-Status: D\n", "X-Status: D\nStatus: O\n"}, {"Status: O\n", ""}, {"X-Keywords: k\n", "X-Keywords: k\nX-UID: 1\n"}, {writerMark, "From a@b "}} {
			changed := strings.Replace(b.String(), order[0], order[1], 1)
			all, _ := read(t, changed, Auto)
			if as, err := all[0].AsWritten(); err != nil || as {
				t.Errorf("as written after %q: %v, %v", order, as, err)
			}
		}
	}
	for _, text := range []string{"", "\n", "X", "From a@b", "From MAILER-DAEMON x\nSubject", "From MAILER-DAEMON x\n\n", "From MAILER-DAEMON x\nStatus: O\nStatus: O\n", "From MAILER-DAEMON x\nX-Keywords: a\nStatus: O\n", writerMark + strings.Repeat("x", maxFrom)} {
		if IsBeginning([]byte(text)) {
			t.Errorf("%.50q", text)
		}
	}
	if m, err := NewReader(strings.NewReader(from+"\nx\n"), int64(len(from))+3, Auto).Next(); err != nil {
		t.Error(err)
	} else if as, err := m.AsWritten(); as || err != nil {
		t.Errorf("somebody else's: %v, %v", as, err)
	}
}
