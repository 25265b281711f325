package trace

import (
	"crypto/tls"
	"strings"
	"time"

	"toastmaster/internal/addr"
	"toastmaster/internal/envelope"
)

// TLS is what a Received field says of a connection's TLS, "" without.
func TLS(t *tls.ConnectionState) string {
	if t == nil {
		return ""
	}
	return tls.VersionName(t.Version) + " with cipher " + tls.CipherSuiteName(t.CipherSuite)
}

// DateFormat is RFC 5322 section 3.3.
const DateFormat = "Mon, 2 Jan 2006 15:04:05 -0700"

// Received is a Received field.
type Received struct {
	// Origin is where the message came from; without ClientAddr it is of this
	// host, and Protocol says from what.
	Origin *envelope.Origin
	// By is the name of this host, ID what the log calls the message or its
	// session.
	By, ID string
	// For is the recipient if there is one and it may be told, else the zero
	// Address. One that is not ASCII is told only with UTF8 (RFC 6531).
	For  addr.Address
	UTF8 bool
	At   time.Time
}

// Append appends the field to b.
func (r *Received) Append(b []byte) []byte {
	o := r.Origin
	b = append(b, "Received: "...)
	if o.ClientAddr != "" {
		b = append(b, "from "...)
		b = append(b, token(o.Helo)...)
		b = append(b, " ("...)
		b = append(b, token(o.ClientName)...)
		b = append(b, ' ')
		b = appendLiteral(b, o.ClientAddr)
		b = append(b, ')')
		if o.TLS != "" {
			b = append(b, "\n\t(using "...)
			b = append(b, comment(o.TLS)...)
			b = append(b, ')')
			b = appendCertificate(b, o.Cert)
		}
		b = append(b, "\n\t"...)
	}
	b = append(b, "by "...)
	b = append(b, r.By...)
	b = append(b, " (Toastmaster"...)
	switch {
	case o.UserID != "":
		b = append(b, ", from userid "...)
		b = append(b, comment(o.UserID)...)
	case o.ClientAddr == "" && o.Word() != "":
		b = append(b, ", from "...)
		b = append(b, comment(o.Word())...)
	}
	b = append(b, ')')
	if o.ClientAddr != "" && o.Protocol != "" {
		b = append(b, " with "...)
		b = append(b, token(o.Protocol)...)
	}
	b = append(b, " id "...)
	b = append(b, r.ID...)
	if !r.For.IsNull() && (r.UTF8 || r.For.IsASCII()) {
		b = append(b, "\n\tfor <"...)
		b = append(r.For.Append(b), '>')
	}
	b = append(b, "; "...)
	b = r.At.AppendFormat(b, DateFormat)
	return append(b, '\n')
}

// appendCertificate says whose the client's certificate is, in Postfix's words.
func appendCertificate(b []byte, c *envelope.Certificate) []byte {
	switch {
	case c == nil:
		return b
	case !c.Present:
		return append(b, "\n\t(Client did not present a certificate)"...)
	}
	b = append(append(b, "\n\t(Client CN \""...), comment(c.Subject)...)
	b = append(append(b, "\", Issuer \""...), comment(c.Issuer)...)
	if c.Verified {
		return append(b, "\" (verified OK))"...)
	}
	return append(b, "\" (not verified))"...)
}

// token makes what a client said about itself harmless in the header.
func token(s string) string {
	if s == "" {
		return "unknown"
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune(".:-_[]", r):
			return r
		}
		return '?'
	}, s)
}

// comment is the same for text in parentheses.
func comment(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '(' || r == ')' || r == '\\' {
			return '?'
		}
		return r
	}, s)
}

// appendLiteral appends an IP address as RFC 5321 section 4.1.3 writes it; what is none
// (the path of a unix socket) is kept.
func appendLiteral(b []byte, ip string) []byte {
	b = append(b, '[')
	if strings.Contains(ip, ":") {
		b = append(b, "IPv6:"...)
	}
	return append(append(b, token(ip)...), ']')
}
