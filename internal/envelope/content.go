package envelope

import (
	"bytes"
	"errors"
	"io"
	"iter"
)

// Content is a whole message, header and body. Line ends are LF; a CR LF of
// the wire became LF, and becomes CR LF again on the next wire. (CR CR LF is
// kept as it is and is not expanded again, so the way there and back is exact.)
//
// A Content may be read by several goroutines at once. Whoever was handed one
// with ownership closes it.
type Content interface {
	io.ReaderAt
	io.Closer
	// Size is the number of octets as stored (LF line ends).
	Size() int64
	// Bytes returns the whole message without a copy when it lies in memory;
	// ok is false when it must be read through ReadAt. The slice is read-only
	// and valid until Close.
	Bytes() (b []byte, ok bool)
}

// Memory is a Content in memory.
type Memory []byte

// ReadAt reads at off as io.ReaderAt says.
func (m Memory) ReadAt(p []byte, off int64) (int, error) { return bytes.NewReader(m).ReadAt(p, off) }

// Close does nothing.
func (m Memory) Close() error { return nil }

// Size is the length.
func (m Memory) Size() int64 { return int64(len(m)) }

// Bytes is the message itself.
func (m Memory) Bytes() ([]byte, bool) { return m, true }

// Reader reads c from its start.
func Reader(c Content) io.Reader {
	if b, ok := c.Bytes(); ok {
		return bytes.NewReader(b)
	}
	return io.NewSectionReader(c, 0, c.Size())
}

// Pieces reads the octets [from,to) of c, one piece after the other. What lies in memory is one
// piece. Else each is a part of the block that room lends, which is asked once and only
// then, and it is valid until the next one. An error is one of reading, and the last that
// comes: io.ErrUnexpectedEOF when c has become shorter than to.
func Pieces(c Content, from, to int64, room func() []byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if from >= to {
			return
		}
		if b, ok := c.Bytes(); ok {
			if to > int64(len(b)) {
				yield(nil, io.ErrUnexpectedEOF)
				return
			}
			yield(b[from:to], nil)
			return
		}
		for block := room(); from < to; {
			n, err := c.ReadAt(block[:min(int64(len(block)), to-from)], from)
			switch {
			case n > 0: // what the error was comes again when there is more to be read
				if !yield(block[:n], nil) {
					return
				}
			case err == nil || errors.Is(err, io.EOF):
				yield(nil, io.ErrUnexpectedEOF)
				return
			default:
				yield(nil, err)
				return
			}
			from += int64(n)
		}
	}
}

// Block is room for Pieces: one of size octets that is made for it, or less for a smaller c.
func Block(c Content, size int64) func() []byte {
	return func() []byte { return make([]byte, min(size, c.Size())) }
}

// Tail is c from an offset on. It owns c.
func Tail(c Content, from int64) Content { return &tail{c, from} }

type tail struct {
	Content
	from int64
}

func (t *tail) Size() int64 { return t.Content.Size() - t.from }

func (t *tail) ReadAt(p []byte, off int64) (int, error) { return t.Content.ReadAt(p, off+t.from) }

func (t *tail) Bytes() ([]byte, bool) {
	b, ok := t.Content.Bytes()
	if !ok {
		return nil, false
	}
	return b[t.from:], true
}

// Joined is c with a text before it. It does not own c: Close does nothing.
func Joined(text []byte, c Content) Content {
	if len(text) == 0 {
		return borrowed{c}
	}
	return joined{text, c}
}

type borrowed struct{ Content }

func (borrowed) Close() error { return nil }

type joined struct {
	text []byte
	c    Content
}

func (j joined) Close() error          { return nil }
func (j joined) Size() int64           { return int64(len(j.text)) + j.c.Size() }
func (j joined) Bytes() ([]byte, bool) { return nil, false }

func (j joined) ReadAt(p []byte, off int64) (n int, err error) {
	if off < int64(len(j.text)) {
		n = copy(p, j.text[off:])
	}
	if n == len(p) {
		return n, nil
	}
	more, err := j.c.ReadAt(p[n:], off+int64(n)-int64(len(j.text)))
	return n + more, err
}
