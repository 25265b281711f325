package wire

import (
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"
	"time"
)

// Conn is a connection of a line protocol. In and Out belong to the one
// goroutine that serves it; Interrupt, Stress and Cut may be called by others.
type Conn struct {
	In  *Reader
	Out *Writer
	// ReadTimeout bounds the waits for a whole request together, as Postfix's
	// smtpd_timeout with smtpd_per_request_deadline: a line that comes octet by
	// octet has no more time than one that comes at once. WriteTimeout bounds
	// each single write. Zero is no limit. They may be changed between calls.
	ReadTimeout  time.Duration
	WriteTimeout time.Duration
	// MinRate is how many octets of content a second buy more time, so that a
	// large message may take its time as long as it flows (Postfix
	// smtpd_min_data_rate). Zero gives content ReadTimeout for each read.
	MinRate int64
	// StressTimeout takes the place of a longer ReadTimeout while Stress says
	// so. Zero is none.
	StressTimeout time.Duration
	// ReadUntil, asked for each wait, ends all reads, however often the peer
	// sends an octet: the limit of the time before log-in. nil and the zero
	// Time are no limit.
	ReadUntil func() time.Time

	link        *Link
	left        time.Duration // of the present request
	content     bool          // the request is content
	polling     bool          // do not wait
	idle        bool          // waiting for a command
	interrupted atomic.Bool
	stressed    atomic.Bool
	rearm       atomic.Bool
}

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

// ReadCommand is In.ReadLine for a server between two commands: Interrupt ends
// the wait with ErrInterrupted. A command that has arrived is still returned.
func (c *Conn) ReadCommand() ([]byte, error) {
	c.idle = true
	line, err := c.ReadLine()
	c.idle = false
	return line, err
}

// ReadLine is In.ReadLine with the time of a request of its own.
func (c *Conn) ReadLine() ([]byte, error) {
	c.left, c.content = c.ReadTimeout, false
	return c.In.ReadLine()
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

// Stress begins or ends the use of StressTimeout, for a present wait too, which
// also asks ReadUntil again.
func (c *Conn) Stress(on bool) {
	c.stressed.Store(on)
	if on {
		c.rearm.Store(true)
		c.link.Poke()
	}
}

// Interrupt ends the present or next wait of ReadCommand. Reads of content are
// not disturbed.
func (c *Conn) Interrupt() {
	c.interrupted.Store(true)
	c.link.Poke()
}

// Cut ends every read, of commands and of content, with ErrCut, and gives
// writes a second for the last words; see Link.
func (c *Conn) Cut() { c.link.Cut() }

// Release gives borrowed memory back when the connection is over. It does not
// flush or close.
func (c *Conn) Release() {
	c.In.Close()
	c.Out.release()
}

// ended is the question of Link.Read.
func (c *Conn) ended() error {
	switch {
	case c.idle && c.interrupted.Load():
		return ErrInterrupted
	case c.rearm.Load() && c.rearm.Swap(false):
		return errRearm
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
	if c.ReadTimeout == 0 || c.content && c.MinRate == 0 {
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
	if c.ReadTimeout > 0 {
		until = now.Add(c.left)
	}
	if c.ReadUntil != nil {
		if end := c.ReadUntil(); !end.IsZero() && (until.IsZero() || end.Before(until)) {
			until = end
		}
	}
	return until
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

func (s sink) Write(p []byte) (int, error) { return s.c.link.Write(p, s.c.WriteTimeout) }
