package imapd

import (
	"context"
	"errors"

	"toastmaster/internal/wire"
)

// errDraining: the server stops, in the middle of a command.
var errDraining = errors.New("server is shutting down")

// conn is the connection, and the work that is done for who is at its other end.
// It belongs to the session's goroutine.
type conn struct {
	*wire.Conn
	blocks *wire.Pool
	// ctx is the session's; steps is work done since the last look at it, of
	// which there is one after each lookEvery; unheard is work since the last
	// write, told is what was written until then.
	ctx               context.Context
	steps, lookEvery  int
	unheard, patience int
	told              int64
}

func newConn(c *wire.Conn, blocks *wire.Pool) *conn {
	return &conn{Conn: c, blocks: blocks, ctx: context.Background(), lookEvery: lookEvery, patience: patience}
}

// lost says that the connection failed, and not what was asked of it.
func (c *conn) lost() bool { return c.Err() != nil }

// buf lends what a response is appended to; put takes it.
func (c *conn) buf() []byte { return c.Out.Room() }

// put writes what was appended to buf. An error of the writer sticks and is found
// by the next flush.
func (c *conn) put(response []byte) { _, _ = c.Out.Write(response) }

// writeString writes text.
func (c *conn) writeString(s string) { _, _ = c.Out.WriteString(s) }
