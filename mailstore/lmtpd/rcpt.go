package lmtpd

import (
	"context"

	"github.com/emersion/go-smtp"

	"toastmaster/directory"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
)

// Rcpt is RCPT TO.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	address, err := addr.Parse(to)
	if err != nil {
		return dsn.Wrap(dsn.BadDestSyntax, "Bad recipient address syntax", err)
	}
	if address.Domain == "" {
		address = address.WithDomain(s.d.o.Hostname)
	}
	box, err := s.d.mailbox(s.c.Context(), address)
	if err != nil {
		return err
	}
	s.rcpts = append(s.rcpts, recipient{given: to, address: address, box: box})
	return nil
}

// mailbox finds where mail for a lies.
func (d *Daemon) mailbox(ctx context.Context, a addr.Address) (directory.Mailbox, error) {
	found, err := d.o.Directory.Recipient(ctx, a)
	switch outcome := directory.OutcomeOf(err); {
	case outcome == directory.NotFound:
		return directory.Mailbox{}, dsn.Wrap(dsn.BadDestMailbox, a.Path()+": User unknown", err)
	case err != nil:
		return directory.Mailbox{}, directory.DSN(err)
	case found.Kind == directory.KindRelocated:
		return directory.Mailbox{}, dsn.New(dsn.MailboxMoved, "User has moved; please try "+movedTo(found.MovedTo))
	case found.Kind != directory.KindMailbox:
		return directory.Mailbox{}, dsn.New(dsn.Misconfigured, a.Path()+": This is an alias, not a mailbox")
	case !found.Mailbox.Enabled:
		return directory.Mailbox{}, dsn.New(dsn.MailboxDisabled, a.Path()+": Mailbox is disabled")
	}
	return found.Mailbox, nil
}

// movedTo writes a new address as a path (RFC 5321 section 3.4); free text
// stays as it is.
func movedTo(text string) string {
	if a, err := addr.Parse(text); err == nil {
		return a.Path()
	}
	return text
}
