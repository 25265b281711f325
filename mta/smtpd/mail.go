package smtpd

import (
	"context"

	"toastmaster/directory"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/smtpserver"
)

// Mail is MAIL FROM.
func (s *session) Mail(ctx context.Context, m smtpserver.Mail) *dsn.Error {
	if s.kind != mx && !s.authenticated() {
		return authRequired()
	}
	if s.authenticated() {
		if e := s.stillGood(ctx); e != nil {
			return e
		}
	}
	if e := s.mayMail(); e != nil {
		return e
	}
	if s.d.o.Room != nil {
		if err := s.d.o.Room(m.Size); err != nil {
			return dsn.From(err)
		}
	}
	sender := s.d.qualify(m.From)
	if s.authenticated() && s.d.o.Params.CheckSenderLogin {
		if err := s.d.checkSender(ctx, s.user, sender); err != nil {
			return dsn.From(err)
		}
	}
	if e := s.underLimits(0); e != nil {
		return e
	}
	if s.name == "" {
		s.name = s.d.clientName(ctx, s.c.ClientAddr())
	}
	s.size = m.Size
	s.env = &envelope.Envelope{
		Sender: sender, Body: m.Body, UTF8: m.UTF8, Return: m.Return, EnvID: m.EnvelopeID, Origin: s.origin(),
		Auth: s.submitter(ctx, m.Auth),
	}
	return nil
}

// submitter is what is believed of AUTH= (RFC 4954 section 5): all that a trusted
// network says, of a user an address of the user. Else nobody knows who
// submitted the message.
func (s *session) submitter(ctx context.Context, said *addr.Address) *addr.Address {
	switch {
	case said == nil || said.IsNull():
		return said
	case s.trusted && s.kind == mx:
		return said
	case s.authenticated():
		if owned, err := s.d.owns(ctx, s.user, *said); owned && err == nil {
			return said
		}
	}
	return &addr.Address{}
}

// checkSender lets a user send from what the user owns, and from the null
// sender, which reports of mail programs use.
func (d *Daemon) checkSender(ctx context.Context, user directory.Mailbox, sender addr.Address) error {
	if sender.IsNull() {
		return nil
	}
	owned, err := d.owns(ctx, user, sender)
	if err != nil || owned {
		return err
	}
	return dsn.Newf(dsn.Policy, "%s: Sender address is not owned by %s", sender.Path(), user.Address).WithCode(553)
}
