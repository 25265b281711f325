package smtpserver

import (
	"cmp"

	"toastmaster/internal/dsn"
	"toastmaster/internal/wire"
)

// data is DATA (RFC 5321 section 4.1.1.4).
func data(c *Conn, arg string) *dsn.Error {
	if arg != "" {
		return c.syntax()
	}
	if e := c.prepare(); e != nil {
		return e
	}
	c.text(354, "End data with <CR><LF>.<CR><LF>")
	c.w.BeginContent()
	content := c.w.In.Content(c.bare)
	b := &body{src: content, limit: c.srv.MaxMessageBytes}
	got, e := c.session.Data(c.ctx, b)
	if b.lost == nil {
		b.lost = content.Drain()
	}
	if b.lost != nil {
		c.reset()
		c.lost(b.lost, " in DATA")
		return nil
	}
	c.finish(b, got, e, c.outcomes())
	return nil
}

// prepare is what DATA and BDAT ask for. A pipelining client sends them without
// having read that every recipient was refused.
func (c *Conn) prepare() *dsn.Error {
	switch {
	case !c.tx.mail:
		return errNeedMail()
	case len(c.tx.rcpts) == 0 && c.tx.refused > 0 && !c.srv.LMTP: // RFC 2033 section 4.2 wants 503
		return dsn.New(dsn.InvalidCommand, "No valid recipients").WithCode(554)
	case len(c.tx.rcpts) == 0:
		return dsn.New(dsn.InvalidCommand, "Need RCPT command")
	}
	if s, ok := c.session.(Preparer); ok {
		if e := s.Prepare(c.ctx); e != nil {
			c.rejected("data", "", e)
			return e
		}
	}
	return nil
}

func errNeedMail() *dsn.Error { return dsn.New(dsn.InvalidCommand, "Need MAIL command") }

// outcomes is how many replies the end of a message has: LMTP answers for each
// recipient (RFC 2033 section 4.2).
func (c *Conn) outcomes() int {
	if c.srv.LMTP {
		return len(c.tx.rcpts)
	}
	return 1
}

// finish answers the end of a message and ends the transaction. A message that is
// accepted wipes out the errors before it.
func (c *Conn) finish(b *body, got Accepted, refused *dsn.Error, outcomes int) {
	accepted := false
	for i := range outcomes {
		e := refused
		if e == nil && c.srv.LMTP && i < len(got.Each) {
			e = got.Each[i]
		}
		if e == nil {
			accepted = true
			c.ok(dsn.OK, cmp.Or(got.Text, "Ok"))
			continue
		}
		if b.refusal != nil {
			e = b.refusal // the session only passes on what it got from us
		}
		c.messageRefused = true
		c.rejected("data", c.recipientAt(i), e)
		c.replyError(e)
		c.hangUp(e)
	}
	if accepted {
		c.errors, c.junk = 0, 0
	}
	c.reset()
}

// recipientAt names the recipient of an answer; "" when it is for all.
func (c *Conn) recipientAt(i int) string {
	if c.srv.LMTP && i < len(c.tx.rcpts) {
		return c.tx.rcpts[i].String()
	}
	return ""
}

var _ pieces = (*wire.Content)(nil)
