package imapd

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

var errGone = errors.New("client is gone")

// lookEvery is after how many units of work a command looks whether anybody
// waits for it; a unit is about 100 ns.
const lookEvery = 1 << 13

// step notes units of work of a command, and looks every so often whether it
// should go on: not when the session's context has ended (the server stops, the
// log-in is not good any more), nor when the client is gone. Every loop over
// messages, folders, keys, or octets of files calls it.
func (c *conn) step(units int) error {
	if c.steps += units; c.steps < c.lookEvery {
		return nil
	}
	c.steps = 0
	if err := c.ctx.Err(); err != nil {
		return err
	}
	if c.gone() {
		c.rerr = errGone
		return errGone
	}
	return nil
}

func (s *session) step(units int) error { return s.c.step(units) }

// gone looks, without a wait, whether the client has closed the connection,
// also when there is something from it that was not read yet. It is false when
// that cannot be known.
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
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(p, 0)
		closed = err == nil && n > 0 && p[0].Revents&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0
	})
	return err == nil && closed
}
