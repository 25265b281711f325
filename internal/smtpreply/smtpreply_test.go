package smtpreply

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"toastmaster/internal/dsn"
	"toastmaster/internal/wire"
)

var usual = Limits{Octets: 64 << 10, Text: 16 << 10}

// replies reads all replies that stand in text; err is that of the last, io.EOF when nothing is left.
func replies(text string, most Limits) (all []*Reply, err error) {
	in := wire.NewReader(strings.NewReader(text), nil)
	in.Bare = wire.Normalize
	for {
		r, err := Read(in, most, nil)
		if err != nil {
			return all, err
		}
		all = append(all, r)
	}
}

// TestReplies: what a reply means, however it is written. What Postfix makes of them is in TestFaultsAsPostfix of mta/smtp.
func TestReplies(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 6000)
	for _, c := range []struct {
		in, text string
		code     int
		status   dsn.Status
		lines    string
	}{
		{"250 ok\r\n", "250 ok", 250, dsn.Make(2, 0, 0), "ok"},
		{"250\r\n", "250", 250, dsn.Make(2, 0, 0), ""},
		{"250 \r\n", "250", 250, dsn.Make(2, 0, 0), ""},
		{"250 2.1.5 ok\r\n", "250 2.1.5 ok", 250, dsn.Make(2, 1, 5), "ok"},
		{"250 2.1.5\r\n", "250 2.1.5", 250, dsn.Make(2, 1, 5), ""},
		{"550-5.1.1 no\r\n550-5.1.1 such\r\n550 5.1.1 user\r\n", "550 5.1.1 no such user", 550, dsn.BadDestMailbox, "no|such|user"},
		// the last code counts
		{"550-5.1.1 no\r\n551 5.1.1 gone\r\n", "551 5.1.1 no gone", 551, dsn.BadDestMailbox, "no|gone"},
		// the last status counts, wherever it stands
		{"550-5.1.1 no\r\n550 5.7.1 gone\r\n", "550 5.7.1 no gone", 550, dsn.Policy, "no|gone"},
		{"550-no\r\n550 5.7.1 gone\r\n", "550 5.7.1 no gone", 550, dsn.Policy, "no|gone"},
		{"550-5.7.1 no\r\n550 gone\r\n", "550 5.7.1 no gone", 550, dsn.Policy, "no|gone"},
		{"550   5.7.1 gone\r\n", "550 5.7.1 gone", 550, dsn.Policy, "gone"},
		// none that fits
		{"450 5.1.1 odd\r\n", "450 5.1.1 odd", 450, dsn.Make(4, 0, 0), "5.1.1 odd"},
		{"354 2.0.0 go\r\n", "354 2.0.0 go", 354, dsn.Make(3, 0, 0), "2.0.0 go"},
		{"550 5.1 odd\r\n", "550 5.1 odd", 550, dsn.Make(5, 0, 0), "5.1 odd"},
		{"550 5.1.1000 odd\r\n", "550 5.1.1000 odd", 550, dsn.Make(5, 0, 0), "5.1.1000 odd"},
		{"550 5.1.1: odd\r\n", "550 5.1.1: odd", 550, dsn.Make(5, 0, 0), "5.1.1: odd"},
		{"354-\r\n354 \r\n", "354", 354, dsn.Make(3, 0, 0), "|"},
		// line ends
		{"250-a\n250 b\n", "250 a b", 250, dsn.Make(2, 0, 0), "a|b"},
		{"250 ok\r\r\n", "250 ok", 250, dsn.Make(2, 0, 0), "ok"},
		{"250\r\r\r\n", "250", 250, dsn.Make(2, 0, 0), ""},
		{"250 a\rb\r\n", "250 a?b", 250, dsn.Make(2, 0, 0), "a?b"},
		// text
		{"550 a\x00b\xff\x1b[31m \u00fc\r\n", "550 a?b??[31m \u00fc", 550, dsn.Make(5, 0, 0), "a?b??[31m \u00fc"},
		{"550-see\r\n550   there  \r\n", "550 see there", 550, dsn.Make(5, 0, 0), "see|  there"},
		{"550 5.7.1 " + long + "\r\n", "550 5.7.1 " + strings.Repeat("x", 246), 550, dsn.Policy, strings.Repeat("x", 246)},
	} {
		all, err := replies(c.in, usual)
		if err != io.EOF || len(all) != 1 {
			t.Errorf("%q: %v %v", c.in, all, err)
			continue
		}
		if r := all[0]; r.Code != c.code || r.Status != c.status || r.String() != c.text || strings.Join(r.Lines, "|") != c.lines {
			t.Errorf("%q: %d %v %q %q", c.in, r.Code, r.Status, r, r.Lines)
		}
	}
}

func TestWhatIsNoReply(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		"\r\n", "25\r\n", "2500 ok\r\n", "hello\r\n", "150 x\r\n", "650 x\r\n", "25a x\r\n", "250-x\r\n550 y\r\n", "550-x\r\n450 y\r\n", "250-x\r\n\r\n", " 250 x\r\n", "250\tx\r\n",
		"250-x\r\nwhat\r\n250 y\r\n", "\xef\xbb\xbf250 x\r\n", "2\x0050 x\r\n", "\r250 x\r\n", strings.Repeat("2", 6000) + "\r\n",
	} {
		if all, err := replies(bad, usual); !errors.Is(err, ErrMalformed) || len(all) > 0 {
			t.Errorf("%q: %v %v", bad, all, err)
		}
	}
	for in, want := range map[string]error{"": io.EOF, "250": io.ErrUnexpectedEOF, "250-x\r\n": io.EOF, "250-x\r\n25": io.ErrUnexpectedEOF} {
		if all, err := replies(in, usual); !errors.Is(err, want) || len(all) > 0 {
			t.Errorf("%q: %v %v", in, all, err)
		}
	}
}

