package imapd

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"

	"toastmaster/internal/wire"
)

const (
	// idleBuffer is what a connection holds while it waits.
	idleBuffer = 4 << 10
	// blockSize is a borrowed buffer, and how much output is gathered before a
	// write.
	blockSize = 32 << 10
	// tailSize is how much is kept of a line that is too long: enough to see
	// the literal it may end with.
	tailSize = 32
)

// The ends of a wait that are not the connection's.
var (
	errLineTooLong = errors.New("command line too long")
	// errDraining: the server stops.
	errDraining = errors.New("server is shutting down")
	// errWoken: news for a client in IDLE.
	errWoken = errors.New("mailbox changed")
	// errAgain: the deadline is another now.
	errAgain = errors.New("deadline changed")
	// errDiscard and errNotText: what the client sends is not worth reading.
	errDiscard = errors.New("too much to discard")
	errNotText = errors.New("no text")
)

// conn reads lines and literals and gathers output. It belongs to the
// session's goroutine, except drain, wake and cut.
//
// It is not internal/wire's Conn: a line of IMAP may end in a literal, and the
// end of a line that is too long must be seen, or the literal behind it would
// be taken for commands. The waits are those of wire.Link.
type conn struct {
	link *wire.Link
	// ctx is the session's; steps is work done since the last look at it, of
	// which there is one after each lookEvery; unheard is work since the last
	// write.
	ctx               context.Context
	steps, lookEvery  int
	unheard, patience int

	blocks  *blockPool
	maxLine int
	// maxDiscard is how much of refused literals, or of a line that is too
	// long, is read and dropped for one command; more is errDiscard.
	maxDiscard int64
	// plain: nobody has logged in. What cannot be a command, like the first
	// octets of TLS, is errNotText and not waited for to its end.
	plain bool

	writeTimeout time.Duration
	// deadline gives the end of the next wait; the zero time is none.
	deadline func() time.Time

	in       []byte // unread octets are in[pos:end]
	pos, end int
	idle     []byte  // the small buffer, while block is borrowed
	block    *[]byte // what in is, when it is borrowed
	tail     [tailSize]byte
	head     []byte // the start of the last line that was too long, see tooLong

	out      []byte
	outBlock *[]byte
	rerr     error // first error of a read that is the connection's
	werr     error // first error of a write
	sent     int64
	received int64

	waiting  bool // between commands
	idling   bool // in IDLE
	draining atomic.Bool
	woken    atomic.Bool
	again    atomic.Bool
}

func newConn(nc net.Conn, blocks *blockPool, maxLine int) *conn {
	return &conn{link: wire.NewLink(nc), ctx: context.Background(), lookEvery: lookEvery, patience: patience, blocks: blocks, maxLine: maxLine, in: make([]byte, idleBuffer)}
}

// upgrade continues on TLS. What was read ahead came in clear and is dropped
// (RFC 3501 section 6.2.1, CVE-2011-0411).
func (c *conn) upgrade(nc net.Conn) {
	c.link.Upgrade(nc)
	c.pos, c.end = 0, 0
}

// lost says that the connection failed, and not what was asked of it.
func (c *conn) lost() bool { return c.rerr != nil || c.werr != nil }

// release gives borrowed memory back.
func (c *conn) release() {
	c.shrink()
	c.releaseOut()
}

// drain ends the present or next wait for a command with errDraining.
func (c *conn) drain() {
	c.draining.Store(true)
	c.link.Poke()
}

// wake ends the present wait of IDLE with errWoken.
func (c *conn) wake() {
	c.woken.Store(true)
	c.link.Poke()
}

// askAgain makes the present wait ask for its deadline again.
func (c *conn) askAgain() {
	c.again.Store(true)
	c.link.Poke()
}

// ended says why a wait should end; it is the question of wire.Link.
func (c *conn) ended() error {
	if c.again.Load() && c.again.Swap(false) {
		return errAgain
	}
	if (c.waiting || c.idling) && c.draining.Load() {
		return errDraining
	}
	if c.idling && c.woken.Swap(false) {
		return errWoken
	}
	return nil
}

// fill reads once, after everything gathered is written: a pipelined batch of
// commands gets its answers with one write.
func (c *conn) fill() error {
	if err := c.flush(); err != nil {
		return err
	}
	c.makeRoom()
	n, err := c.read()
	c.end += n
	c.received += int64(n)
	switch {
	case n > 0:
		return nil
	case err == errDraining, err == errWoken:
		return err // not the connection's
	case err == nil:
		err = io.ErrNoProgress
	}
	c.rerr = err
	return err
}

// read reads once into the room behind what is unread.
func (c *conn) read() (int, error) {
	for {
		var until time.Time
		if c.deadline != nil {
			until = c.deadline()
		}
		n, err := c.link.Read(c.in[c.end:], until, c.ended)
		if err != errAgain {
			return n, err
		}
	}
}

