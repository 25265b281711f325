package smtpd

import (
	"context"

	"github.com/emersion/go-smtp"

	"toastmaster/directory"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
)

// Mail is MAIL FROM.
func (s *session) Mail(from string, opts *smtp.MailOptions) error {
	if s.kind != mx && !s.authenticated() {
		return authRequired()
	}
	if s.authenticated() {
		if err := s.stillGood(); err != nil {
			return err
		}
	}
	if err := s.mayMail(); err != nil {
		return err
	}
	if s.d.o.Room != nil {
		if err := s.d.o.Room(opts.Size); err != nil {
			return err
		}
	}
	sender, err := parse(from)
	if err != nil {
		return dsn.Wrap(dsn.BadSenderSyntax, "Bad sender address syntax", err)
	}
	sender = s.d.qualify(sender)
	ctx := s.c.Context()
	if s.authenticated() && s.d.o.Params.CheckSenderLogin {
		if err := s.d.checkSender(ctx, s.user, sender); err != nil {
			return err
		}
	}
	if err := s.underLimits(0); err != nil {
		return err
	}
	if s.name == "" {
		s.name = s.d.clientName(ctx, s.c.ClientAddr())
	}
	s.size = opts.Size
	s.env = &envelope.Envelope{Sender: sender, UTF8: opts.UTF8, Origin: s.origin()}
	if opts.Body == smtp.Body8BitMIME {
		s.env.Body = envelope.Body8BitMIME
	}
	switch opts.Return {
	case smtp.DSNReturnHeaders:
		s.env.Return = envelope.ReturnHeaders
	case smtp.DSNReturnFull:
		s.env.Return = envelope.ReturnFull
	}
	s.env.EnvID = envelope.EncodeXtext(opts.EnvelopeID)
	return nil
}

// parse is addr.Parse that knows the null sender.
func parse(s string) (addr.Address, error) {
	if s == "" {
		return addr.Address{}, nil
	}
	return addr.Parse(s)
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
