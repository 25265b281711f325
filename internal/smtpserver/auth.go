package smtpserver

import (
	"context"
	"strings"

	"toastmaster/internal/dsn"
	"toastmaster/internal/sasl"
)

// Authenticator is an add-on of sessions: AUTH is offered where Mechanisms is not
// empty. Who may log in, and where a password may be shown, is the session's to say.
type Authenticator interface {
	// Mechanisms are those to offer now.
	Mechanisms() []string
	// MayAuth is the reply to an AUTH that is not looked at; nil lets it pass.
	MayAuth(mechanism string) *dsn.Error
	// Authenticate runs a log-in with a mechanism, whose name is in upper case; see
	// sasl.Exchange for initial and ask. An error, best a *dsn.Error, is the
	// reply, unless it is ask's.
	Authenticate(ctx context.Context, mechanism string, initial []byte, ask func(challenge []byte) ([]byte, error)) error
}

// mechanisms lists what the session offers.
func (c *Conn) mechanisms() []string {
	if c.login == nil || c.authed {
		return nil
	}
	return c.login.Mechanisms()
}

func authKeyword(c *Conn) string {
	m := c.mechanisms()
	if len(m) == 0 {
		return ""
	}
	return "AUTH " + strings.Join(m, " ")
}

// auth is AUTH (RFC 4954).
func auth(c *Conn, arg string) *dsn.Error {
	name, initial, hasInitial := strings.Cut(arg, " ")
	name = strings.ToUpper(name)
	switch {
	case c.login == nil:
		return dsn.New(dsn.InvalidCommand, "AUTH is not offered").WithCode(502)
	case c.authed:
		return dsn.New(dsn.InvalidCommand, "Already authenticated")
	}
	if e := c.login.MayAuth(name); e != nil {
		if e.Cause != nil { // of the others the session has logged what is to be
			c.rejected("auth", "", e)
		}
		return e
	}
	switch {
	case c.tx.mail:
		return dsn.New(dsn.InvalidCommand, "Not during a mail transaction")
	case name == "":
		return c.syntax()
	}
	var first []byte
	if hasInitial {
		first = []byte(strings.TrimSpace(initial))
	}
	conversation := &conversation{c: c}
	if err := c.login.Authenticate(c.ctx, name, first, conversation.ask); err != nil {
		return conversation.failed(err)
	}
	c.authed = true
	c.w.Unlimit()
	c.Reply(235, dsn.Authenticated, "Authentication successful")
	return nil
}

// conversation carries the lines of an exchange.
type conversation struct {
	c    *Conn
	lost error // of the connection
}

func (v *conversation) ask(challenge []byte) ([]byte, error) {
	c := v.c
	c.text(334, string(challenge))
	c.w.In.MaxLine = sasl.MaxLine
	line, err := c.w.ReadLine()
	if err != nil {
		v.lost = err
	}
	return line, err
}

// failed sorts the errors of an exchange: of the connection, of the form of a
// line, of the session. The session logs the failed login, not we.
func (v *conversation) failed(err error) *dsn.Error {
	if v.lost != nil {
		if refusal := refusalOf(v.lost); refusal != nil {
			return refusal
		}
		v.c.lost(v.lost, " in AUTH")
		return nil
	}
	e := dsn.From(err)
	if e.Temporary() && e.Code == 0 {
		return e.WithCode(454) // RFC 4954 section 6
	}
	return e
}
