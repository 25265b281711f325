package smtpserver

import (
	"context"
	"crypto/tls"
	"time"

	"toastmaster/internal/dsn"
)

// starttls is STARTTLS (RFC 3207). Whatever the client sent in plaintext behind
// the command is dropped unread, and what it said before is forgotten: an
// attacker on the way may have said it.
func starttls(c *Conn, arg string) *dsn.Error {
	switch {
	case arg != "":
		return c.syntax()
	case c.tls != nil:
		return dsn.New(dsn.InvalidCommand, "TLS is already active")
	case c.srv.TLS == nil:
		return dsn.New(dsn.InvalidCommand, "STARTTLS is not offered").WithCode(502)
	case c.tx.mail:
		return dsn.New(dsn.InvalidCommand, "Not during a mail transaction")
	case c.authed:
		return dsn.New(dsn.InvalidCommand, "Already authenticated")
	}
	securer, _ := c.session.(Securer)
	if securer != nil {
		if e := securer.MayTLS(); e != nil {
			c.rejected("starttls", "", e)
			return e
		}
	}
	c.Reply(220, dsn.OK, "Ready to start TLS")
	if err := c.w.Out.Flush(); err != nil {
		c.lost(err, " after STARTTLS")
		return nil
	}
	secured := tls.Server(c.w.NetConn(), c.srv.TLS)
	if err := c.handshake(secured); err != nil {
		c.srv.Log.Info("tls handshake failed", "service", c.srv.Service, "session", c.id, "client", c.clientText(), "cause", err)
		c.End("tls handshake failed")
		return nil
	}
	c.w.Upgrade(secured)
	state := secured.ConnectionState()
	c.tls = &state
	c.helo, c.esmtp = "", false
	c.reset()
	if c.secured = true; securer != nil {
		c.unwelcome = securer.Secured(c.ctx)
	}
	return nil
}

func starttlsKeyword(c *Conn) string {
	if c.srv.TLS == nil || c.tls != nil {
		return ""
	}
	return "STARTTLS"
}

func (c *Conn) handshake(secured *tls.Conn) error {
	ctx := c.ctx
	if c.srv.HandshakeTimeout > 0 {
		timed, cancel := context.WithTimeout(ctx, c.srv.HandshakeTimeout)
		defer cancel()
		ctx = timed
	}
	// The deadline of the last read must not end the handshake, nor the
	// handshake's any later read: HandshakeContext closes the connection itself.
	if err := secured.SetDeadline(time.Time{}); err != nil {
		return err
	}
	return secured.HandshakeContext(ctx)
}
