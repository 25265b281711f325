package wire

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

var contents = []struct {
	name, in string
	bare     Policy
	lf       string // content with LF line ends
	rest     string // what follows
	err      error
}{
	{"empty", ".\r\nQUIT\r\n", Reject, "", "QUIT\r\n", nil},
	{"one line", "a\r\n.\r\n", Reject, "a\n", "", nil},
	{"stuffed", "..\r\n.a\r\n...\r\n.\r\n", Reject, ".\na\n..\n", "", nil},
	{"dot and text", ".x\r\n.\r\n", Reject, "x\n", "", nil},
	{"LF.LF is content", "a\r\nb\n.\nc\r\n.\r\n", Allow, "a\nb\n.\nc\n", "", nil},
	{"LF.CRLF is content", "a\n.\r\nb\r\n.\r\n", Allow, "a\n.\nb\n", "", nil},
	{"CRLF.LF is content", "a\r\n.\nb\r\n.\r\n", Allow, "a\n\nb\n", "", nil},
	{"CR.CR is content", "a\r.\rb\r\n.\r\n", Allow, "a\r.\rb\n", "", nil},
	{"CRLF.CR is content", "a\r\n.\rb\r\n.\r\n", Allow, "a\n\rb\n", "", nil},
	{"CR CR LF stays", "a\r\r\nb\r\n.\r\n", Allow, "a\r\r\nb\n", "", nil},
	{"CR CR CR LF stays", "a\r\r\r\n.\r\n", Allow, "a\r\r\r\n", "", nil},
	{"normalised LF", "a\nb\r\n.\r\n", Normalize, "a\nb\n", "", nil},
	{"normalised CR", "a\rb\r\r\n.\r\n", Normalize, "a b \n", "", nil},
	{"refused LF", "a\nb\r\n.\r\nNOOP\r\n", Reject, "", "NOOP\r\n", ErrBareLF},
	{"refused LF.LF", "a\r\n\n.\nMAIL FROM:<x>\r\n.\r\nNOOP\r\n", Reject, "", "NOOP\r\n", ErrBareLF},
	{"refused LF.CRLF", "a\n.\r\nMAIL FROM:<x>\r\n.\r\nNOOP\r\n", Reject, "", "NOOP\r\n", ErrBareLF},
	{"refused CRLF.LF", "a\r\n.\nMAIL FROM:<x>\r\n.\r\nNOOP\r\n", Reject, "", "NOOP\r\n", ErrBareLF},
	{"refused CR", "a\rb\r\n.\r\nNOOP\r\n", Reject, "", "NOOP\r\n", ErrBareCR},
	{"refused CR.CR", "a\r.\rMAIL\r\n.\r\nNOOP\r\n", Reject, "", "NOOP\r\n", ErrBareCR},
	{"refused CR CR LF", "a\r\r\n.\r\nNOOP\r\n", Reject, "", "NOOP\r\n", ErrBareCR},
	{"NUL", "a\x00b\r\n.\r\n", Reject, "a\x00b\n", "", nil},
	{"8 bit", "\xff\xfe\r\n.\r\n", Reject, "\xff\xfe\n", "", nil},
	{"unfinished", "a\r\n.", Reject, "", "", io.ErrUnexpectedEOF},
}

func TestContent(t *testing.T) {
	t.Parallel()
	for _, c := range contents {
		for kind, src := range sources(c.in) {
			r := NewReader(src, &Pool{})
			content := r.Content(c.bare)
			content.LF()
			var got bytes.Buffer
			_, err := content.WriteTo(&got)
			if !errors.Is(err, c.err) || c.err == nil && got.String() != c.lf {
				t.Errorf("%s, %s: %q, %v", c.name, kind, got.String(), err)
				continue
			}
			if errors.Is(err, io.ErrUnexpectedEOF) {
				continue
			}
			if err := content.Drain(); err != nil {
				t.Errorf("%s, %s: drain: %v", c.name, kind, err)
			}
			if rest, _ := io.ReadAll(restOf(r)); string(rest) != c.rest {
				t.Errorf("%s, %s: rest %q", c.name, kind, rest)
			}
		}
	}
}

// restOf reads what the reader has not read.
func restOf(r *Reader) io.Reader {
	return io.MultiReader(bytes.NewReader(r.buf[r.pos:r.end]), r.src)
}

func TestWireFormOfContent(t *testing.T) {
	t.Parallel()
	in := "a\r\n..b\r\nc\r\r\nd\ne\r\n.\r\n"
	for kind, src := range sources(in) {
		content := NewReader(src, nil).Content(Allow)
		got, err := io.ReadAll(content)
		if want := "a\r\n.b\r\nc\r\r\nd\ne\r\n"; string(got) != want || err != nil || content.Size() != int64(len(want)) {
			t.Errorf("%s: %q, %v, size %d", kind, got, err, content.Size())
		}
	}
}

