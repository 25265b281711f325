package envelope

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"
)

// shortDisk is a Content that has to be read; octets behind whole are not there, and reading
// them fails with err.
type shortDisk struct {
	Memory
	whole int64
	err   error
}

func (c shortDisk) Bytes() ([]byte, bool) { return nil, false }

func (c shortDisk) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	if off < c.whole {
		n = copy(p, c.Memory[off:c.whole])
	}
	if n < len(p) {
		return n, c.err
	}
	return n, nil
}

// TestPieces: every range comes in order and whole, in pieces of the room at most, and in one
// piece from memory; what cannot be read is told once, after what could be.
func TestPieces(t *testing.T) {
	t.Parallel()
	text := Memory("From: a\n\nbody\n")
	size := text.Size()
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		content  Content
		from, to int64
		want     []string
		err      error
	}{
		"memory":             {text, 0, size, []string{string(text)}, nil},
		"a range of memory":  {text, 6, 7, []string{"a"}, nil},
		"memory too short":   {text, 0, size + 1, nil, io.ErrUnexpectedEOF},
		"nothing":            {text, 3, 3, nil, nil},
		"disk":               {shortDisk{text, size, io.EOF}, 0, size, []string{"From: ", "a\n\nbod", "y\n"}, nil},
		"a range of a disk":  {shortDisk{text, size, io.EOF}, 2, 9, []string{"om: a\n", "\n"}, nil},
		"one that shrank":    {shortDisk{text, 8, io.EOF}, 0, size, []string{"From: ", "a\n"}, io.ErrUnexpectedEOF},
		"one that has none":  {shortDisk{text, 0, nil}, 0, size, nil, io.ErrUnexpectedEOF},
		"a disk that breaks": {shortDisk{text, 7, broken}, 0, size, []string{"From: ", "a"}, broken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			var failed error
			asked := 0
			for p, err := range Pieces(c.content, c.from, c.to, func() []byte { asked++; return make([]byte, 6) }) {
				if failed != nil {
					t.Fatal("something comes after an error")
				}
				if failed = err; err == nil {
					got = append(got, string(bytes.Clone(p)))
				}
			}
			if !slices.Equal(got, c.want) || !errors.Is(failed, c.err) || (c.err == nil) != (failed == nil) {
				t.Errorf("%q %v, want %q %v", got, failed, c.want, c.err)
			}
			if _, memory := c.content.Bytes(); memory && asked > 0 || asked > 1 {
				t.Errorf("asked %d times for room", asked)
			}
		})
	}
	for p := range Pieces(shortDisk{text, size, io.EOF}, 0, size, Block(text, 4)) {
		if len(p) != 4 {
			t.Errorf("%q", p)
		}
		break // more than this is not read
	}
}
