package smtpserver

import (
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
)

// rcpt is RCPT TO (RFC 5321 section 4.1.1.3).
func rcpt(c *Conn, arg string) *dsn.Error {
	path, ok := cutPrefixFold(arg, "TO:")
	if !ok {
		return c.syntax()
	}
	to, rest, err := addr.ParsePath(path, true)
	if err != nil || to.IsNull() {
		return dsn.Wrap(dsn.BadDestSyntax, "Bad recipient address syntax", err)
	}
	r := Rcpt{To: to, Raw: path}
	e := c.params(rest, r.option)
	switch {
	case e != nil:
		return e
	case !to.IsASCII() && !c.tx.utf8 && !c.srv.LaxUTF8:
		return dsn.New(dsn.NonASCIIAddress, "SMTPUTF8 is required for this address").WithCode(553)
	case c.srv.MaxRecipients > 0 && len(c.tx.rcpts) >= c.srv.MaxRecipients:
		return c.excess()
	}
	if e := c.session.Rcpt(c.ctx, r); e != nil {
		c.tx.refused++
		c.rejected("rcpt", to.String(), e)
		return e
	}
	c.tx.rcpts = append(c.tx.rcpts, to)
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

// option takes one parameter.
func (r *Rcpt) option(key, value string) *dsn.Error {
	ok := false
	switch key {
	case "NOTIFY":
		r.Notify, ok = envelope.ParseNotify(value)
	case "ORCPT":
		r.ORcpt, ok = envelope.ParseORcpt(value)
	default:
		return unsupported(key)
	}
	if !ok {
		return badParam(key)
	}
	return nil
}