// endless is a line that never ends, of n octets.
type endless struct{ n int }

func (e *endless) Read(p []byte) (int, error) {
	if e.n == 0 {
		return 0, io.EOF
	}
	n := min(len(p), e.n)
	for i := range n {
		p[i] = 'x'
	}
	e.n -= n
	return n, nil
}

func TestLineOf50MBInBoundedMemory(t *testing.T) {
	t.Parallel()
	const size = 50 << 20
	r := NewReader(io.MultiReader(&endless{size}, strings.NewReader("\r\n.\r\n")), &Pool{})
	c := r.Content(Reject)
	c.LF()
	n, err := io.Copy(io.Discard, c)
	if n != size+1 || err != nil || len(r.buf) > BlockSize {
		t.Errorf("%d octets, %v, buffer %d", n, err, len(r.buf))
	}
}

// unstuff is the plain reading of the rules, octet by octet over the whole.
func unstuff(in []byte) (content, rest []byte, ok bool) {
	bol := true
	for i := 0; i < len(in); i++ {
		if bol && in[i] == '.' {
			if bytes.HasPrefix(in[i:], []byte(".\r\n")) {
				return content, in[i+3:], true
			}
			bol = false
			continue
		}
		content = append(content, in[i])
		bol = in[i] == '\n' && i > 0 && in[i-1] == '\r'
	}
	return content, nil, false
}

// toLF is the plain reading of envelope.Content.
func toLF(in []byte) []byte {
	var out []byte
	for i, c := range in {
		if c == '\r' && i+1 < len(in) && in[i+1] == '\n' && (i == 0 || in[i-1] != '\r') {
			continue
		}
		out = append(out, c)
	}
	return out
}

func FuzzContent(f *testing.F) {
	for _, c := range contents {
		f.Add([]byte(c.in), uint8(3), true)
	}
	f.Fuzz(func(t *testing.T, in []byte, step uint8, lf bool) {
		want, rest, ok := unstuff(in)
		if lf {
			want = toLF(want)
		}
		r := NewReader(&stepReader{in, int(step) + 1}, nil)
		c := r.Content(Allow)
		if lf {
			c.LF()
		}
		got, err := io.ReadAll(c)
		if !ok {
			if err != io.ErrUnexpectedEOF {
				t.Fatalf("no end, and %v", err)
			}
			return
		}
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%q, %v\nwant %q", got, err, want)
		}
		if after, _ := io.ReadAll(restOf(r)); !bytes.Equal(after, rest) {
			t.Fatalf("rest %q, want %q", after, rest)
		}
		// What Reject refuses has a bare octet, and the end is found all the same.
		c = NewReader(bytes.NewReader(in), nil).Content(Reject)
		_, err = io.ReadAll(c)
		body := in[:len(in)-len(rest)]
		stray := bytes.ReplaceAll(body, []byte("\r\n"), nil)
		if (err != nil) != bytes.ContainsAny(stray, "\r\n") {
			t.Fatalf("%q: %v", body, err)
		}
		if err := c.Drain(); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzChunks(f *testing.F) {
	f.Add([]byte("a\r\r\nb\r\nc"), uint8(2), uint8(3))
	f.Fuzz(func(t *testing.T, in []byte, size, step uint8) {
		var session []byte
		n := int(size)%9 + 1
		for i := 0; i < len(in); i += n {
			session = append(session, "BDAT\r\n"...)
			session = append(session, in[i:min(i+n, len(in))]...)
		}
		r := NewReader(&stepReader{session, int(step)%11 + 1}, nil)
		r.Bare = Normalize
		c := r.Chunks(Allow)
		c.LF()
		var got []byte
		for i := 0; i < len(in); i += n {
			if line, err := r.ReadLine(); string(line) != "BDAT" || err != nil {
				t.Fatalf("%q %v", line, err)
			}
			c.Chunk(int64(min(n, len(in)-i)), i+n >= len(in))
			for {
				p, err := c.Next()
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, p...)
			}
		}
		if want := toLF(in); !bytes.Equal(got, want) || c.Size() != int64(len(in)) {
			t.Fatalf("%q, want %q", got, want)
		}
	})
}

func BenchmarkContent(b *testing.B) {
	msg := append(bytes.Repeat([]byte(strings.Repeat("x", 76)+"\r\n"), 1<<20/78), ".\r\n"...)
	b.SetBytes(int64(len(msg)))
	b.ReportAllocs()
	pool := &Pool{}
	src := bytes.NewReader(msg)
	r := NewReader(src, pool)
	for b.Loop() {
		src.Reset(msg)
		c := r.Content(Reject)
		c.LF()
		if _, err := c.WriteTo(io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}
