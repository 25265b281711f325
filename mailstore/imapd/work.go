package imapd

import "errors"

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
	if c.Sent() != c.told {
		c.told, c.unheard = c.Sent(), 0
	}
	c.unheard += c.steps
	c.steps = 0
	if err := c.ctx.Err(); err != nil {
		return err
	}
	if closed, half := c.Closed(); closed || half && c.unheard > c.patience {
		c.Fail(errGone)
		return errGone
	}
	return nil
}
