package wire

import (
	"net"
	"sync/atomic"
	"time"
)

// Conn is a connection of a line protocol. In and Out belong to the one
// goroutine that serves it; Interrupt and Cut may be called by others.
type Conn struct {
	In  *Reader
	Out *Writer
	// ReadTimeout and WriteTimeout bound each single read and write; zero is
	// no limit. They may be changed between calls.
	ReadTimeout  time.Duration
	WriteTimeout time.Duration
	// ReadUntil ends all reads, however often the peer sends an octet: the
	// limit of the time before log-in. The zero Time is no limit.
	ReadUntil time.Time

	link        *Link
	idle        bool // waiting for a command
	interrupted atomic.Bool
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
	line, err := c.In.ReadLine()
	c.idle = false
	return line, err
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
	if c.idle && c.interrupted.Load() {
		return ErrInterrupted
	}
	return nil
}

// source flushes what waits and reads.
type source struct{ c *Conn }

func (s source) Read(p []byte) (int, error) {
	c := s.c
	if err := c.Out.Flush(); err != nil {
		return 0, err
	}
	until := time.Time{}
	if c.ReadTimeout > 0 {
		until = time.Now().Add(c.ReadTimeout)
	}
	if !c.ReadUntil.IsZero() && (until.IsZero() || c.ReadUntil.Before(until)) {
		until = c.ReadUntil
	}
	return c.link.Read(p, until, c.ended)
}

// sink writes.
type sink struct{ c *Conn }

func (s sink) Write(p []byte) (int, error) { return s.c.link.Write(p, s.c.WriteTimeout) }