// TestBounds: a reply has its octets, whatever its lines are like, and the next one has them again.
func TestBounds(t *testing.T) {
	t.Parallel()
	most := Limits{Octets: 10_000, Text: 100}
	fits := strings.Repeat("250-abcde\r\n", 900) + "250 end\r\n"
	for name, text := range map[string]string{
		"lines": strings.Repeat("250-abcde\r\n", 1000), "empty lines": strings.Repeat("250-\r\n", 2000), "a line": "250 " + strings.Repeat("x", 10_000) + "\r\n",
		"long lines": strings.Repeat("250-"+strings.Repeat("x", 3000)+"\r\n", 4), "a line without end": "250 " + strings.Repeat("x", 2<<20),
		"a reply, and one too long": fits + fits + strings.Repeat("250-abcde\r\n", 1000),
	} {
		if _, err := replies(text, most); !errors.Is(err, ErrTooLong) {
			t.Errorf("%s: %v", name, err)
		}
	}
	all, err := replies(fits+fits+"250 "+strings.Repeat("x", 9000)+"\r\n", most)
	if err != io.EOF || len(all) != 3 {
		t.Fatalf("%d: %v", len(all), err)
	}
	if kept := len(strings.Join(all[1].Lines, "")); kept > most.Text || kept < most.Text/2 {
		t.Errorf("%d octets are kept", kept)
	}
}

// TestEdit: a filter of replies sees each line and gives another; what it refuses comes back as it is.
func TestEdit(t *testing.T) {
	t.Parallel()
	in := wire.NewReader(strings.NewReader("550-a\r\n550 b\r\n"), nil)
	var seen []string
	r, err := Read(in, usual, func(line []byte) ([]byte, error) {
		seen = append(seen, string(line))
		return bytes.Replace(line, []byte("550"), []byte("450"), 1), nil
	})
	if err != nil || r.String() != "450 a b" || strings.Join(seen, "|") != "550-a|550 b" {
		t.Errorf("%v %v %q", r, err, seen)
	}
	own := errors.New("own")
	in = wire.NewReader(strings.NewReader("550 a\r\n"), nil)
	if _, err = Read(in, usual, func([]byte) ([]byte, error) { return nil, own }); err != own {
		t.Error(err)
	}
}

func TestWhole(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"550 5.7.1 no": "550 5.7.1 no", "550": "550", "451-4.7.1 a\r\n451 4.7.1 b": "451 4.7.1 a b", "451-a\r\n451 b": "451 a b", "250 ok": "250 ok",
		"550-a\r\n551 b": "", "550 a\r\n": "", "550-a": "", "550 a\r\n550 b": "", "550 4.7.1 a": "", "550-5.7.1 a\r\n550 4.7.1 b": "", "550 a\nb": "", "550 a\rb": "", "550 a\r": "", "550 a\x00": "",
		"": "", "no": "", "\r\n550 a": "",
	} {
		r, err := Whole(in)
		if got := ""; err == nil {
			if got = r.String(); got != want {
				t.Errorf("%q: %q", in, got)
			}
		} else if want != "" || !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v", in, err)
		}
	}
}

// FuzzReply: no reply is more than its bounds, and what it says of itself agrees.
func FuzzReply(f *testing.F) {
	for _, s := range []string{"250-mx\r\n250-SIZE 10\r\n250 DSN\r\n", "550 5.1.1 no\r\n", "250-a\n250-b\n550 c", "421 \xff\x00\r\n", "250 a\r\r\n250 b\r\n", "550-\r\n550 " + strings.Repeat("x", 3000) + "\r\n"} {
		f.Add([]byte(s))
	}
	most := Limits{Octets: 4000, Text: 500}
	check := func(t *testing.T, r *Reply) {
		text := r.String()
		if len(text) > mostShown+20 || strings.ContainsAny(text, "\r\n\x00") {
			t.Errorf("text %q", text)
		}
		if r.Code < 200 || r.Code > 599 || r.Status.Class() != r.Class() || !r.Enhanced && r.Status != dsn.Make(r.Class(), 0, 0) {
			t.Errorf("%d %v %v", r.Code, r.Status, r.Enhanced)
		}
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		all, err := replies(string(in), most)
		if err == nil || len(all) > 1+bytes.Count(in, []byte("\n")) {
			t.Errorf("%d replies: %v", len(all), err)
		}
		for _, r := range all {
			check(t, r)
			kept := 0
			for _, l := range r.Lines {
				kept += len(l)
			}
			if kept > most.Text {
				t.Errorf("%d octets kept", kept)
			}
		}
		// What is strict about a piece is so of a connection: it is the same reply.
		r, err := Whole(string(in))
		if err != nil || len(in) > 1000 {
			return
		}
		check(t, r)
		again, err := replies(string(in)+"\r\n", Limits{Octets: 4000, Text: 4000})
		if err != io.EOF || len(again) != 1 || again[0].String() != r.String() {
			t.Errorf("%q: %v and %v, %v", in, r, again, err)
		}
	})
}
