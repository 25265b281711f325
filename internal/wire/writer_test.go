package wire

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

type countingWriter struct {
	bytes.Buffer
	calls int
}

func (w *countingWriter) Write(p []byte) (int, error) {
	w.calls++
	return w.Buffer.Write(p)
}

func TestWriterGathers(t *testing.T) {
	t.Parallel()
	var dst countingWriter
	w := NewWriter(&dst, &Pool{})
	for range 100 {
		if _, err := w.WriteString("250 2.1.5 Ok\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	if dst.calls != 0 || w.Buffered() != 1400 {
		t.Errorf("%d calls before Flush, %d gathered", dst.calls, w.Buffered())
	}
	if err := w.Flush(); err != nil || dst.calls != 1 || dst.Len() != 1400 || w.block != nil {
		t.Errorf("%v, %d calls, %d octets", err, dst.calls, dst.Len())
	}
	big := bytes.Repeat([]byte("x"), 3*BlockSize+5)
	if n, err := w.Write(big); n != len(big) || err != nil || w.Flush() != nil || dst.Len() != 1400+len(big) {
		t.Errorf("%d %v, %d octets", n, err, dst.Len())
	}
}

type failingWriter struct{}

var errDisk = errors.New("broken")

func (failingWriter) Write([]byte) (int, error) { return 0, errDisk }

func TestWriterErrorSticks(t *testing.T) {
	t.Parallel()
	w := NewWriter(failingWriter{}, nil)
	if _, err := w.WriteString("x"); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); !errors.Is(err, errDisk) {
		t.Error(err)
	}
	if _, err := w.WriteString("x"); !errors.Is(err, errDisk) {
		t.Error(err)
	}
	d := NewDotWriter(w)
	if _, err := d.Write([]byte("a\n")); !errors.Is(err, errDisk) {
		t.Error(err)
	}
}

func TestDotWriter(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"", ".\r\n"},
		{"a\n", "a\r\n.\r\n"},
		{"a", "a\r\n.\r\n"},
		{".\n..\n.a\n", "..\r\n...\r\n..a\r\n.\r\n"},
		{"a\r\r\nb\n", "a\r\r\nb\r\n.\r\n"},
		{"a\rb\n", "a\rb\r\n.\r\n"},
		{"a\r", "a\r\n.\r\n"},
		{"\n\n", "\r\n\r\n.\r\n"},
		{strings.Repeat("x", 2*BlockSize) + "\n.", strings.Repeat("x", 2*BlockSize) + "\r\n..\r\n.\r\n"},
	} {
		for _, step := range []int{1, 2, 3, 1 << 20} {
			var dst bytes.Buffer
			w := NewWriter(&dst, nil)
			d := NewDotWriter(w)
			if _, err := io.CopyBuffer(struct{ io.Writer }{d}, &stepReader{[]byte(c.in), step}, make([]byte, 1<<20)); err != nil {
				t.Fatal(err)
			}
			if d.Close() != nil || w.Flush() != nil || dst.String() != c.want {
				t.Errorf("%.40q by %d: %.60q", c.in, step, dst.String())
			}
		}
	}
}

