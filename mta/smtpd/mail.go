package smtpd

import (
	"context"

	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/smtpserver"
	"toastmaster/mta/policy"
)

// Mail is MAIL FROM.
func (s *session) Mail(ctx context.Context, m smtpserver.Mail) *dsn.Error {
	if s.authenticated() {
		if e := s.stillGood(ctx); e != nil {
			return e
		}
	}
	if e := s.mayMail(); e != nil {
		return e
	}
	sender := s.d.qualify(m.From)
	s.known.Reset() // a MAIL that was refused leaves nothing
	s.known.SetSender(m.From, sender)
	s.known.Size = m.Size
	if e := s.early(ctx, policy.Mail, s.lists.Sender); e != nil {
		return e
	}
	if s.d.o.Room != nil {
		if err := s.d.o.Room(m.Size); err != nil {
			return dsn.From(err)
		}
	}
	if e := s.underLimits(0); e != nil {
		return e
	}
	s.env = &envelope.Envelope{
		Sender: sender, Body: m.Body, UTF8: m.UTF8 || !sender.IsASCII(), Return: m.Return, EnvID: m.EnvelopeID, Origin: s.origin(ctx),
		Auth: s.submitter(ctx, m.Auth),
	}
	s.env.Origin.Forwarded = m.Forwarded
	if e := s.milterMail(ctx, m); e != nil {
		s.Reset()
		return e
	}
	s.proxy.mail = m.Raw
	return nil
}

// submitter is what is believed of AUTH= (RFC 4954 section 5): all that a trusted
// network says, of a user an address of the user. Else nobody knows who
// submitted the message.
func (s *session) submitter(ctx context.Context, said *addr.Address) *addr.Address {
	switch {
	case said == nil || said.IsNull():
		return said
	case s.known.Trusted && s.kind == mx:
		return said
	case s.authenticated():
		if owned, e := s.d.env.Owns(ctx, s.known.User.Address, *said); owned && e == nil {
			return said
		}
	}
	return &addr.Address{}
}
