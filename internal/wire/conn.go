package wire

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// Conn is a connection of a line protocol. In and Out belong to the one
// goroutine that serves it; Interrupt, Wake, Stress and Cut may be called by
// others.
type Conn struct {
	In  *Reader
	Out *Writer
	// ReadTimeout bounds the waits for a whole request together, as Postfix's
	// smtpd_timeout with smtpd_per_request_deadline: a line that comes octet by
	// octet has no more time than one that comes at once. With EachRead it bounds
	// each wait. WriteTimeout bounds each single write. Zero is no limit. They may
	// be changed between calls.
	ReadTimeout  time.Duration
	WriteTimeout time.Duration
	EachRead     bool
	// IdleTimeout is how long ReadCommand waits for the first octets of a command,
	// after which that has ReadTimeout, and Interrupt does not end it any more.
	// Zero makes no difference between the two.
	IdleTimeout time.Duration
	// MinRate is how many octets of content a second buy more time, so that a
	// large message may take its time as long as it flows (Postfix
	// smtpd_min_data_rate). Zero gives content ReadTimeout for each read.
	MinRate int64
	// StressTimeout takes the place of a longer ReadTimeout while Stress says
	// so. Zero is none.
	StressTimeout time.Duration

	link           *Link
	left           time.Duration // of the present request
	content        bool          // the request is content
	polling        bool          // do not wait
	state          waiting
	idleLeft       time.Duration // of ReadIdle: for each wait
	until          time.Time     // see Limit
	limited        bool
	err            error // first of a read that is the connection's
	received, sent int64

	interrupted atomic.Bool
	woken       atomic.Bool
	stressed    atomic.Bool
	rearm       atomic.Bool
	// stressLimit is set before the first Stress. hurry is the end of all reads
	// under stress, in nanoseconds since 1970; 0 is none.
	stressLimit time.Duration
	hurry       atomic.Int64
}

// waiting is what a wait is for.
type waiting uint8

const (
	forMore    waiting = iota // of something that began
	forCommand                // ReadCommand
	forNews                   // ReadIdle
)

// NewConn serves nc. pool may be nil.
func NewConn(nc net.Conn, pool *Pool) *Conn {
	c := &Conn{link: NewLink(nc)}
	c.In = NewReader(source{c}, pool)
	c.Out = NewWriter(sink{c}, pool)
	return c
}

// NetConn is the connection below.
func (c *Conn) NetConn() net.Conn { return c.link.NetConn() }

// Upgrade continues on nc, a TLS connection on top of the present one. What
// is buffered in either direction is dropped: flush before.
func (c *Conn) Upgrade(nc net.Conn) {
	c.link.Upgrade(nc)
	c.In.Reset(source{c})
	c.Out.Reset(sink{c})
}

// Limit ends all reads at a time, however often the peer sends an octet, until
// Unlimit: the limit of the time before log-in. The zero Time is none. While
// Stress says so they end that long after stress began, if that is sooner; zero
// changes nothing. It must be called before Stress may be.
func (c *Conn) Limit(until time.Time, stress time.Duration) {
	c.until, c.limited, c.stressLimit = until, true, stress
}

// Unlimit ends Limit.
func (c *Conn) Unlimit() { c.limited = false }

// ReadCommand is In.ReadLine for a server between two commands: Interrupt ends
// the wait with ErrInterrupted. A command that has arrived is still returned.
func (c *Conn) ReadCommand() ([]byte, error) { return c.readLine(forCommand) }

// ReadLine is In.ReadLine with the time of a request of its own.
func (c *Conn) ReadLine() ([]byte, error) { return c.readLine(forMore) }

// ReadIdle is ReadCommand for a client that waits for news, as in IMAP's IDLE:
// Wake ends it with ErrWoken, and each wait is as long as timeout, after which
// the connection is as good as before (os.ErrDeadlineExceeded). What has come
// of a line is kept.
func (c *Conn) ReadIdle(timeout time.Duration) ([]byte, error) {
	c.idleLeft = timeout
	return c.readLine(forNews)
}

func (c *Conn) readLine(what waiting) ([]byte, error) {
	c.state, c.left, c.content = what, c.ReadTimeout, false
	line, err := c.In.ReadLine()
	c.state = forMore
	if c.err == nil && (err == ErrEndless || err == ErrNotText) {
		c.err = err
	}
	return line, err
}

// BeginContent says that what is read next is content of a message, until the
// next ReadCommand or ReadLine.
func (c *Conn) BeginContent() { c.left, c.content = c.ReadTimeout, true }

// Early says that the peer has sent something that nobody has read: before its
// time, when it should wait for what is about to be written.
func (c *Conn) Early() bool {
	if c.In.Buffered() > 0 || c.link.waiting() {
		return true
	}
	if _, ok := c.link.NetConn().(*tls.Conn); !ok {
		return false
	}
	// A whole record may lie in the TLS layer. A read that must not wait
	// finds it and asks the socket for nothing.
	c.polling = true
	_ = c.In.fill() // the end of the connection comes up at the next read
	c.polling = false
	return c.In.Buffered() > 0
}

