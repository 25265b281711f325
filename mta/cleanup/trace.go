package cleanup

import (
	"strings"

	"toastmaster/internal/addr"
	"toastmaster/internal/envelope"
)

// dateFormat is RFC 5322 section 3.3.
const dateFormat = "Mon, 2 Jan 2006 15:04:05 -0700"

// trace writes the Received field (RFC 5321 section 4.4). given are the
// recipients as the client gave them: more than one is named to nobody.
func (c *Cleanup) trace(env *envelope.Envelope, given []envelope.Recipient) []byte {
	o := &env.Origin
	b := make([]byte, 0, 512)
	b = append(b, "Received: "...)
	if o.ClientAddr != "" {
		b = append(b, "from "...)
		b = append(b, token(o.Helo)...)
		b = append(b, " ("...)
		b = append(b, token(o.ClientName)...)
		b = append(b, ' ')
		b = append(b, literal(o.ClientAddr)...)
		b = append(b, ')')
		if o.TLS != "" {
			b = append(b, "\n\t(using "...)
			b = append(b, comment(o.TLS)...)
			b = append(b, ')')
		}
		b = append(b, "\n\t"...)
	}
	b = append(b, "by "...)
	b = append(b, c.o.Hostname...)
	b = append(b, " (Toastmaster"...)
	if o.ClientAddr == "" && o.Protocol != "" {
		b = append(b, ", from "...)
		b = append(b, comment(o.Protocol)...)
	}
	b = append(b, ')')
	if o.ClientAddr != "" && o.Protocol != "" {
		b = append(b, " with "...)
		b = append(b, token(o.Protocol)...)
	}
	b = append(b, " id "...)
	b = append(b, env.ID...)
	b = appendFor(b, env, given)
	b = append(b, "; "...)
	b = env.Arrived.AppendFormat(b, dateFormat)
	return append(b, '\n')
}

func appendFor(b []byte, env *envelope.Envelope, given []envelope.Recipient) []byte {
	if len(given) != 1 {
		return b
	}
	to := given[0].Original
	if to.IsNull() {
		to = given[0].Address
	}
	if !to.IsASCII() && !env.UTF8 {
		return b
	}
	b = append(b, "\n\tfor "...)
	return append(b, to.Path()...)
}

// complete adds what mail from our own users lacks (RFC 6409 section 8).
func (p *prepared) complete(c *Cleanup, env *envelope.Envelope, h *header) {
	if !h.hasMessageID {
		p.messageID = "<" + env.Arrived.UTC().Format("20060102150405") + "." + string(env.ID) + "@" + c.domain + ">"
		p.prefix = append(p.prefix, "Message-ID: "+p.messageID+"\n"...)
	}
	if !h.hasDate {
		p.prefix = append(p.prefix, "Date: "...)
		p.prefix = env.Arrived.AppendFormat(p.prefix, dateFormat)
		p.prefix = append(p.prefix, '\n')
	}
	if !h.hasFrom {
		from := env.Sender
		if from.IsNull() {
			from = addr.Address{Local: "MAILER-DAEMON", Domain: c.o.Hostname}
		}
		p.prefix = append(p.prefix, "From: "+from.String()+"\n"...)
	}
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

// literal is an IP address as RFC 5321 section 4.1.3 writes it; what is none
// (the path of a unix socket) is kept.
func literal(ip string) string {
	if strings.Contains(ip, ":") {
		return "[IPv6:" + token(ip) + "]"
	}
	return "[" + token(ip) + "]"
}
