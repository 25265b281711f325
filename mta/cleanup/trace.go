package cleanup

import (
	"toastmaster/internal/addr"
	"toastmaster/internal/envelope"
	"toastmaster/internal/trace"
)

// received makes the Received field. given are the recipients as the client
// gave them: more than one is named to nobody.
func (c *Cleanup) received(env *envelope.Envelope, given []envelope.Recipient) []byte {
	r := trace.Received{Origin: &env.Origin, By: c.o.Hostname, ID: string(env.ID), UTF8: env.UTF8, At: env.Arrived}
	if len(given) == 1 {
		if r.For = given[0].Original; r.For.IsNull() {
			r.For = given[0].Address
		}
	}
	return r.Append(make([]byte, 0, 512))
}

// complete adds what mail from our own users lacks (RFC 6409 section 8).
func (p *prepared) complete(c *Cleanup, env *envelope.Envelope, h *header) {
	if !h.hasMessageID {
		p.messageID = "<" + env.Arrived.UTC().Format("20060102150405") + "." + string(env.ID) + "@" + c.domain + ">"
		p.prefix = append(p.prefix, "Message-ID: "+p.messageID+"\n"...)
	}
	if !h.hasDate {
		p.prefix = append(p.prefix, "Date: "...)
		p.prefix = env.Arrived.AppendFormat(p.prefix, trace.DateFormat)
		p.prefix = append(p.prefix, '\n')
	}
	if !h.hasFrom {
		from := env.Sender
		if login, err := addr.Parse(env.Origin.Login); from.IsNull() && err == nil {
			from = login
		}
		if from.IsNull() {
			from = addr.Address{Local: "MAILER-DAEMON", Domain: c.o.Hostname}
		}
		p.prefix = append(p.prefix, "From: "+from.String()+"\n"...)
	}
}
