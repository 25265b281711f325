package wire

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReadLine(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", DefaultMaxLine)
	huge := strings.Repeat("y", 100_000)
	type result struct {
		line string
		err  error
	}
	cases := []struct {
		name, in string
		bare     Policy
		want     []result
	}{
		{"plain", "NOOP\r\nQUIT\r\n", Reject, []result{{"NOOP", nil}, {"QUIT", nil}, {"", io.EOF}}},
		{"empty", "\r\n", Reject, []result{{"", nil}, {"", io.EOF}}},
		{"bare LF refused", "NOOP\nQUIT\r\n", Reject, []result{{"NOOP", ErrBareLF}, {"QUIT", nil}}},
		{"bare LF taken", "NOOP\nQUIT\r\n", Normalize, []result{{"NOOP", nil}, {"QUIT", nil}}},
		{"bare CR refused", "NO\rOP\r\nQUIT\r\n", Reject, []result{{"NO\rOP", ErrBareCR}, {"QUIT", nil}}},
		{"CR CR LF refused", "NOOP\r\r\n", Reject, []result{{"NOOP\r", ErrBareCR}}},
		{"longest", long + "\r\nQUIT\r\n", Reject, []result{{long, nil}, {"QUIT", nil}}},
		{"one longer", long + "x\r\nQUIT\r\n", Reject, []result{{"", ErrTooLong}, {"QUIT", nil}}},
		{"much longer", huge + "\r\nQUIT\r\n", Reject, []result{{"", ErrTooLong}, {"QUIT", nil}}},
		{"longest that is skipped", strings.Repeat("z", DefaultMaxSkipped-1) + "\r\nQUIT\r\n", Reject, []result{{"", ErrTooLong}, {"QUIT", nil}}},
		{"without end", strings.Repeat("z", DefaultMaxSkipped+BlockSize), Reject, []result{{"", ErrEndless}}},
		{"end inside", "QUI", Reject, []result{{"", io.ErrUnexpectedEOF}}},
		{"end inside of a long one", huge, Reject, []result{{"", io.ErrUnexpectedEOF}}},
	}
	for _, c := range cases {
		for kind, src := range sources(c.in) {
			r := NewReader(src, &Pool{})
			r.Bare = c.bare
			for i, want := range c.want {
				line, err := r.ReadLine()
				if string(line) != want.line || !errors.Is(err, want.err) {
					t.Errorf("%s, %s, line %d: %.40q %v", c.name, kind, i, line, err)
				}
			}
		}
	}
}

// sources gives the same octets in several portions.
func sources(s string) map[string]io.Reader {
	return map[string]io.Reader{
		"whole":    strings.NewReader(s),
		"one by 1": iotest.OneByteReader(strings.NewReader(s)),
		"halves":   iotest.HalfReader(strings.NewReader(s)),
		"data+EOF": iotest.DataErrReader(strings.NewReader(s)),
	}
}

func TestLongLineMayBeAllowed(t *testing.T) {
	t.Parallel()
	want := strings.Repeat("z", 12288)
	r := NewReader(strings.NewReader(want+"\r\nNOOP\r\n"), nil)
	r.MaxLine = 12288
	line, err := r.ReadLine()
	if string(line) != want || err != nil {
		t.Fatalf("%d octets, %v", len(line), err)
	}
	if line, err = r.ReadLine(); string(line) != "NOOP" || err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	if len(r.buf) != idleSize {
		t.Errorf("the buffer stayed at %d", len(r.buf))
	}
}

func TestResetForgetsWhatIsBuffered(t *testing.T) {
	t.Parallel()
	r := NewReader(strings.NewReader("STARTTLS\r\nMAIL FROM:<injected@x>\r\n"), nil)
	if _, err := r.ReadLine(); err != nil {
		t.Fatal(err)
	}
	r.Reset(strings.NewReader("EHLO x\r\n"))
	if line, err := r.ReadLine(); string(line) != "EHLO x" || err != nil {
		t.Errorf("%q, %v", line, err)
	}
}

func TestBufferIsLentOnlyForContent(t *testing.T) {
	t.Parallel()
	r := NewReader(strings.NewReader("DATA\r\n"+strings.Repeat("text\r\n", 5000)+".\r\nNOOP\r\n"), &Pool{})
	if _, err := r.ReadLine(); err != nil || r.block != nil {
		t.Fatal(err)
	}
	c := r.Content(Reject)
	if r.block == nil {
		t.Error("no block for content")
	}
	if _, err := io.Copy(io.Discard, c); err != nil {
		t.Fatal(err)
	}
	if line, err := r.ReadLine(); string(line) != "NOOP" || err != nil || r.block != nil {
		t.Errorf("%q %v, block %v", line, err, r.block != nil)
	}
}

func FuzzReadLine(f *testing.F) {
	f.Add([]byte("EHLO x\r\nMAIL FROM:<>\nQUIT\r\n"), uint8(3))
	f.Add(bytes.Repeat([]byte("a"), 5000), uint8(1))
	f.Fuzz(func(t *testing.T, in []byte, step uint8) {
		r := NewReader(&stepReader{in, int(step)%7 + 1}, nil)
		r.MaxLine = 20
		r.Bare = Normalize
		rest := in
		for {
			line, err := r.ReadLine()
			want, after, ok := bytes.Cut(rest, []byte("\n"))
			want = bytes.TrimSuffix(want, []byte("\r"))
			switch {
			case !ok:
				if len(rest) == 0 && err != io.EOF || len(rest) > 0 && err != io.ErrUnexpectedEOF {
					t.Fatalf("end: %q %v", line, err)
				}
				return
			case len(want) > 20:
				if err != ErrTooLong {
					t.Fatalf("long %q: %v", line, err)
				}
			case err != nil || !bytes.Equal(line, want):
				t.Fatalf("%q %v, want %q", line, err, want)
			}
			rest = after
		}
	})
}

// stepReader gives n octets a call.
type stepReader struct {
	p []byte
	n int
}

func (s *stepReader) Read(p []byte) (int, error) {
	if len(s.p) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.p[:min(s.n, len(s.p))])
	s.p = s.p[n:]
	return n, nil
}
