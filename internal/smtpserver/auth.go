package smtpserver

import (
	"context"
	"slices"
	"strings"

	gosasl "github.com/emersion/go-sasl"

	"toastmaster/internal/dsn"
	"toastmaster/internal/sasl"
)

// Authenticator is an add-on of sessions: AUTH is offered where a password may
// be shown and Mechanisms is not empty.
type Authenticator interface {
	Mechanisms() []string
	// Auth begins a log-in with one of the mechanisms. Its Next ends it; an
	// error of that, best a *dsn.Error, is the reply.
	Auth(ctx context.Context, mechanism string) (gosasl.Server, *dsn.Error)
}

// mechanisms lists what the session offers.
func (c *Conn) mechanisms() []string {
	if c.login == nil {
		return nil
	}
	return c.login.Mechanisms()
}

func authKeyword(c *Conn) string {
	if !c.mayAuth() {
		return ""
	}
	return "AUTH " + strings.Join(c.mechanisms(), " ")
}

// mayAuth says whether AUTH may be used now.
func (c *Conn) mayAuth() bool {
	return !c.authed && c.secure() && len(c.mechanisms()) > 0
}

// auth is AUTH (RFC 4954).
func auth(c *Conn, arg string) *dsn.Error {
	name, initial, hasInitial := strings.Cut(arg, " ")
	name = strings.ToUpper(name)
	offered := c.mechanisms()
	switch {
	case len(offered) == 0:
		return dsn.New(dsn.InvalidCommand, "AUTH is not offered").WithCode(502)
	case c.authed:
		return dsn.New(dsn.InvalidCommand, "Already authenticated")
	case c.tx.mail:
		return dsn.New(dsn.InvalidCommand, "Not during a mail transaction")
	case name == "":
		return c.syntax()
	case !c.secure():
		return dsn.New(dsn.EncryptionNeeded, "Encryption is required for authentication").WithCode(538)
	case !slices.Contains(offered, name):
		return dsn.New(dsn.InvalidArguments, "Authentication mechanism not supported").WithCode(504)
	}
	mechanism, e := c.login.Auth(c.ctx, name)
	if e != nil {
		return e
	}
	var first []byte
	if hasInitial {
		first = []byte(strings.TrimSpace(initial))
	}
	conversation := &conversation{c: c}
	if err := sasl.Exchange(mechanism, first, conversation.ask); err != nil {
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
	return dsn.From(err)
}
