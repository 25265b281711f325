package smtpserver

import (
	"strconv"
	"strings"

	"github.com/emersion/go-smtp"

	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
)

// maxEnvID bounds ENVID before decoding, in octets (RFC 3461 section 4.4).
const maxEnvID = 100

// mail is MAIL FROM (RFC 5321 section 4.1.1.2).
func mail(c *Conn, arg string) *dsn.Error {
	path, ok := cutPrefixFold(arg, "FROM:")
	switch {
	case c.tx.mail:
		return dsn.New(dsn.InvalidCommand, "Nested MAIL command")
	case !ok:
		return dsn.New(dsn.InvalidArguments, "Syntax: MAIL FROM:<address>")
	}
	from, rest, err := addr.ParsePath(path, true)
	if err != nil {
		return dsn.Wrap(dsn.BadSenderSyntax, "Bad sender address syntax", err)
	}
	opts := &smtp.MailOptions{}
	e := c.params(rest, func(p param) *dsn.Error { return mailOption(opts, p) })
	switch {
	case e != nil:
		return e
	case !from.IsASCII() && !opts.UTF8:
		return dsn.New(dsn.NonASCIIAddress, "SMTPUTF8 is required for this address").WithCode(553)
	case c.srv.MaxMessageBytes > 0 && opts.Size > c.srv.MaxMessageBytes:
		return errTooBig()
	}
	c.tx.utf8, c.tx.from = opts.UTF8, from.String()
	if err := c.session.Mail(c.tx.from, opts); err != nil {
		if e, accepted := outcome(err); !accepted {
			c.rejected("mail", "", e)
			c.tx.utf8, c.tx.from = false, ""
			return e
		}
	}
	c.tx.mail = true
	c.ok(dsn.Make(2, 1, 0), "Ok")
	return nil
}

func errTooBig() *dsn.Error {
	return dsn.New(dsn.MessageTooLong, "Message size exceeds the limit")
}

// cutPrefixFold cuts a prefix in any case and the spaces behind it, which old
// clients send although RFC 5321 has none.
func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return "", false
	}
	return strings.TrimLeft(s[len(prefix):], " "), true
}

func mailOption(opts *smtp.MailOptions, p param) *dsn.Error {
	ok := true
	switch p.key {
	case "SIZE":
		n, err := strconv.ParseUint(p.value, 10, 63)
		ok = err == nil && p.value[0] != '+'
		opts.Size = int64(n)
	case "BODY":
		opts.Body = smtp.BodyType(strings.ToUpper(p.value))
		ok = opts.Body == smtp.Body7Bit || opts.Body == smtp.Body8BitMIME
	case "SMTPUTF8":
		opts.UTF8, ok = true, p.value == ""
	case "RET":
		opts.Return = smtp.DSNReturn(strings.ToUpper(p.value))
		ok = opts.Return == smtp.DSNReturnFull || opts.Return == smtp.DSNReturnHeaders
	case "ENVID":
		opts.EnvelopeID, ok = envelope.DecodeXtext(p.value)
		ok = ok && p.value != "" && len(p.value) <= maxEnvID
	case "AUTH":
		// RFC 4954 section 5: the value may be ignored, and is.
		var id string
		if id, ok = envelope.DecodeXtext(p.value); id == "<>" {
			id = ""
		}
		opts.Auth = &id
	default:
		return unsupported(p.key)
	}
	if !ok {
		return badParam(p.key)
	}
	return nil
}