// makeRoom moves what is unread to the front, and grows the buffer for a long
// line.
func (c *conn) makeRoom() {
	if c.pos == c.end {
		c.pos, c.end = 0, 0
	}
	if c.end < len(c.in) {
		return
	}
	if c.pos > 0 {
		c.end = copy(c.in, c.in[c.pos:c.end])
		c.pos = 0
		return
	}
	grown := make([]byte, 2*len(c.in))
	copy(grown, c.in[:c.end])
	if c.block != nil {
		c.blocks.put(c.block)
		c.block = nil
	}
	c.in = grown
}

// enlarge borrows a block while a large literal flows.
func (c *conn) enlarge() {
	if len(c.in) >= blockSize {
		return
	}
	c.block = c.blocks.get()
	n := copy(*c.block, c.in[c.pos:c.end])
	c.idle, c.in = c.in, *c.block
	c.pos, c.end = 0, n
}

// shrink returns to the small buffer as soon as what is unread fits.
func (c *conn) shrink() {
	if len(c.in) == idleBuffer || c.end-c.pos > idleBuffer/2 {
		return
	}
	small := c.idle
	if small == nil {
		small = make([]byte, idleBuffer)
	}
	n := copy(small, c.in[c.pos:c.end])
	if c.block != nil {
		c.blocks.put(c.block)
		c.block = nil
	}
	c.in, c.idle = small, nil
	c.pos, c.end = 0, n
}

// buffered is how much can be read without a wait.
func (c *conn) buffered() int { return c.end - c.pos }

// readLine reads a line without its line end, CR LF or, as everybody else
// allows, LF. The slice is valid until the next read. With errLineTooLong it
// is the end of the line, which is gone.
func (c *conn) readLine() ([]byte, error) {
	scanned := 0
	for {
		unread := c.in[c.pos:c.end]
		if c.plain && len(unread) > 0 && isControl(unread[0]) {
			c.rerr = errNotText
			return nil, errNotText
		}
		if i := bytes.IndexByte(unread[scanned:], '\n'); i >= 0 {
			line := unread[:scanned+i]
			c.pos += scanned + i + 1
			line = bytes.TrimSuffix(line, []byte{'\r'})
			if len(line) > c.maxLine {
				c.keepHead(line)
				return line[len(line)-tailSize:], errLineTooLong
			}
			return line, nil
		}
		scanned = len(unread)
		if scanned > c.maxLine {
			c.keepHead(unread)
			return c.skipLine()
		}
		if err := c.fill(); err != nil {
			return nil, err
		}
		c.waiting = false
	}
}

// isControl says that no line of text begins with b.
func isControl(b byte) bool { return b < ' ' && b != '\r' && b != '\n' && b != '\t' }

// skipLine drops the rest of a line and returns the end of it.
func (c *conn) skipLine() ([]byte, error) {
	kept := 0
	for dropped := int64(0); ; {
		if dropped += int64(c.end - c.pos); dropped > c.maxDiscard {
			c.rerr = errDiscard
			return nil, errDiscard
		}
		unread := c.in[c.pos:c.end]
		i := bytes.IndexByte(unread, '\n')
		piece := unread
		if i >= 0 {
			piece = unread[:i]
		}
		kept = c.keepTail(kept, piece)
		if i >= 0 {
			c.pos += i + 1
			tail := c.tail[:kept]
			if kept > 0 && tail[kept-1] == '\r' {
				tail = tail[:kept-1]
			}
			return tail, errLineTooLong
		}
		c.pos = c.end
		if err := c.fill(); err != nil {
			return nil, err
		}
	}
}

// keepHead keeps as much of a line that is too long as a tag may take.
func (c *conn) keepHead(line []byte) { c.head = append(c.head[:0], line[:maxTag+1]...) }

// keepTail appends piece to the kept octets of tail and keeps the last.
func (c *conn) keepTail(kept int, piece []byte) int {
	if len(piece) >= tailSize {
		return copy(c.tail[:], piece[len(piece)-tailSize:])
	}
	if drop := kept + len(piece) - tailSize; drop > 0 {
		kept = copy(c.tail[:], c.tail[drop:kept])
	}
	return kept + copy(c.tail[kept:], piece)
}

// next consumes up to limit octets, waiting for some when there are none. The
// slice is valid until the next read.
func (c *conn) next(limit int64) ([]byte, error) {
	if c.pos == c.end {
		if err := c.fill(); err != nil {
			return nil, err
		}
	}
	n := int(min(int64(c.end-c.pos), limit))
	p := c.in[c.pos : c.pos+n]
	c.pos += n
	return p, nil
}

// discard consumes n octets.
func (c *conn) discard(n int64) error {
	for n > 0 {
		p, err := c.next(n)
		if err != nil {
			return err
		}
		n -= int64(len(p))
	}
	return nil
}