// Waiting is Early, with what has arrived as far as it can be seen, which is valid until the
// next read. It does not wait.
func (c *Conn) Waiting() (rest []byte, some bool) {
	some = c.Early()
	if some && c.In.Buffered() == 0 && c.link.waiting() {
		if _, ok := c.link.NetConn().(*tls.Conn); !ok {
			_ = c.In.fill() // there is something; an error comes up at the next read
		}
	}
	return c.In.buf[c.In.pos:c.In.end], some
}

// Stress begins or ends the use of StressTimeout and of Limit's time under
// stress, for a present wait too.
func (c *Conn) Stress(on bool) {
	hurry := int64(0)
	if on && c.stressLimit > 0 {
		hurry = time.Now().Add(c.stressLimit).UnixNano()
	}
	c.hurry.Store(hurry)
	c.stressed.Store(on)
	if on {
		c.rearm.Store(true)
		c.link.Poke()
	}
}

// Interrupt ends the present or next wait of ReadCommand and ReadIdle. Reads of
// content are not disturbed.
func (c *Conn) Interrupt() {
	c.interrupted.Store(true)
	c.link.Poke()
}

// Wake ends the present or next wait of ReadIdle.
func (c *Conn) Wake() {
	c.woken.Store(true)
	c.link.Poke()
}

// Cut ends every read, of commands and of content, with ErrCut, and gives
// writes a second for the last words; see Link.
func (c *Conn) Cut() { c.link.Cut() }

// Err is the first error that the connection had, in either direction, or that
// Fail gave it: it is of no more use then, but the last words may still be
// written after one of reading. Ends of a wait that others decided are none.
func (c *Conn) Err() error {
	if c.err != nil {
		return c.err
	}
	return c.Out.err
}

// Fail gives the connection an error that the caller found.
func (c *Conn) Fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

// Closed is Link.Closed.
func (c *Conn) Closed() (whole, half bool) { return c.link.Closed() }

// Received and Sent are the octets so far.
func (c *Conn) Received() int64 { return c.received }

// Sent is told with Received.
func (c *Conn) Sent() int64 { return c.sent }

// ReturnBuffers gives borrowed memory back when the connection is over. It does not
// flush or close.
func (c *Conn) ReturnBuffers() {
	c.In.Close()
	c.Out.returnBuffer()
}

// ended is the question of Link.Read.
func (c *Conn) ended() error {
	switch {
	case c.state != forMore && c.interrupted.Load():
		return ErrInterrupted
	case c.rearm.Load() && c.rearm.Swap(false):
		return errRearm
	case c.state == forNews && c.woken.Swap(false):
		return ErrWoken
	}
	return nil
}

// errRearm makes a wait begin again with another deadline.
var errRearm = errors.New("deadline changed")

// source flushes what waits and reads.
type source struct{ c *Conn }

func (s source) Read(p []byte) (int, error) {
	c := s.c
	if c.polling {
		return c.link.Read(p, time.Unix(1, 0), nil)
	}
	if err := c.Out.Flush(); err != nil {
		return 0, err
	}
	n, err := c.read(p)
	c.received += int64(n)
	switch {
	case n > 0 && c.state == forCommand && c.IdleTimeout > 0:
		c.state = forMore // the command has begun
	case c.err != nil || err == nil || err == ErrInterrupted || err == ErrWoken:
	case c.state == forNews && errors.Is(err, os.ErrDeadlineExceeded):
	default:
		c.err = err
	}
	return n, err
}

// read reads once within the time that there is.
func (c *Conn) read(p []byte) (int, error) {
	if c.ReadTimeout == 0 || c.EachRead || c.content && c.MinRate == 0 {
		c.left = c.ReadTimeout
	}
	for {
		c.shorten()
		begun := time.Now()
		n, err := c.link.Read(p, c.deadline(begun), c.ended)
		if c.ReadTimeout > 0 {
			c.spend(time.Since(begun), n)
		}
		if err != errRearm {
			return n, err
		}
	}
}

// shorten applies StressTimeout to what is left of the request's time.
func (c *Conn) shorten() {
	if c.StressTimeout > 0 && c.ReadTimeout > 0 && c.stressed.Load() {
		c.left = min(c.left, c.StressTimeout)
	}
}

// deadline is the end of a wait that begins now.
func (c *Conn) deadline(now time.Time) time.Time {
	until := time.Time{}
	switch {
	case c.state == forNews:
		until = now.Add(c.idleLeft)
	case c.state == forCommand && c.IdleTimeout > 0:
		until = now.Add(c.IdleTimeout)
	case c.ReadTimeout > 0:
		until = now.Add(c.left)
	}
	if !c.limited {
		return until
	}
	until = sooner(until, c.until)
	if hurry := c.hurry.Load(); hurry != 0 {
		until = sooner(until, time.Unix(0, hurry))
	}
	return until
}

// sooner is the first of two times, of which the zero Time is never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// spend takes the time of a wait from the request's, and gives it what n octets
// of content have earned.
func (c *Conn) spend(waited time.Duration, n int) {
	c.left -= waited
	if c.content && c.MinRate > 0 {
		c.left = min(c.left+time.Duration(n)*time.Second/time.Duration(c.MinRate), c.ReadTimeout)
	}
}

// sink writes.
type sink struct{ c *Conn }

func (s sink) Write(p []byte) (int, error) {
	n, err := s.c.link.Write(p, s.c.WriteTimeout)
	s.c.sent += int64(n)
	return n, err
}
