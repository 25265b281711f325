package wire

import (
	"crypto/tls"
	"io"
	"time"
)

// How long, and how many octets, Linger waits for a peer to stop sending.
// A client that has read the last words closes within a round trip; the time is
// for one that is slow, the octets for one that sends without reading. Both are
// small beside what a session may cost anyway, and no parameters: nobody needs
// others.
const (
	lingerTime   = 2 * time.Second
	lingerOctets = 16 << 20
)

// Linger lets the last words arrive at a peer that still sends. A socket closed
// with octets in it that nobody has read answers with a reset, and the peer
// loses what it has not read yet. So the writing side is closed, and what comes
// is dropped until the peer closes too, at most lingerOctets of it and for
// lingerTime. What was written must be flushed. Whoever serves the connection
// closes it afterwards; nothing else may be done with it.
//
// It is for sessions that end because of what the peer sends. One that ends
// while the peer is quiet needs none.
func (l *Link) Linger() {
	socket, ok := l.base.(halfCloser)
	if !ok {
		return
	}
	// What fails below is a connection that is over, which is what is wanted.
	if err := l.base.SetDeadline(time.Now().Add(lingerTime)); err != nil {
		return
	}
	if t, ok := l.nc.(*tls.Conn); ok {
		_ = t.CloseWrite() // close_notify
	}
	if err := socket.CloseWrite(); err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(l.base, lingerOctets))
}

// halfCloser is a TCP or unix socket.
type halfCloser interface{ CloseWrite() error }

// Linger flushes and lingers; see Link.Linger.
func (c *Conn) Linger() {
	if c.Out.Flush() == nil {
		c.link.Linger()
	}
}
