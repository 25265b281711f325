package smtpd

import (
	"context"
	"strings"

	"github.com/emersion/go-smtp"

	"toastmaster/directory"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/smtpserver"
)

// Rcpt is RCPT TO: the restrictions of doc.go, in their order.
func (s *session) Rcpt(to string, opts *smtp.RcptOptions) error {
	address, err := addr.Parse(to)
	if err != nil {
		return dsn.Wrap(dsn.BadDestSyntax, "Bad recipient address syntax", err)
	}
	original := s.d.qualify(address)
	final := original
	if address.Domain == "" && isPostmaster(address) && !s.d.postmaster.IsNull() {
		final = s.d.postmaster
	}
	ctx := s.c.Context()
	domain, err := s.d.o.Directory.Domain(ctx, final.Domain)
	switch outcome := directory.OutcomeOf(err); {
	case outcome == directory.NotFound:
		if !s.mayRelay() {
			return dsn.New(dsn.Policy, original.Path()+": Relay access denied")
		}
	case err != nil:
		return directory.DSN(err)
	case !domain.Enabled:
		return dsn.New(dsn.MailboxDisabled, original.Path()+": Domain is disabled")
	default:
		if final, err = s.hosted(ctx, final); err != nil {
			return err
		}
	}
	s.env.Recipients = append(s.env.Recipients, envelope.Recipient{
		Address: final, Original: original, Notify: notify(opts.Notify),
		ORcpt: smtpserver.EncodeORcpt(string(opts.OriginalRecipientType), opts.OriginalRecipient),
	})
	return nil
}

// mayRelay says who may send to other domains.
func (s *session) mayRelay() bool {
	return s.authenticated() || s.trusted && s.kind == mx
}

func isPostmaster(a addr.Address) bool { return strings.EqualFold(a.Local, "postmaster") }

// hosted decides about a recipient in a hosted domain and returns where its
// mail goes.
func (s *session) hosted(ctx context.Context, a addr.Address) (addr.Address, error) {
	found, err := s.d.o.Directory.Recipient(ctx, a)
	switch outcome := directory.OutcomeOf(err); {
	case outcome == directory.NotFound:
		if isPostmaster(a) && !s.d.postmaster.IsNull() && !a.Equal(s.d.postmaster) {
			return s.d.postmaster, nil
		}
		return a, dsn.Wrap(dsn.BadDestMailbox, a.Path()+": User unknown", err)
	case err != nil:
		return a, directory.DSN(err)
	case found.Kind == directory.KindRelocated:
		return a, directory.Moved(found)
	case found.Kind == directory.KindMailbox:
		return a, s.mailbox(ctx, a, found.Mailbox)
	}
	return a, s.alias(ctx, a, found)
}

// alias refuses an alias that cannot be expanded. cleanup expands it again: the
// envelope keeps what the client said. What does not fit beside the recipients
// before it can come in the next transaction (RFC 5321 section 4.5.3.1.10).
func (s *session) alias(ctx context.Context, a addr.Address, found directory.Recipient) error {
	addresses, err := directory.Expand(ctx, s.d.o.Directory, a, s.d.o.Aliases, nil)
	if err != nil {
		e := *dsn.From(err)
		e.Text = a.Path() + ": " + e.Text
		return &e
	}
	if len(addresses) == 1 && found.Mailbox.Home == "" && addresses[0].Equal(found.Matched) {
		// It stands for nothing but itself, and is nothing else.
		return dsn.New(dsn.BadDestMailbox, a.Path()+": User unknown")
	}
	if len(s.env.Recipients)+s.extra+len(addresses) > s.d.o.Aliases.Addresses && len(s.env.Recipients) > 0 {
		return dsn.New(dsn.TooManyRecipients, "Too many recipients").WithCode(452)
	}
	s.extra += len(addresses) - 1
	return nil
}

// mailbox decides about a mailbox.
func (s *session) mailbox(ctx context.Context, a addr.Address, m directory.Mailbox) error {
	if !m.Enabled {
		return dsn.New(dsn.MailboxDisabled, a.Path()+": Mailbox is disabled")
	}
	if s.d.o.Usage == nil || m.QuotaBytes == 0 && m.QuotaMessages == 0 {
		return nil
	}
	octets, messages, err := s.d.o.Usage(ctx, m)
	if err != nil {
		s.d.o.Log.Warn("quota not known", "service", "smtpd", "session", s.c.ID(), "to", a.String(), "cause", err)
		return nil
	}
	if m.QuotaBytes > 0 && (octets >= m.QuotaBytes || s.size > m.QuotaBytes-octets) ||
		m.QuotaMessages > 0 && messages >= m.QuotaMessages {
		return dsn.New(dsn.MailboxFull, a.Path()+": Mailbox is full")
	}
	return nil
}

func notify(list []smtp.DSNNotify) envelope.Notify {
	var n envelope.Notify
	for _, one := range list {
		switch one {
		case smtp.DSNNotifyNever:
			n |= envelope.NotifyNever
		case smtp.DSNNotifySuccess:
			n |= envelope.NotifySuccess
		case smtp.DSNNotifyFailure:
			n |= envelope.NotifyFailure
		case smtp.DSNNotifyDelayed:
			n |= envelope.NotifyDelay
		}
	}
	return n
}