// FuzzThereAndBack: what came in with CR LF goes out as it came.
func FuzzThereAndBack(f *testing.F) {
	f.Add([]byte("a\r\n.b\r\r\nc\r"), uint8(1))
	f.Add([]byte("a\r\n.b\r\r\n.\r\nc\r\n"), uint8(1))
	f.Fuzz(func(t *testing.T, in []byte, step uint8) {
		in = bytes.ReplaceAll(in, []byte("\n"), []byte("\r\n"))
		var lf bytes.Buffer
		l := NewLFWriter(&lf)
		if step%2 == 1 {
			l.Borrow(make([]byte, 3+step%5))
		}
		if _, err := io.CopyBuffer(struct{ io.Writer }{l}, &stepReader{in, int(step) + 1}, make([]byte, 300)); err != nil || l.Close() != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(lf.Bytes(), toLF(in)) {
			t.Fatalf("LF form %q of %q", lf.Bytes(), in)
		}
		if WireSize(lf.Bytes()) != int64(len(in)) {
			t.Fatalf("%q has the size %d", in, WireSize(lf.Bytes()))
		}
		// Back through the dots of SMTP, when the last line is complete.
		if !bytes.HasSuffix(in, []byte("\r\n")) {
			return
		}
		var out bytes.Buffer
		w := NewWriter(&out, nil)
		d := NewDotWriter(w)
		if _, err := io.CopyBuffer(struct{ io.Writer }{d}, &stepReader{lf.Bytes(), int(step) + 1}, make([]byte, 300)); err != nil {
			t.Fatal(err)
		}
		if d.Close() != nil || w.Flush() != nil {
			t.Fatal("write")
		}
		got, err := io.ReadAll(NewReader(&out, nil).Content(Allow))
		if err != nil || !bytes.Equal(got, in) {
			t.Fatalf("%q went as %q, %v", in, got, err)
		}
	})
}

func BenchmarkDotWriter(b *testing.B) {
	msg := bytes.Repeat([]byte(strings.Repeat("x", 76)+"\n"), 1<<20/77)
	b.SetBytes(int64(len(msg)))
	b.ReportAllocs()
	w := NewWriter(io.Discard, &Pool{})
	for b.Loop() {
		d := NewDotWriter(w)
		if _, err := d.Write(msg); err != nil || d.Close() != nil || w.Flush() != nil {
			b.Fatal(err)
		}
	}
}

func TestConnFlushesBeforeItWaits(t *testing.T) {
	t.Parallel()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	c := NewConn(a, nil)
	c.Out.WriteString("220 hello\r\n")
	got := make(chan string, 1)
	go func() {
		p := make([]byte, 100)
		n, _ := b.Read(p)
		got <- string(p[:n])
		io.WriteString(b, "NOOP\r\n")
	}()
	line, err := c.ReadCommand()
	if string(line) != "NOOP" || err != nil || <-got != "220 hello\r\n" {
		t.Errorf("%q %v", line, err)
	}
}

func TestInterruptEndsOnlyTheWaitForACommand(t *testing.T) {
	t.Parallel()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	c := NewConn(a, nil)
	c.ReadTimeout = time.Minute
	done := make(chan error, 1)
	go func() {
		_, err := c.ReadCommand()
		done <- err
	}()
	c.Interrupt()
	if err := <-done; !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	// A line that is no command waits on.
	go func() {
		line, err := c.In.ReadLine()
		if string(line) != "content" {
			err = errors.Join(err, errors.New(string(line)))
		}
		done <- err
	}()
	c.Interrupt()
	io.WriteString(b, "content\r\n")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	// What has arrived is served before the wait is refused.
	go io.WriteString(b, "one\r\ntwo\r\n")
	for c.In.Buffered() == 0 {
		if err := c.In.fill(); err != nil {
			t.Fatal(err)
		}
	}
	if line, err := c.ReadCommand(); string(line) != "one" || err != nil {
		t.Errorf("%q %v", line, err)
	}
}

func TestReadTimeout(t *testing.T) {
	t.Parallel()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	c := NewConn(a, nil)
	c.ReadTimeout = time.Millisecond
	_, err := c.ReadCommand()
	var ne net.Error
	if !errors.As(err, &ne) || !ne.Timeout() {
		t.Error(err)
	}
}

