package wire

import (
	"crypto/tls"
	"time"
)

// How long, and how many octets, Linger waits for a peer to stop sending.
// A client that has read the last words closes within a round trip; lingerPause is
// for one that is slow to, lingerTime for one whose line is slow and still full of
// what it sends, the octets for one that sends without reading. All are small
// beside what a session may cost anyway, and no parameters: nobody needs others.
const (
	lingerPause  = 2 * time.Second
	lingerTime   = 30 * time.Second
	lingerOctets = 16 << 20
)

// Linger lets the last words arrive at a peer that still sends. A socket closed
// with octets in it that nobody has read answers with a reset, and the peer
// loses what it has not read yet. So the writing side is closed, and what comes
// is dropped until the peer closes too or says nothing for lingerPause, at most
// lingerOctets of it and for lingerTime; Cut ends that, and a link that was cut
// before has lingerPause in all. What was written must be flushed. Whoever serves
// the connection closes it afterwards; nothing else may be done with it.
//
// It is for sessions that end because of what the peer sends. One that ends
// while the peer is quiet needs none.
func (l *Link) Linger() {
	socket, ok := l.base.(halfCloser)
	if !ok {
		return
	}
	cut := l.until.Load()
	end := time.Now().Add(lingerTime)
	if cut != 0 {
		end = time.Now().Add(lingerPause)
	}
	// What fails below is a connection that is over, which is what is wanted.
	if err := l.base.SetDeadline(time.Now().Add(lingerPause)); err != nil {
		return
	}
	if t, ok := l.nc.(*tls.Conn); ok {
		_ = t.CloseWrite() // close_notify
	}
	if err := socket.CloseWrite(); err != nil {
		return
	}
	block := make([]byte, 32<<10)
	for left := lingerOctets; left > 0 && time.Now().Before(end); {
		until := time.Now().Add(lingerPause)
		if until.After(end) {
			until = end
		}
		if err := l.base.SetReadDeadline(until); err != nil {
			return
		}
		if l.until.Load() != cut { // cut since: Cut's own deadline is gone
			return
		}
		n, err := l.base.Read(block)
		if err != nil {
			return
		}
		left -= n
	}
}

// halfCloser is a TCP or unix socket.
type halfCloser interface{ CloseWrite() error }

// Linger flushes and lingers; see Link.Linger.
func (c *Conn) Linger() {
	if c.Out.Flush() == nil {
		c.link.Linger()
	}
}
