package policy

import (
	"context"

	"toastmaster/directory"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
)

// verdict is what becomes of mail for an address.
type verdict uint8

const (
	undecided verdict = iota
	foreign
	deliver
	forward
	relocated
	suspended
	overQuota
	unknown
	unexpandable
)

// decision is a verdict with its reason for the peer, without the address.
type decision struct {
	verdict verdict
	err     *dsn.Error
	// nobody: the directory has nothing of that name.
	nobody bool
	// addresses are what an alias stands for.
	addresses []addr.Address
}

// decide asks the directory about an address.
func (e *Env) decide(ctx context.Context, t *Transaction, a addr.Address) decision {
	domain, err := e.Directory.Domain(ctx, a.Domain)
	switch outcome := directory.OutcomeOf(err); {
	case outcome == directory.NotFound:
		return decision{verdict: foreign}
	case err != nil:
		return decision{err: directory.DSN(err)}
	case !domain.Enabled:
		return decision{verdict: suspended, err: dsn.New(dsn.MailboxDisabled, "Domain is disabled")}
	}
	found, err := e.Directory.Recipient(ctx, a)
	switch outcome := directory.OutcomeOf(err); {
	case outcome == directory.NotFound:
		return decision{verdict: unknown, nobody: true, err: dsn.Wrap(dsn.BadDestMailbox, "User unknown", err)}
	case err != nil:
		return decision{err: directory.DSN(err)}
	case found.Kind == directory.KindRelocated:
		return decision{verdict: relocated, err: directory.Moved(found)}
	case found.Kind == directory.KindAlias:
		return e.alias(ctx, t, a)
	case !found.Mailbox.Enabled:
		return decision{verdict: suspended, err: dsn.New(dsn.MailboxDisabled, "Mailbox is disabled")}
	}
	if full := e.room(ctx, t, a, found.Mailbox); full != nil {
		return decision{verdict: overQuota, err: full}
	}
	return decision{verdict: deliver}
}

// alias decides about an alias: it is as good as the best of what it stands for.
func (e *Env) alias(ctx context.Context, t *Transaction, a addr.Address) decision {
	addresses, err := directory.Expand(ctx, e.Directory, a, e.Aliases, nil)
	if err != nil {
		return decision{verdict: unexpandable, err: dsn.From(err)}
	}
	d := decision{verdict: unknown, addresses: addresses, err: dsn.New(dsn.BadDestMailbox, "User unknown")}
	for _, to := range addresses {
		somebody, err := directory.Somebody(ctx, e.Directory, to)
		switch {
		case err != nil:
			d.verdict, d.err = undecided, dsn.From(err)
			return d
		case !somebody:
			continue
		}
		full := e.roomOfTarget(ctx, t, to)
		if full == nil {
			d.verdict, d.err = forward, nil
			return d
		}
		d.verdict, d.err = overQuota, full
	}
	return d
}

// room refuses a mailbox that the message does not fit into, by what is known of
// its size.
func (e *Env) room(ctx context.Context, t *Transaction, a addr.Address, m directory.Mailbox) *dsn.Error {
	if e.Fits == nil || m.QuotaBytes == 0 && m.QuotaMessages == 0 {
		return nil
	}
	switch err := e.Fits(ctx, m, t.Size); {
	case err == nil:
		return nil
	case err.Temporary():
		e.Log.Warn("quota not known", "service", "smtpd", "session", t.Session, "to", a.String(), "cause", err)
		return nil
	case e.OverQuotaTemporary:
		return dsn.New(dsn.MailboxFullNow, "Mailbox is full").WithCode(452)
	}
	return dsn.New(dsn.MailboxFull, "Mailbox is full")
}

// roomOfTarget is room for a target of an alias, which may be anything.
func (e *Env) roomOfTarget(ctx context.Context, t *Transaction, a addr.Address) *dsn.Error {
	if _, err := e.Directory.Domain(ctx, a.Domain); err != nil {
		return nil
	}
	box, failed := directory.Destination(e.Directory.Recipient(ctx, a))
	if failed != nil {
		return nil
	}
	return e.room(ctx, t, a, box)
}
