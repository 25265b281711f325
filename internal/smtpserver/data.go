package smtpserver

import (
	"toastmaster/internal/dsn"
	"toastmaster/internal/wire"
)

// data is DATA (RFC 5321 section 4.1.1.4).
func data(c *Conn, arg string) *dsn.Error {
	if arg != "" {
		return dsn.New(dsn.InvalidArguments, "Syntax: DATA")
	}
	if e := c.needRecipients(); e != nil {
		return e
	}
	c.text(354, "End data with <CR><LF>.<CR><LF>")
	c.w.BeginContent()
	content := c.w.In.Content(c.bare)
	b := &body{src: content, limit: c.srv.MaxMessageBytes}
	results := c.hand(b)
	if b.lost == nil {
		b.lost = content.Drain()
	}
	if b.lost != nil {
		c.reset()
		c.lost(b.lost, " in DATA")
		return nil
	}
	c.finish(b, results)
	return nil
}

// needRecipients is what DATA and BDAT ask for. A pipelining client sends them
// without having read that every recipient was refused.
func (c *Conn) needRecipients() *dsn.Error {
	switch {
	case !c.tx.mail:
		return dsn.New(dsn.InvalidCommand, "Need MAIL command")
	case len(c.tx.rcpts) > 0:
		return nil
	case c.tx.refused > 0 && !c.srv.LMTP: // RFC 2033 section 4.2 wants 503
		return dsn.New(dsn.InvalidCommand, "No valid recipients").WithCode(554)
	}
	return dsn.New(dsn.InvalidCommand, "Need RCPT command")
}

// hand gives the message to the session and returns its answer for the
// message, or under LMTP for each recipient.
func (c *Conn) hand(b *body) []error {
	if c.srv.LMTP {
		return c.handLMTP(b)
	}
	return []error{c.session.Data(b)}
}

// finish answers the end of a message and ends the transaction. A message that is
// accepted wipes out the errors before it.
func (c *Conn) finish(b *body, results []error) {
	accepted := false
	for i, err := range results {
		if b.refusal != nil && err != nil {
			err = b.refusal // the session only passes on what it got from us
		}
		e, ok := outcome(err)
		switch {
		case ok && e == nil:
			c.ok(dsn.OK, "Ok")
		case ok:
			c.replyError(e)
		default:
			c.messageRefused = true
			c.rejected("data", c.recipientAt(i), e)
			c.replyError(e)
		}
		accepted = accepted || ok
	}
	if accepted {
		c.errors, c.junk = 0, 0
	}
	c.reset()
}

// recipientAt names the recipient of an answer; "" when it is for all.
func (c *Conn) recipientAt(i int) string {
	if c.srv.LMTP && i < len(c.tx.rcpts) {
		return c.tx.rcpts[i]
	}
	return ""
}

var _ pieces = (*wire.Content)(nil)
