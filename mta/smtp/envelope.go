package smtp

import (
	"strings"

	"toastmaster/internal/envelope"
)

func (t *transaction) mailOptions() string {
	e, ext := t.delivery.request.Envelope, &t.session.ext
	var b strings.Builder
	if ext.eightBit && e.Body == envelope.Body8BitMIME {
		b.WriteString(" BODY=8BITMIME")
	}
	if ext.utf8 && t.needsUTF8() {
		b.WriteString(" SMTPUTF8")
	}
	b.WriteString(t.auth())
	if !ext.dsn {
		return b.String()
	}
	switch e.Return {
	case envelope.ReturnHeaders:
		b.WriteString(" RET=HDRS")
	case envelope.ReturnFull:
		b.WriteString(" RET=FULL")
	}
	if isXtext(e.EnvID) {
		b.WriteString(" ENVID=" + e.EnvID)
	}
	return b.String()
}

// auth says who submitted the message (RFC 4954 section 5): an address that a
// client said and is believed goes on to whoever offers AUTH, "nobody knows" to a
// host where we have logged in.
func (t *transaction) auth() string {
	a := t.delivery.request.Envelope.Auth
	switch {
	case a == nil:
	case !a.IsNull() && a.IsASCII() && len(t.session.ext.auth) > 0:
		return " AUTH=" + envelope.EncodeXtext(a.String())
	case a.IsNull() && t.session.loggedIn:
		return " AUTH=<>"
	}
	return ""
}

// needsUTF8 says that this transaction needs SMTPUTF8.
func (t *transaction) needsUTF8() bool {
	d := t.delivery
	if d.needs.utf8 {
		return true
	}
	for _, i := range d.todo {
		if !d.to(i).IsASCII() {
			return true
		}
	}
	return false
}

func (t *transaction) rcpt(i int) string {
	r := &t.delivery.request.Envelope.Recipients[i]
	to := t.delivery.to(i)
	cmd := "RCPT TO:" + to.Path()
	if !t.session.ext.dsn {
		return cmd
	}
	if n := r.Notify.String(); n != "" {
		cmd += " NOTIFY=" + n
	}
	switch {
	case isXtext(r.ORcpt):
		cmd += " ORCPT=" + r.ORcpt
	case r.ORcpt == "" && r.Original != to && !r.Original.IsNull() && r.Original.IsASCII():
		// We know what the sender wrote, and the peer's report should say it
		// (RFC 3461 section 5.2.1).
		cmd += " ORCPT=rfc822;" + envelope.EncodeXtext(r.Original.String())
	}
	return cmd
}

// isXtext says that a parameter as received can be sent on: not empty, and no
// octet that ends a parameter or a line.
func isXtext(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return s != ""
}
