package netstring

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	for _, c := range []struct {
		in, want string
		err      error
	}{
		{"5:hello,", "hello", nil}, {"0:,", "", nil}, {"", "", io.EOF}, {"5", "", io.ErrUnexpectedEOF}, {"5:hel", "", io.ErrUnexpectedEOF},
		{"5:", "", io.ErrUnexpectedEOF}, {"5:hello;", "", ErrSyntax}, {":,", "", ErrSyntax}, {"-1:,", "", ErrSyntax}, {"05:hello,", "", ErrSyntax},
		{"x", "", ErrSyntax}, {strings.Repeat("9", 19) + ":", "", ErrSyntax},
	} {
		got, err := Read(bufio.NewReader(strings.NewReader(c.in)), 100)
		if string(got) != c.want || !errors.Is(err, c.err) {
			t.Errorf("%q: %q, %v", c.in, got, err)
		}
	}
	var long *TooLong
	if _, err := Read(bufio.NewReader(strings.NewReader("101:")), 100); !errors.As(err, &long) || long.Length != 101 {
		t.Errorf("%v", err)
	}
}

// TestALengthTakesNoMemory: what is said to come and does not costs nothing.
func TestALengthTakesNoMemory(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := Read(bufio.NewReader(strings.NewReader("1000000000:a")), 1<<40)
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%d octets, %v", took, err)
	}
}

// FuzzRead: what is read is what Append writes.
func FuzzRead(f *testing.F) {
	for _, s := range []string{"5:hello,", "0:,", "3:a,b,rest", "99999999999999999:", "01:a,"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := Read(bufio.NewReader(bytes.NewReader(in)), 1000)
		if err == nil && !bytes.HasPrefix(in, Append(nil, string(got))) {
			t.Errorf("%q was read from %q", got, in)
		}
	})
}
