package envelope

import (
	"bytes"
	"io"
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
