package wire

import (
	"bytes"
	"io"
)

// DefaultMaxLine is the limit of a command line in octets without its line
// end (Postfix line_length_limit).
const DefaultMaxLine = 2048

// DefaultMaxSkipped is far above what a client sends in one line by mistake.
const DefaultMaxSkipped = 1 << 20

// Reader reads lines and content from a source. It belongs to one goroutine.
type Reader struct {
	// MaxLine limits a line in octets without its line end; it may be changed
	// between lines. NewReader sets DefaultMaxLine.
	MaxLine int
	// MaxSkipped is how many octets of a line that is too long are dropped
	// before the reader gives up with ErrEndless: a deadline is for one read, so
	// that a peer could send one line for ever. NewReader sets DefaultMaxSkipped.
	MaxSkipped int64
	// Bare is the policy for lines. For content it is given to Content.
	Bare Policy
	// Text refuses a line that begins with a control character, as the first
	// octets of TLS do, with ErrNotText and without waiting for its end. The
	// reader is of no more use then.
	Text bool

	src  io.Reader
	pool *Pool
	buf  []byte
	pos  int // unread octets are buf[pos:end]
	end  int
	// idle is the small buffer, kept while block is borrowed from the pool.
	idle  []byte
	block *[]byte
	// over is made for the first line that is too long.
	over *overlong
}

// NewReader reads from src. pool may be nil.
func NewReader(src io.Reader, pool *Pool) *Reader {
	r := &Reader{MaxLine: DefaultMaxLine, MaxSkipped: DefaultMaxSkipped, src: src, pool: pool}
	r.buf = make([]byte, idleSize)
	r.pos, r.end = headroom, headroom
	return r
}

// Reset continues with another source and forgets what is buffered: after
// STARTTLS, plaintext that was sent along must never be read (RFC 3207
// section 6).
func (r *Reader) Reset(src io.Reader) {
	r.Close()
	r.src, r.over = src, nil
	r.pos, r.end = headroom, headroom
}

// Buffered is the number of octets that can be read without waiting.
func (r *Reader) Buffered() int { return r.end - r.pos }

// Close gives borrowed memory back. The reader can be used again.
func (r *Reader) Close() {
	if r.block == nil {
		return
	}
	r.pool.Put(r.block)
	r.block = nil
	r.buf, r.idle = r.idle, nil
	r.pos, r.end = headroom, headroom
}

// ReadLine reads one line without its line end. The slice is valid until the
// next call on the reader.
//
// ErrTooLong: the line was longer than MaxLine and is gone but for its ends, see
// Overlong. ErrEndless: so much longer (MaxSkipped) that its end was not waited
// for; the reader is of no more use then. ErrBareLF, ErrBareCR: policy Reject; the line is returned for
// the log. Under Normalize and Allow a line may end in a bare LF and hold bare
// CRs. ErrNotText: see Text. io.EOF: the source ended before the line began;
// io.ErrUnexpectedEOF: inside of it.
func (r *Reader) ReadLine() ([]byte, error) {
	r.shrink()
	if r.over != nil && r.over.open {
		return nil, r.skipLine() // an error ended the wait for its end
	}
	for scanned := 0; ; {
		unread := r.buf[r.pos:r.end]
		if r.Text && len(unread) > 0 && unread[0] < ' ' && bytes.IndexByte([]byte("\t\r\n"), unread[0]) < 0 {
			return nil, ErrNotText
		}
		if i := bytes.IndexByte(unread[scanned:], '\n'); i >= 0 {
			line := unread[:scanned+i]
			r.pos += scanned + i + 1
			return r.checkLine(line)
		}
		scanned = len(unread)
		if scanned > r.MaxLine+1 { // a CR may be the last of them
			r.overlong().begin(unread)
			return nil, r.skipLine()
		}
		if err := r.fill(); err != nil {
			return nil, atEnd(err, scanned > 0)
		}
	}
}

func (r *Reader) checkLine(line []byte) ([]byte, error) {
	line, crlf := bytes.CutSuffix(line, []byte{'\r'})
	switch {
	case len(line) > r.MaxLine:
		r.overlong().whole(line)
		return nil, ErrTooLong
	case r.Bare != Reject:
		return line, nil
	case !crlf:
		return line, ErrBareLF
	case bytes.IndexByte(line, '\r') >= 0:
		return line, ErrBareCR
	}
	return line, nil
}

// atEnd turns the end of the source inside of something into an error that
// says so.
func atEnd(err error, inside bool) error {
	if err == io.EOF && inside {
		return io.ErrUnexpectedEOF
	}
	return err
}

// fill reads once from the source into the buffer, which it first moves or
// grows when there is no room. It grows only for lines: content is consumed
// as it comes.
func (r *Reader) fill() error {
	switch {
	case r.pos == r.end:
		r.pos, r.end = headroom, headroom
	case r.end == len(r.buf) && r.pos > headroom:
		r.end = headroom + copy(r.buf[headroom:], r.buf[r.pos:r.end])
		r.pos = headroom
	case r.end == len(r.buf):
		grown := make([]byte, 2*len(r.buf))
		copy(grown, r.buf[:r.end])
		r.replace(grown)
	}
	for range 100 {
		n, err := r.src.Read(r.buf[r.end:])
		r.end += n
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// replace swaps the buffer for one of our own, and gives a block back.
func (r *Reader) replace(buf []byte) {
	if r.block != nil {
		r.pool.Put(r.block)
		r.block, r.idle = nil, nil
	}
	r.buf = buf
}

// enlarge borrows a block while content flows.
func (r *Reader) enlarge() {
	if r.block != nil || len(r.buf) >= BlockSize {
		return
	}
	r.block = r.pool.Get()
	r.idle = r.buf
	n := copy((*r.block)[headroom:], r.buf[r.pos:r.end])
	r.buf, r.pos, r.end = *r.block, headroom, headroom+n
}

// shrink returns to the small buffer as soon as what is unread fits into it,
// so that a client that waits between messages costs little.
func (r *Reader) shrink() {
	if len(r.buf) == idleSize || r.Buffered() > idleSize/2 {
		return
	}
	small := r.idle
	if small == nil {
		small = make([]byte, idleSize)
	}
	n := copy(small[headroom:], r.buf[r.pos:r.end])
	if r.block != nil {
		r.pool.Put(r.block)
		r.block, r.idle = nil, nil
	}
	r.buf, r.pos, r.end = small, headroom, headroom+n
}

// next returns up to limit unread octets as one consumed slice, waiting for
// some when there are none. It may be changed in place and is valid until the
// next call.
func (r *Reader) next(limit int64) ([]byte, error) {
	if r.pos == r.end {
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
	n := int(min(int64(r.end-r.pos), limit))
	p := r.buf[r.pos : r.pos+n]
	r.pos += n
	return p, nil
}
