package wire

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// lastWords is how long what is being written to a peer that was cut may still take.
// It is no parameter: a peer that was cut has nothing more to expect.
const lastWords = time.Second

// Link is a connection whose waits have a deadline and can be ended by other
// goroutines. Read and Write belong to the goroutine that serves it; Poke and
// Cut may be called by any, at any time.
//
// There are two ways to end a wait. Poke makes the present Read ask its
// question again: whoever wants the wait to end sets a flag that the question
// looks at, and pokes. Cut ends the connection: reads fail with ErrCut from
// then on, and writes have a second left for the last words. The order of
// arming a deadline and looking at the flags makes sure that neither is missed.
type Link struct {
	nc net.Conn
	// base is the socket below TLS: Poke and Cut may meet an Upgrade, and a
	// deadline there holds for TLS on top of it too.
	base net.Conn
	// until is the end of the last words, in nanoseconds since 1970, 0 for
	// one that is not cut.
	until atomic.Int64
}

// NewLink serves nc, which may be a *tls.Conn.
func NewLink(nc net.Conn) *Link {
	l := &Link{nc: nc, base: nc}
	if t, ok := nc.(*tls.Conn); ok {
		l.base = t.NetConn()
	}
	return l
}

// NetConn is the connection below: the TLS layer after Upgrade.
func (l *Link) NetConn() net.Conn { return l.nc }

// Socket is the connection below TLS.
func (l *Link) Socket() net.Conn { return l.base }

// Upgrade continues on nc, a TLS connection on top of the present one.
func (l *Link) Upgrade(nc net.Conn) { l.nc = nc }

// Poke makes the present Read, or the next, ask its question.
func (l *Link) Poke() {
	// An error here is one of a closed connection, which the reader meets too.
	_ = l.base.SetReadDeadline(time.Unix(1, 0))
}

// Cut ends the connection's use. It does not close it.
func (l *Link) Cut() {
	end := time.Now().Add(lastWords)
	l.until.CompareAndSwap(0, end.UnixNano())
	l.Poke()
	_ = l.base.SetWriteDeadline(end) // as in Poke
}

// Read reads once. It waits until the time given, without limit for the zero
// Time, and then returns os.ErrDeadlineExceeded. ended is asked before each
// wait, that is at the start and after each Poke; an error of it ends Read and
// is returned. ended may be nil. ErrCut: the link was cut.
func (l *Link) Read(p []byte, until time.Time, ended func() error) (int, error) {
	for {
		if err := l.nc.SetReadDeadline(until); err != nil {
			return 0, err
		}
		if l.until.Load() != 0 {
			return 0, ErrCut
		}
		if ended != nil {
			if err := ended(); err != nil {
				return 0, err
			}
		}
		n, err := l.nc.Read(p)
		if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) && (until.IsZero() || time.Now().Before(until)) {
			continue // it was a Poke, not the peer's time
		}
		return n, err
	}
}

// waiting says that the socket has octets that nobody has read; with TLS they
// are those of its records.
func (l *Link) waiting() bool {
	socket, ok := l.base.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	some := false
	var octet [1]byte
	err = raw.Control(func(fd uintptr) {
		n, _, err := unix.Recvfrom(int(fd), octet[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		some = err == nil && n > 0
	})
	return err == nil && some
}

// Closed looks, without a wait, whether the peer has closed the connection or,
// half, its own side of it, also when there is something from it that was not
// read yet. Both are false when that cannot be known.
func (l *Link) Closed() (whole, half bool) {
	socket, ok := l.base.(syscall.Conn)
	if !ok {
		return false, false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return false, false
	}
	var events int16
	err = raw.Control(func(fd uintptr) {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		if n, err := unix.Poll(p, 0); err == nil && n > 0 {
			events = p[0].Revents
		}
	})
	if err != nil {
		return false, false
	}
	return events&(unix.POLLHUP|unix.POLLERR) != 0, events&unix.POLLRDHUP != 0
}

// Write writes p within the time given; zero is no limit.
func (l *Link) Write(p []byte, timeout time.Duration) (int, error) {
	end := time.Time{}
	if timeout > 0 {
		end = time.Now().Add(timeout)
	}
	if err := l.nc.SetWriteDeadline(end); err != nil {
		return 0, err
	}
	if last := l.until.Load(); last != 0 {
		if err := l.nc.SetWriteDeadline(time.Unix(0, last)); err != nil {
			return 0, err
		}
	}
	return l.nc.Write(p)
}
