package smtpserver

import (
	"strconv"
	"strings"

	"toastmaster/internal/dsn"
)

// maxHelo bounds the name that goes into Received and the log, in octets.
const maxHelo = 255

// helo is HELO (RFC 5321 section 4.1.1.1).
func helo(c *Conn, arg string) *dsn.Error {
	if e := c.introduce(arg, false); e != nil {
		return e
	}
	c.text(250, c.srv.Hostname)
	return nil
}

// ehlo is EHLO and LHLO: the greeting that asks for extensions.
func ehlo(c *Conn, arg string) *dsn.Error {
	if e := c.introduce(arg, true); e != nil {
		return e
	}
	lines := append([]string{c.srv.Hostname}, c.extensions()...)
	c.text(250, strings.Join(lines, "\n"))
	return nil
}

// introduce is what the greetings share: a new start of everything but TLS
// and authentication.
func (c *Conn) introduce(name string, esmtp bool) *dsn.Error {
	if name == "" || len(name) > maxHelo || strings.ContainsFunc(name, notPrintable) {
		return dsn.New(dsn.InvalidArguments, "Syntax: greeting and host name")
	}
	if s, ok := c.session.(HeloSession); ok {
		if err := s.Helo(name, esmtp); err != nil {
			if e, accepted := outcome(err); !accepted {
				c.rejected("helo", "", e)
				return e
			}
		}
	}
	c.reset()
	c.helo, c.esmtp = name, esmtp
	return nil
}

func notPrintable(r rune) bool { return r <= ' ' || r == 0x7f }

// extensions is what EHLO announces.
func (c *Conn) extensions() []string {
	list := []string{"PIPELINING", "SIZE"}
	if c.srv.MaxMessageBytes > 0 {
		list[1] += " " + strconv.FormatInt(c.srv.MaxMessageBytes, 10)
	}
	if c.srv.TLS != nil && c.tls == nil {
		list = append(list, "STARTTLS")
	}
	if c.mayAuth() {
		list = append(list, "AUTH "+strings.Join(c.mechanisms(), " "))
	}
	list = append(list, "ENHANCEDSTATUSCODES", "8BITMIME")
	if !c.srv.NoDSN {
		list = append(list, "DSN")
	}
	return append(list, "SMTPUTF8", "CHUNKING")
}
