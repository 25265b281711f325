package cleanup

import (
	"context"
	"net/mail"
	"strings"

	"toastmaster/internal/addr"
	"toastmaster/internal/envelope"
	"toastmaster/internal/trace"
)

// begun gives the message its ID, unless its client has asked for one, and makes what stands on top of it: the fields that a
// restriction wants, and Received below them, as in Postfix.
func (m *message) begun() {
	env := m.s.Envelope
	if env.Arrived = m.c.o.Clock.Now(); env.ID == "" {
		env.ID = m.c.o.Queue.NewID()
	}
	if f, ok := envelope.ParseRoute(m.c.o.Params.ContentFilter); ok && m.s.Incoming && env.Filter == nil && env.Redirect.IsNull() && env.Origin.Source.Submitted() {
		env.Filter = &f
	}
	for _, text := range env.Prepend {
		m.top = append(append(m.top, text...), '\n')
	}
	m.top = append(m.top, m.c.received(env, m.asked)...)
}

// stamp puts it there.
type stamp struct{ quiet }

func (stamp) end(_ context.Context, m *message) error {
	m.prefix = append(m.prefix, m.top...)
	return nil
}

// received makes the Received field. given are the recipients as the client
// gave them: more than one is named to nobody, and one that is not ASCII neither, because mail that needs SMTPUTF8 for
// nothing else would need it for our field.
func (c *Cleanup) received(env *envelope.Envelope, given []envelope.Recipient) []byte {
	r := trace.Received{Origin: &env.Origin, By: c.o.Hostname, ID: string(env.ID), At: env.Arrived}
	if len(given) == 1 {
		if r.For = given[0].Original; r.For.IsNull() {
			r.For = given[0].Address
		}
	}
	return r.Append(make([]byte, 0, 512))
}

// complete adds what mail from our own users lacks (RFC 6409 section 8).
type complete struct{ quiet }

func (complete) end(_ context.Context, m *message) error {
	if m.s.Complete {
		m.complete(m.c, m.s.Envelope)
	}
	return nil
}

func (m *message) complete(c *Cleanup, env *envelope.Envelope) {
	if m.onward.is {
		m.completeResent(c, env)
		return
	}
	if !m.hasMessageID {
		m.messageID = "<" + env.Arrived.UTC().Format("20060102150405") + "." + string(env.ID) + "@" + c.domain + ">"
		m.prefix = append(m.prefix, "Message-ID: "+m.messageID+"\n"...)
	}
	if !m.hasDate {
		m.prefix = append(m.prefix, "Date: "...)
		m.prefix = env.Arrived.AppendFormat(m.prefix, trace.DateFormat)
		m.prefix = append(m.prefix, '\n')
	}
	if !m.hasFrom {
		m.prefix = append(m.prefix, "From: "+c.writer(m.s)+"\n"...)
	}
}

// writer is who has written a message that does not say it, as a header has it.
func (c *Cleanup) writer(s *envelope.Submission) string {
	from, name := s.Envelope.Sender, s.FullName
	if login, err := addr.Parse(s.Envelope.Origin.Login); from.IsNull() && err == nil {
		from = login
	}
	if from.IsNull() {
		from, name = addr.Address{Local: "MAILER-DAEMON", Domain: c.o.Hostname}, ""
	}
	return withName(name, from.String())
}

// onward is what facts finds of a message that its user sends on (RFC 5322 section 3.6.6).
type onward struct{ is, hasDate, hasFrom, hasMessageID bool }

// note notes a field.
func (r *onward) note(name []byte) {
	field, ok := strings.CutPrefix(strings.ToLower(string(name)), "resent-")
	if !ok {
		return
	}
	r.is = true
	switch field {
	case "date":
		r.hasDate = true
	case "from":
		r.hasFrom = true
	case "message-id":
		r.hasMessageID = true
	}
}

// completeResent adds what it lacks of the fields of who sends it on. The others are those of its author, and stay as they
// are, as in Postfix.
func (m *message) completeResent(c *Cleanup, env *envelope.Envelope) {
	if !m.onward.hasMessageID {
		m.prefix = append(m.prefix, "Resent-Message-ID: <"+env.Arrived.UTC().Format("20060102150405")+"."+string(env.ID)+"@"+c.domain+">\n"...)
	}
	if !m.onward.hasDate {
		m.prefix = env.Arrived.AppendFormat(append(m.prefix, "Resent-Date: "...), trace.DateFormat)
		m.prefix = append(m.prefix, '\n')
	}
	if !m.onward.hasFrom {
		m.prefix = append(m.prefix, "Resent-From: "+c.writer(m.s)+"\n"...)
	}
}

// withName is an address with a name before it, as Postfix writes it: without quotes where the name is of words that need
// none. A name in another character set than ASCII is encoded.
func withName(name, address string) string {
	name = strings.Join(strings.Fields(name), " ")
	plain := !strings.ContainsFunc(name, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && !strings.ContainsRune(" !#$%&'*+-/=?^_`{|}~", r)
	})
	switch {
	case name == "" || len(name) > maxFullName:
		return address
	case plain:
		return name + " <" + address + ">"
	}
	quoted := (&mail.Address{Name: name, Address: "x@y"}).String()
	return strings.TrimSuffix(quoted, "<x@y>") + "<" + address + ">"
}

// maxFullName is how long a name may be. It is no parameter: a longer one is none, and a line has an end.
const maxFullName = 200
