package smtpserver

import (
	"slices"
	"strings"

	"github.com/emersion/go-smtp"

	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
)

// maxORcpt bounds ORCPT before decoding, in octets (RFC 3461 section 4.2).
const maxORcpt = 500

// rcpt is RCPT TO (RFC 5321 section 4.1.1.3).
func rcpt(c *Conn, arg string) *dsn.Error {
	path, ok := cutPrefixFold(arg, "TO:")
	switch {
	case !c.tx.mail:
		return dsn.New(dsn.InvalidCommand, "Need MAIL command")
	case !ok:
		return dsn.New(dsn.InvalidArguments, "Syntax: RCPT TO:<address>")
	}
	to, rest, err := addr.ParsePath(path, true)
	if err != nil || to.IsNull() {
		return dsn.Wrap(dsn.BadDestSyntax, "Bad recipient address syntax", err)
	}
	opts := &smtp.RcptOptions{}
	e := c.params(rest, func(p param) *dsn.Error { return rcptOption(opts, p) })
	switch {
	case e != nil:
		return e
	case !to.IsASCII() && !c.tx.utf8:
		return dsn.New(dsn.NonASCIIAddress, "SMTPUTF8 is required for this address").WithCode(553)
	case c.srv.MaxRecipients > 0 && len(c.tx.rcpts) >= c.srv.MaxRecipients:
		return c.excess()
	}
	name := to.String()
	if err := c.session.Rcpt(name, opts); err != nil {
		if e, accepted := outcome(err); !accepted {
			c.tx.refused++
			c.rejected("rcpt", name, e)
			return e
		}
	}
	c.tx.rcpts = append(c.tx.rcpts, name)
	c.ok(dsn.AddressValid, "Ok")
	return nil
}

// excess answers a recipient too many. The client is to send the message to
// those it has and come again for the rest (RFC 5321 section 4.5.3.1.10); one that
// pipelines has sent them all before it can know. So as many again as are
// allowed are no errors, as with Postfix's smtpd_recipient_overshoot_limit:
// otherwise it would be cut off before DATA, and its mail never go.
func (c *Conn) excess() *dsn.Error {
	if c.tx.refused < c.srv.MaxRecipients {
		c.errors-- // fail counts it
	}
	c.tx.refused++
	return dsn.New(dsn.TooManyRecipients, "Too many recipients").WithCode(452)
}

func rcptOption(opts *smtp.RcptOptions, p param) *dsn.Error {
	ok := true
	switch p.key {
	case "NOTIFY":
		opts.Notify, ok = notify(p.value)
	case "ORCPT":
		kind, text, found := strings.Cut(p.value, ";")
		opts.OriginalRecipientType = smtp.DSNAddressType(strings.ToUpper(kind))
		opts.OriginalRecipient, ok = envelope.DecodeXtext(text)
		if opts.OriginalRecipientType == smtp.DSNAddressTypeUTF8 {
			opts.OriginalRecipient, ok = decodeUTF8Address(text)
		}
		ok = ok && found && kind != "" && text != "" && len(p.value) <= maxORcpt
	default:
		return unsupported(p.key)
	}
	if !ok {
		return badParam(p.key)
	}
	return nil
}

// notify reads NEVER, or a list of the other three (RFC 3461 section 4.1).
func notify(value string) ([]smtp.DSNNotify, bool) {
	var list []smtp.DSNNotify
	for word := range strings.SplitSeq(strings.ToUpper(value), ",") {
		n := smtp.DSNNotify(word)
		switch n {
		case smtp.DSNNotifyNever, smtp.DSNNotifyDelayed, smtp.DSNNotifyFailure, smtp.DSNNotifySuccess:
		default:
			return nil, false
		}
		if !slices.Contains(list, n) {
			list = append(list, n)
		}
	}
	return list, len(list) == 1 || !slices.Contains(list, smtp.DSNNotifyNever)
}
