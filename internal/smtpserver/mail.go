package smtpserver

import (
	"strconv"
	"strings"

	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
)

// mail is MAIL FROM (RFC 5321 section 4.1.1.2).
func mail(c *Conn, arg string) *dsn.Error {
	path, ok := cutPrefixFold(arg, "FROM:")
	if !ok {
		return c.syntax()
	}
	from, rest, err := addr.ParsePath(path, true)
	if err != nil {
		return dsn.Wrap(dsn.BadSenderSyntax, "Bad sender address syntax", err)
	}
	m := Mail{From: from, Raw: path, Forwarded: c.forwarded}
	e := c.params(rest, m.option)
	switch {
	case e != nil:
		return e
	case !from.IsASCII() && !m.UTF8 && !c.srv.LaxUTF8:
		return dsn.New(dsn.NonASCIIAddress, "SMTPUTF8 is required for this address").WithCode(553)
	case c.srv.MaxMessageBytes > 0 && m.Size > c.srv.MaxMessageBytes:
		return errTooBig()
	}
	c.tx.utf8, c.tx.from = m.UTF8, from
	if e := c.session.Mail(c.ctx, m); e != nil {
		c.rejected("mail", "", e)
		c.tx.utf8, c.tx.from = false, addr.Address{}
		return e
	}
	c.tx.mail = true
	c.ok(dsn.Make(2, 1, 0), "Ok")
	return nil
}

func errTooBig() *dsn.Error {
	return dsn.New(dsn.MessageTooLong, "Message size exceeds the limit")
}

// sizeKeyword announces RFC 1870.
func sizeKeyword(c *Conn) string {
	if c.srv.MaxMessageBytes > 0 {
		return "SIZE " + strconv.FormatInt(c.srv.MaxMessageBytes, 10)
	}
	return "SIZE"
}

// cutPrefixFold cuts a prefix in any case and the spaces behind it, which old
// clients send although RFC 5321 has none.
func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return "", false
	}
	return strings.TrimLeft(s[len(prefix):], " "), true
}

// option takes one parameter.
func (m *Mail) option(key, value string) *dsn.Error {
	ok := true
	switch key {
	case "SIZE":
		n, err := strconv.ParseUint(value, 10, 63)
		ok = err == nil && value[0] != '+'
		m.Size = int64(n)
	case "BODY":
		eight := strings.EqualFold(value, "8BITMIME")
		if ok = eight || strings.EqualFold(value, "7BIT"); eight {
			m.Body = envelope.Body8BitMIME
		}
	case "SMTPUTF8":
		m.UTF8, ok = true, value == ""
	case "RET":
		m.Return, ok = envelope.ParseReturn(value)
	case "ENVID":
		m.EnvelopeID, ok = value, envelope.IsEnvID(value)
	case "AUTH":
		m.Auth, ok = submitter(value)
	default:
		return unsupported(key)
	}
	if !ok {
		return badParam(key)
	}
	return nil
}

// submitter reads AUTH=, an address in xtext or <> (RFC 4954 section 5). What is
// no address, as the user names that some programs send, says no more than <>.
func submitter(value string) (*addr.Address, bool) {
	text, ok := envelope.DecodeXtext(value)
	if !ok {
		return nil, false
	}
	a, err := addr.Parse(text)
	if err != nil || a.Domain == "" {
		a = addr.Address{}
	}
	return &a, true
}
