package wire

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestOverlongKeepsBothEnds: the tag of a line that is too long, and the literal
// that it announces, must be known.
func TestOverlongKeepsBothEnds(t *testing.T) {
	t.Parallel()
	for _, n := range []int{120, 5000, 100_000} {
		line := "tag1 " + strings.Repeat("x", n) + " {12+}"
		for kind, src := range sources(line + "\r\nnext\r\n") {
			r := NewReader(src, nil)
			r.MaxLine, r.Bare = 100, Allow
			if _, err := r.ReadLine(); err != ErrTooLong {
				t.Fatalf("%s, %d: %v", kind, n, err)
			}
			head, tail := r.Overlong()
			if !strings.HasPrefix(line, string(head)) || len(head) < 100 {
				t.Errorf("%s, %d: head %.20q", kind, n, head)
			}
			if !strings.HasSuffix(line, string(tail)) || len(tail) < 20 {
				t.Errorf("%s, %d: tail %q", kind, n, tail)
			}
			if next, err := r.ReadLine(); string(next) != "next" || err != nil {
				t.Errorf("%s, %d: then %q %v", kind, n, next, err)
			}
		}
	}
}

// TestOverlongGoesOnAfterAWake: what ends the wait within a line that is too long
// must not make its rest a command.
func TestOverlongGoesOnAfterAWake(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		defer server.Close()
		defer client.Close()
		c := NewConn(server, nil)
		c.In.MaxLine = 10
		go client.Write([]byte(strings.Repeat("x", 20)))
		go func() {
			synctest.Wait()
			c.Wake()
		}()
		if _, err := c.ReadIdle(time.Hour); err != ErrWoken {
			t.Fatal(err)
		}
		go client.Write([]byte(" DONE\r\nDONE\r\n"))
		if line, err := c.ReadIdle(time.Hour); err != ErrTooLong {
			t.Errorf("%q %v", line, err)
		}
		if line, err := c.ReadIdle(time.Hour); string(line) != "DONE" || err != nil {
			t.Errorf("%q %v", line, err)
		}
	})
}

// TestIdleTimeoutIsForTheStart: a command that has begun has the time of one, and
// the drain lets it come to its end.
func TestIdleTimeoutIsForTheStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		defer server.Close()
		defer client.Close()
		c := NewConn(server, nil)
		c.IdleTimeout, c.ReadTimeout, c.EachRead = time.Hour, time.Minute, true
		began := time.Now()
		go func() {
			time.Sleep(59 * time.Minute)
			for _, part := range []string{"N", "OO"} {
				client.Write([]byte(part))
				time.Sleep(50 * time.Second)
			}
			c.Interrupt()
			client.Write([]byte("P\r\n"))
		}()
		if line, err := c.ReadCommand(); string(line) != "NOOP" || err != nil {
			t.Errorf("%q %v", line, err)
		}
		if _, err := c.ReadCommand(); err != ErrInterrupted || c.Err() != nil {
			t.Errorf("%v, %v", err, c.Err())
		}
		if took := time.Since(began); took < 60*time.Minute {
			t.Errorf("took %v", took)
		}
	})
}

// TestReadIdleLeavesTheConnection: news and silence are no errors of it.
func TestReadIdleLeavesTheConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		defer client.Close()
		c := NewConn(server, nil)
		if _, err := c.ReadIdle(time.Minute); !errors.Is(err, os.ErrDeadlineExceeded) || c.Err() != nil {
			t.Errorf("%v, %v", err, c.Err())
		}
		c.Wake()
		if _, err := c.ReadIdle(time.Minute); err != ErrWoken || c.Err() != nil {
			t.Errorf("%v, %v", err, c.Err())
		}
		server.Close()
		if _, err := c.ReadIdle(time.Minute); err == nil || c.Err() == nil {
			t.Errorf("%v, %v", err, c.Err())
		}
	})
}

