package wire

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// Conn is a connection of a line protocol. In and Out belong to the one
// goroutine that serves it; Interrupt may be called by others.
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

	nc net.Conn
	// base is the first connection: Interrupt may meet an Upgrade, and a
	// deadline there holds for TLS on top of it too.
	base        net.Conn
	idle        bool // waiting for a command
	interrupted atomic.Bool
}

// NewConn serves nc. pool may be nil.
func NewConn(nc net.Conn, pool *Pool) *Conn {
	c := &Conn{nc: nc, base: nc}
	c.In = NewReader(source{c}, pool)
	c.Out = NewWriter(sink{c}, pool)
	return c
}

// NetConn is the connection below.
func (c *Conn) NetConn() net.Conn { return c.nc }

// Upgrade continues on nc, a TLS connection on top of the present one. What
// is buffered in either direction is dropped: flush before.
func (c *Conn) Upgrade(nc net.Conn) {
	c.nc = nc
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
	// An error here is one of a closed connection, which the reader meets too.
	_ = c.base.SetReadDeadline(time.Unix(1, 0))
}

// Release gives borrowed memory back when the connection is over. It does not
// flush or close.
func (c *Conn) Release() {
	c.In.Close()
	c.Out.release()
}

// source flushes what waits, arms the deadline and reads. The order of arming
// and looking at interrupted makes sure that Interrupt is never missed.
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
	for {
		if err := c.nc.SetReadDeadline(until); err != nil {
			return 0, err
		}
		if c.idle && c.interrupted.Load() {
			return 0, ErrInterrupted
		}
		n, err := c.nc.Read(p)
		if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) && c.interrupted.Load() &&
			(until.IsZero() || time.Now().Before(until)) {
			continue // it was Interrupt, not the peer's time
		}
		return n, err
	}
}

// sink arms the deadline and writes.
type sink struct{ c *Conn }

func (s sink) Write(p []byte) (int, error) {
	if s.c.WriteTimeout > 0 {
		if err := s.c.nc.SetWriteDeadline(time.Now().Add(s.c.WriteTimeout)); err != nil {
			return 0, err
		}
	}
	return s.c.nc.Write(p)
}