func TestLimitHoldsAgainstSingleOctets(t *testing.T) {
	t.Parallel()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	c := NewConn(a, nil)
	c.ReadTimeout = time.Minute
	c.Limit(time.Now().Add(20*time.Millisecond), 0)
	go func() {
		for {
			if _, err := b.Write([]byte("x")); err != nil {
				return
			}
		}
	}()
	c.In.MaxLine = 1 << 40
	if _, err := c.ReadCommand(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}

// TestCutEndsEveryRead: also one of content, and leaves time for last words.
func TestCutEndsEveryRead(t *testing.T) {
	t.Parallel()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	c := NewConn(a, nil)
	c.ReadTimeout, c.WriteTimeout = time.Minute, time.Minute
	c.EachRead = true // no command was read: its time would be used up
	done := make(chan error, 1)
	go func() {
		_, err := c.In.ReadLine()
		done <- err
	}()
	c.Cut()
	if err := <-done; !errors.Is(err, ErrCut) {
		t.Fatal(err)
	}
	if _, err := c.ReadCommand(); !errors.Is(err, ErrCut) {
		t.Fatal(err)
	}
	go func() {
		c.Out.WriteString("bye\r\n")
		done <- c.Out.Flush()
	}()
	if line, err := NewReader(b, nil).ReadLine(); string(line) != "bye" || err != nil {
		t.Errorf("%q %v", line, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestCutEndsAWrite: a peer that does not read does not keep the connection.
func TestCutEndsAWrite(t *testing.T) {
	t.Parallel()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	l := NewLink(a)
	done := make(chan error, 1)
	go func() {
		_, err := l.Write([]byte("nobody reads this"), time.Minute)
		done <- err
	}()
	l.Cut()
	select {
	case err := <-done:
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Error("the write goes on")
	}
}

func TestRelayWriter(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"a\nb", "a\r\nb\r\n.\r\n"},
		{"a\rb\n", "a b\r\n.\r\n"},
		{"a\r.\rMAIL FROM:<x>\r\n", "a . MAIL FROM:<x>\r\n.\r\n"},
		{"a\n\r.\r\nb\n", "a\r\n .\r\nb\r\n.\r\n"},
		{"a\r\r\nb\n", "a \r\nb\r\n.\r\n"},
		{"\r\r\r", "  \r\n.\r\n"},
		{"a\r\nb\r\n", "a\r\nb\r\n.\r\n"},
		{".\r.\n", ".. .\r\n.\r\n"},
		{"a\n.\r\nb\r", "a\r\n..\r\nb\r\n.\r\n"},
	} {
		for _, step := range []int{1, 2, 3, 1 << 20} {
			var dst bytes.Buffer
			w := NewWriter(&dst, nil)
			d := NewRelayWriter(w)
			if _, err := io.CopyBuffer(struct{ io.Writer }{d}, &stepReader{[]byte(c.in), step}, make([]byte, 1<<20)); err != nil {
				t.Fatal(err)
			}
			if d.Close() != nil || w.Flush() != nil || dst.String() != c.want {
				t.Errorf("%.40q by %d: %.60q", c.in, step, dst.String())
			}
		}
	}
}

// FuzzRelayWriter: nothing but CR LF goes out, as much as WireSize says, and what
// has no stray CR goes as from NewDotWriter.
func FuzzRelayWriter(f *testing.F) {
	f.Add([]byte("a\r.\r\n\n.\n\rb\r\r\n"), uint8(1))
	f.Fuzz(func(t *testing.T, in []byte, step uint8) {
		send := func(relay bool) []byte {
			var out bytes.Buffer
			w := NewWriter(&out, nil)
			d := NewDotWriter(w)
			if relay {
				d = NewRelayWriter(w)
			}
			if _, err := io.CopyBuffer(struct{ io.Writer }{d}, &stepReader{in, int(step) + 1}, make([]byte, 300)); err != nil {
				t.Fatal(err)
			}
			if d.Close() != nil || w.Flush() != nil {
				t.Fatal("write")
			}
			return out.Bytes()
		}
		got, plain := send(true), send(false)
		if stray := bytes.ReplaceAll(got, []byte("\r\n"), nil); bytes.ContainsAny(stray, "\r\n") {
			t.Fatalf("%q goes as %q", in, got)
		}
		if len(got) != len(plain) {
			t.Fatalf("%q goes as %q, which is longer or shorter than %q", in, got, plain)
		}
		if !bytes.ContainsAny(bytes.ReplaceAll(plain, []byte("\r\n"), nil), "\r") && !bytes.Equal(got, plain) {
			t.Fatalf("%q goes as %q, not as %q", in, got, plain)
		}
	})
}
