package imapd

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

var errGone = errors.New("client is gone")

// gone looks, without a wait, whether the client has closed the connection:
// long work for nobody is stopped. It is false when that cannot be known.
func (c *conn) gone() bool {
	sc, ok := c.link.Socket().(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	closed := false
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		closed = (n == 0 && err == nil) || errors.Is(err, unix.ECONNRESET)
	})
	return err == nil && closed
}
