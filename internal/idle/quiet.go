package idle

import (
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// Quiet says that the other end of a connection has neither gone nor said anything that nobody has read, as far as the kernel knows: what is
// asked over it gets its own answer. It waits for nothing and reads nothing. Of TLS it sees the records below; what the library has read
// already it does not. A connection that is no socket is taken for quiet.
func Quiet(c net.Conn) bool {
	s, ok := c.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return false
	}
	quiet := false
	err = raw.Control(func(fd uintptr) {
		_, _, err := unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
		quiet = errors.Is(err, unix.EAGAIN)
	})
	return quiet && err == nil
}
