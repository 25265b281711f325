package smtpserver

import (
	"strings"

	"toastmaster/internal/dsn"
)

// maxHelo bounds the name that goes into Received and the log, in octets. It is no
// parameter: a domain name has no more (RFC 1035).
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
	lines := []string{c.srv.Hostname}
	rows := c.srv.commands().rows
	for i := range rows {
		if rows[i].Keyword == nil {
			continue
		}
		if keyword := rows[i].Keyword(c); keyword != "" {
			lines = append(lines, keyword)
		}
	}
	c.text(250, strings.Join(lines, "\n"))
	return nil
}

// introduce is what the greetings share: a new start of everything but TLS
// and authentication.
func (c *Conn) introduce(name string, esmtp bool) *dsn.Error {
	if name == "" || len(name) > maxHelo || strings.ContainsFunc(name, notPrintable) {
		return c.syntax()
	}
	if s, ok := c.session.(Greeter); ok {
		if e := s.Helo(c.ctx, name, esmtp); e != nil {
			c.rejected("helo", "", e)
			return e
		}
	}
	c.reset()
	c.helo, c.esmtp = name, esmtp
	return nil
}

func notPrintable(r rune) bool { return r <= ' ' || r == 0x7f }
