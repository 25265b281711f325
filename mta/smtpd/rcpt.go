package smtpd

import (
	"context"
	"strings"

	"toastmaster/directory"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/smtpserver"
)

// Rcpt is RCPT TO: the restrictions of doc.go, in their order.
func (s *session) Rcpt(ctx context.Context, to smtpserver.Rcpt) *dsn.Error {
	if e := s.mayRcpt(); e != nil {
		return e
	}
	if e := s.underLimits(len(s.env.Recipients) + 1); e != nil {
		return e
	}
	original := s.d.qualify(to.To)
	r := recipient{session: s, shown: original.Path()}
	var final addr.Address
	var err error
	if to.To.Domain == "" && isPostmaster(to.To) && !s.d.postmaster.IsNull() {
		final, err = r.postmaster(ctx)
	} else {
		final, err = r.decide(ctx, original, s.mayRelay())
	}
	if err != nil {
		e := dsn.From(err)
		s.refusedRcpt(e)
		return e
	}
	s.env.Recipients = append(s.env.Recipients, envelope.Recipient{
		Address: final, Original: original, Notify: to.Notify, ORcpt: to.ORcpt,
	})
	return nil
}

// mayRelay says who may send to other domains.
func (s *session) mayRelay() bool {
	return s.authenticated() || s.trusted && s.kind == mx
}

func isPostmaster(a addr.Address) bool { return strings.EqualFold(a.Local, "postmaster") }

// recipient is the decision about one RCPT TO.
type recipient struct {
	*session
	// shown is the address in replies: the client's, not where it leads.
	shown string
}

// decide says where the mail for a goes, or why it is not taken.
func (r recipient) decide(ctx context.Context, a addr.Address, relay bool) (addr.Address, error) {
	domain, err := r.d.o.Directory.Domain(ctx, a.Domain)
	switch outcome := directory.OutcomeOf(err); {
	case outcome == directory.NotFound && r.isOurPostmaster(a) && (a.Domain == r.d.o.Hostname || r.d.isOurs(a.Domain)):
		return r.postmaster(ctx)
	case outcome == directory.NotFound && r.d.isOurs(a.Domain):
		return a, dsn.New(dsn.LoopDetected, r.shown+": This host's own address, and no such user here").WithCode(550)
	case outcome == directory.NotFound && !relay:
		return a, dsn.New(dsn.Policy, r.shown+": Relay access denied")
	case outcome == directory.NotFound:
		return a, nil
	case err != nil:
		return a, directory.DSN(err)
	case !domain.Enabled:
		return a, dsn.New(dsn.MailboxDisabled, r.shown+": Domain is disabled")
	}
	return r.hosted(ctx, a)
}

// isOurs says that a domain is an address literal of this host. Where
// main.hostname is hosted the directory has found it (directory/literal).
func (d *Daemon) isOurs(domain string) bool { return d.o.Ours != nil && d.o.Ours(domain) }

// isOurPostmaster says that smtpd.postmaster stands in for a.
func (r recipient) isOurPostmaster(a addr.Address) bool {
	return (isPostmaster(a) || r.isOurRoot(a)) && !r.d.postmaster.IsNull() && !a.Equal(r.d.postmaster)
}

// isOurRoot says that a is root of this host: what its programs write to.
func (r recipient) isOurRoot(a addr.Address) bool {
	return strings.EqualFold(a.Local, "root") && (a.Domain == r.d.o.Hostname || r.d.isOurs(a.Domain))
}

// postmaster decides about smtpd.postmaster. Everybody may write to it,
// wherever it is; only an address at this host that nobody hosts would come
// back to us.
func (r recipient) postmaster(ctx context.Context) (addr.Address, error) {
	return r.decide(ctx, r.d.postmaster, r.d.postmaster.Domain != r.d.o.Hostname || r.mayRelay())
}

// hosted decides about a recipient in a hosted domain.
func (r recipient) hosted(ctx context.Context, a addr.Address) (addr.Address, error) {
	found, err := r.d.o.Directory.Recipient(ctx, a)
	switch outcome := directory.OutcomeOf(err); {
	case outcome == directory.NotFound && r.isOurPostmaster(a):
		return r.postmaster(ctx)
	case outcome == directory.NotFound:
		return a, dsn.Wrap(dsn.BadDestMailbox, r.shown+": User unknown", err)
	case err != nil:
		return a, directory.DSN(err)
	case found.Kind == directory.KindRelocated:
		return a, directory.Moved(found)
	case found.Kind == directory.KindMailbox:
		return a, r.mailbox(ctx, a, found.Mailbox)
	}
	return a, r.alias(ctx, a)
}

// alias refuses an alias that cannot be expanded, or that stands for nobody.
// cleanup expands it again: the envelope keeps what the client said. What does
// not fit beside the recipients before it can come in the next transaction
// (RFC 5321 section 4.5.3.1.10).
func (r recipient) alias(ctx context.Context, a addr.Address) error {
	addresses, err := directory.Expand(ctx, r.d.o.Directory, a, r.d.o.Aliases, nil)
	somebody := false
	var full *dsn.Error
	for i := 0; err == nil && !somebody && i < len(addresses); i++ {
		somebody, err = directory.Somebody(ctx, r.d.o.Directory, addresses[i])
		if somebody && err == nil {
			if e := r.aliasRoom(ctx, addresses[i]); e != nil {
				somebody, full = false, e
			}
		}
	}
	if err != nil {
		e := *dsn.From(err)
		e.Text = r.shown + ": " + e.Text
		return &e
	}
	if full != nil && !somebody {
		return full
	}
	if !somebody {
		return dsn.New(dsn.BadDestMailbox, r.shown+": User unknown")
	}
	if len(r.env.Recipients)+r.extra+len(addresses) > r.d.o.Aliases.Addresses && len(r.env.Recipients) > 0 {
		return dsn.New(dsn.TooManyRecipients, "Too many recipients").WithCode(452)
	}
	r.extra += len(addresses) - 1
	return nil
}

// mailbox decides about a mailbox.
func (r recipient) mailbox(ctx context.Context, a addr.Address, m directory.Mailbox) error {
	if !m.Enabled {
		return dsn.New(dsn.MailboxDisabled, r.shown+": Mailbox is disabled")
	}
	if e := r.room(ctx, a, m); e != nil {
		return e
	}
	return nil
}

// room refuses a mailbox that the message does not fit into, by what is known of
// its size.
func (r recipient) room(ctx context.Context, a addr.Address, m directory.Mailbox) *dsn.Error {
	if r.d.o.Fits == nil || m.QuotaBytes == 0 && m.QuotaMessages == 0 {
		return nil
	}
	switch err := r.d.o.Fits(ctx, m, r.size); {
	case err == nil:
		return nil
	case err.Temporary():
		r.d.o.Log.Warn("quota not known", "service", "smtpd", "session", r.c.ID(), "to", a.String(), "cause", err)
		return nil
	case r.d.o.OverQuotaTemporary:
		return dsn.New(dsn.MailboxFullNow, r.shown+": Mailbox is full").WithCode(452)
	}
	return dsn.New(dsn.MailboxFull, r.shown+": Mailbox is full")
}

// aliasRoom is room for a target of an alias, which may be anything.
func (r recipient) aliasRoom(ctx context.Context, a addr.Address) *dsn.Error {
	if _, err := r.d.o.Directory.Domain(ctx, a.Domain); err != nil {
		return nil
	}
	box, failed := directory.Destination(r.d.o.Directory.Recipient(ctx, a))
	if failed != nil {
		return nil
	}
	return r.room(ctx, a, box)
}