// TestStressShortensTheTimeForLogIn, but never what is after it.
func TestStressShortensTheTimeForLogIn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		defer server.Close()
		defer client.Close()
		c := NewConn(server, nil)
		c.ReadTimeout = 30 * time.Minute
		c.Limit(time.Now().Add(time.Hour), 10*time.Second)
		began := time.Now()
		go func() {
			time.Sleep(time.Minute)
			c.Stress(true)
		}()
		if _, err := c.ReadCommand(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if took := time.Since(began); took != 70*time.Second {
			t.Errorf("took %v", took)
		}
		c.Unlimit()
		began = time.Now()
		if _, err := c.ReadCommand(); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != c.ReadTimeout {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// TestRoomIsWritten appends where it is written from, more than fits, too.
func TestRoomIsWritten(t *testing.T) {
	var out bytes.Buffer
	w := NewWriter(&out, &Pool{})
	want := 0
	for i := range 3000 {
		text := strings.Repeat(string(rune('a'+i%26)), i%200)
		if i == 1000 {
			text = strings.Repeat("z", 3*BlockSize)
		}
		room := w.Room()
		if len(room) != 0 || cap(room) < minRoom {
			t.Fatalf("room of %d", cap(room))
		}
		w.Write(append(room, text...))
		w.WriteString(".")
		want += len(text) + 1
	}
	if err := w.Flush(); err != nil || out.Len() != want {
		t.Fatalf("%d of %d, %v", out.Len(), want, err)
	}
	for i, text := range strings.SplitAfter(out.String(), ".")[:3000] {
		if i != 1000 && text != strings.Repeat(string(rune('a'+i%26)), i%200)+"." {
			t.Fatalf("%d: %q", i, text)
		}
	}
	room := w.Room()
	if n := testing.AllocsPerRun(100, func() { w.Write(append(room, "x"...)); room = w.Room() }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestLiteralIsLeftInStep reads a literal of any size between lines.
func TestLiteralIsLeftInStep(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 4096, 4097, 100_000} {
		text := strings.Repeat("\x00\r\n.", n/4+1)[:n]
		for kind, src := range sources("before\r\n" + text + "after\r\n") {
			r := NewReader(src, &Pool{})
			r.Bare = Allow
			_, _ = r.ReadLine()
			l, got := r.Literal(int64(n)), []byte(nil)
			for l.Left() > 0 {
				p, err := l.Next()
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, p...)
			}
			if _, err := l.Next(); string(got) != text || err != io.EOF {
				t.Errorf("%s, %d: %d octets, %v", kind, n, len(got), err)
			}
			if line, err := r.ReadLine(); string(line) != "after" || err != nil {
				t.Errorf("%s, %d: %q %v", kind, n, line, err)
			}
		}
	}
	r := NewReader(strings.NewReader("abc"), nil)
	if err := r.Literal(4).Drain(); err != io.ErrUnexpectedEOF {
		t.Error(err)
	}
}

// FuzzWindow: what a literal writer lets through a window, in one go or resumed
// at its marks, is that piece of the whole.
func FuzzWindow(f *testing.F) {
	f.Add([]byte("a\nb\r\nc\x00\n\nlong line\r"), uint8(3), uint8(5), uint8(2))
	f.Add([]byte("\r\n\n\r\r\n"), uint8(1), uint8(1), uint8(1))
	f.Fuzz(func(t *testing.T, content []byte, skip, length, step uint8) {
		write := func(from Offset, skip, length int64, window bool) (string, *ContentWriter) {
			var out bytes.Buffer
			w := NewWriter(&out, nil)
			c := NewLiteralWriter(w)
			if window {
				c.Window(skip-from.Wire, length)
			}
			c.Resume(from, from.Stored > 0 && content[from.Stored-1] == '\r')
			for rest := content[from.Stored:]; len(rest) > 0 && !c.Full(); {
				n := min(int(step)+1, len(rest))
				c.Write(rest[:n])
				rest = rest[n:]
			}
			if err := w.Flush(); err != nil || c.Sent() != int64(out.Len()) {
				t.Fatalf("sent %d of %d, %v", c.Sent(), out.Len(), err)
			}
			return out.String(), c
		}
		whole, _ := write(Offset{}, 0, 0, false)
		var measure Sizer
		for rest := content; len(rest) > 0; {
			n := min(int(step)+1, len(rest))
			measure.Add(rest[:n])
			rest = rest[n:]
		}
		if measure.Wire != int64(len(whole)) {
			t.Fatalf("%q has the size %d, measured as %d", content, len(whole), measure.Wire)
		}
		from, size := int64(skip), int64(length)
		want := whole[min(from, int64(len(whole))):min(from+size, int64(len(whole)))]
		piece, c := write(Offset{}, from, size, true)
		if piece != want {
			t.Fatalf("%q from %d, %d: %q, want %q", content, from, size, piece, want)
		}
		at := c.Offset()
		if at.Wire > from+size {
			t.Fatalf("mark %+v is behind the window", at)
		}
		next := whole[min(from+size, int64(len(whole))):min(from+2*size, int64(len(whole)))]
		if piece, _ := write(at, from+size, size, true); piece != next {
			t.Fatalf("%q resumed at %+v: %q, want %q", content, at, piece, next)
		}
	})
}
