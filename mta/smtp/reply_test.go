package smtp

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"toastmaster/internal/dsn"
)

// read feeds a reply's lines to a parser as session.reply does.
func read(text string) (*reply, error) {
	var p parser
	for line := range bytes.Lines([]byte(text)) {
		done, err := p.line(bytes.TrimRight(line, "\r\n"))
		if done || err != nil {
			return &p.reply, err
		}
	}
	return nil, nil
}

func TestReplies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in, text string
		code     int
		status   dsn.Status
	}{
		{"250 ok", "250 ok", 250, dsn.Make(2, 0, 0)},
		{"250", "250", 250, dsn.Make(2, 0, 0)},
		{"250 2.1.5 ok", "250 2.1.5 ok", 250, dsn.Make(2, 1, 5)},
		{"550-5.1.1 no\r\n550-5.1.1 such\r\n550 5.1.1 user", "550 5.1.1 no such user", 550, dsn.BadDestMailbox},
		{"550-5.1.1 no\r\n551 gone", "551 5.1.1 no gone", 551, dsn.BadDestMailbox},
		{"450 5.1.1 odd", "450 5.1.1 odd", 450, dsn.Make(4, 0, 0)},
		{"550 5.1.1", "550 5.1.1", 550, dsn.BadDestMailbox},
		{"354-\r\n354 ", "354", 354, dsn.Make(3, 0, 0)},
		{"550 a\x00b\xff\x1b[31m \u00fc", "550 a?b??[31m \u00fc", 550, dsn.Make(5, 0, 0)},
	} {
		r, err := read(c.in)
		if err != nil || r == nil {
			t.Errorf("%q: %v %v", c.in, r, err)
			continue
		}
		if r.code != c.code || r.status != c.status || r.text() != c.text {
			t.Errorf("%q: %d %v %q", c.in, r.code, r.status, r.text())
		}
	}
	for _, bad := range []string{"", "25", "2500 ok", "hello", "150 x", "650 x", "25a x", "250-x\r\n550 y", "250-x\r\n\r\n", " 250 x", "250\tx"} {
		if r, err := read(bad + "\r\n"); !errors.Is(err, errMalformed) {
			t.Errorf("%q: %v %v", bad, r, err)
		}
	}
}

func TestAStrangeReplyIsNeverPermanent(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"250 ok", "354 go on", "334 x"} {
		r, err := read(in)
		if err != nil {
			t.Fatal(err)
		}
		if e := r.failure("h", "RCPT TO"); !e.Temporary() {
			t.Errorf("%q became %v", in, e)
		}
	}
}

func TestExtensions(t *testing.T) {
	t.Parallel()
	r, err := read("250-mx hello PIPELINING\r\n250-size 123\r\n250-AUTH plain LOGIN\r\n250-8bitmime\r\n250-\r\n250 DSN")
	if err != nil {
		t.Fatal(err)
	}
	e := parseExtensions(r, nil)
	if e.pipelining || !e.size || e.maxSize != 123 || !e.eightBit || !e.dsn || e.utf8 || strings.Join(e.auth, " ") != "PLAIN LOGIN" {
		t.Errorf("%+v", e)
	}
	for in, want := range map[string]int64{"": 0, "12x": 0, "99999999999999999999999": 0, "0": 0, "1048576": 1 << 20} {
		if got := parseSize(in); got != want {
			t.Errorf("%q: %d", in, got)
		}
	}
}

func FuzzReply(f *testing.F) {
	f.Add([]byte("250-mx\r\n250-SIZE 10\r\n250 DSN\r\n"))
	f.Add([]byte("550 5.1.1 no\r\n"))
	f.Add([]byte("250-a\n250-b\n550 c"))
	f.Add([]byte("421 \xff\x00"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := read(string(in))
		if err != nil || r == nil {
			return
		}
		text := r.text()
		if len(text) > 1100 || strings.ContainsAny(text, "\r\n\x00") {
			t.Errorf("text %q", text)
		}
		if r.code < 200 || r.code > 599 || r.status.Class() != r.code/100 {
			t.Errorf("%d %v", r.code, r.status)
		}
		if e := r.failure("h", "x"); r.code/100 != 5 && !e.Temporary() {
			t.Errorf("%v is permanent", e)
		}
		parseExtensions(r, nil)
	})
}
