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

// patience is how many units of work are done, without a word that it takes,
// for a client that has closed its side only: it has sent all that it wants, as
// a script does, and may wait for the answers. About a second.
const patience = 10 << 20

// step notes units of work of a command, and looks every so often whether it
// should go on: not when the session's context has ended (the server stops, the
// log-in is not good any more), nor when the client is gone. Every loop over
// messages, folders, keys, or octets of files calls it.
func (c *conn) step(units int) error {
	if c.steps += units; c.steps < c.lookEvery {
		return nil
	}
	c.unheard += c.steps
	c.steps = 0
	if err := c.ctx.Err(); err != nil {
		return err
	}
	if closed, half := c.closed(); closed || half && c.unheard > c.patience {
		c.rerr = errGone
		return errGone
	}
	return nil
}

func (s *session) step(units int) error { return s.c.step(units) }

// closed looks, without a wait, whether the client has closed the connection, or
// half of it, also when there is something from it that was not read yet. Both
// are false when that cannot be known.
func (c *conn) closed() (whole, half bool) {
	sc, ok := c.link.Socket().(syscall.Conn)
	if !ok {
		return false, false
	}
	raw, err := sc.SyscallConn()
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
