package directory

import (
	"context"

	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
)

// Verdict is what becomes of mail for an address.
type Verdict uint8

// The verdicts, with the status of Decision.Err.
const (
	// Undecided is the directory's failure: 4.3.0, or 4.3.5 when misconfigured.
	Undecided Verdict = iota
	// Foreign is an address of a domain that is not hosted here. Whether it may
	// be relayed is not the directory's to say: no error.
	Foreign
	// Deliver is a mailbox that takes the mail: no error.
	Deliver
	// Forward is an alias of which somebody takes the mail: no error.
	Forward
	// Relocated has moved: 5.1.6 with the new address.
	Relocated
	// Suspended is a disabled domain or mailbox: 5.2.1.
	Suspended
	// OverQuota is a mailbox without room for the message: 5.2.2, or 452 4.2.2.
	OverQuota
	// Unknown is nobody of a hosted domain: 5.1.1.
	Unknown
	// Unexpandable is an alias that leads to itself, 5.4.6, or stands for too
	// much, 4.3.5.
	Unexpandable
)

// String names the verdict as the API does.
func (v Verdict) String() string {
	switch v {
	case Foreign:
		return "foreign"
	case Deliver:
		return "deliver"
	case Forward:
		return "forward"
	case Relocated:
		return "relocated"
	case Suspended:
		return "suspended"
	case OverQuota:
		return "over quota"
	case Unknown:
		return "unknown"
	case Unexpandable:
		return "unexpandable"
	}
	return "undecided"
}

// Question is how Decide is asked. The zero Question is about an address that
// aliases may still be followed for, whatever room there is, within no limits.
type Question struct {
	// Expanded says that aliases have been followed: an alias that is met now has
	// named itself, or was made since, and is what stands beside it.
	Expanded bool
	// Aliases bound an expansion.
	Aliases Limits
	// Fits says whether a message of Size octets, 0 when that is not known, fits
	// into a mailbox that has a quota. Its temporary error is "not known", which
	// refuses nobody. Nil does not ask.
	Fits func(ctx context.Context, box Mailbox, size int64) *dsn.Error
	Size int64
	// OverQuotaTemporary lets the sender try again (qmgr.over_quota_temporary).
	OverQuotaTemporary bool
}

// Decision is what becomes of mail for an address, and why.
type Decision struct {
	Verdict Verdict
	// Err is for the peer, without the address; nil for Foreign, Deliver and
	// Forward.
	Err *dsn.Error
	// Domain is that of the address, unless it is Foreign or Undecided.
	Domain Domain
	// Found is what the address is, when it is something.
	Found Recipient
	// Addresses are what an alias stands for (Expand).
	Addresses []addr.Address
	// QuotaUnknown is why the room of a mailbox could not be told. It is for the
	// log: the mailbox counts as one with room.
	QuotaUnknown *dsn.Error
}

// Taken says that mail for the address is not refused: a mailbox or an alias
// here, or an address elsewhere.
func (d Decision) Taken() bool {
	return d.Verdict == Deliver || d.Verdict == Forward || d.Verdict == Foreign
}

// Decide is THE decision about a recipient: whoever takes, routes or delivers
// mail asks it, so that they never differ. A disabled domain comes first: what is
// in it is not told.
func (d *Directory) Decide(ctx context.Context, a addr.Address, q Question) Decision {
	domain, found, err := d.resolve(ctx, a)
	switch outcome := OutcomeOf(err); {
	case outcome == NotFound && domain.Name == "":
		return Decision{Verdict: Foreign}
	case outcome != Found && outcome != NotFound:
		return Decision{Err: DSN(err)}
	case !domain.Enabled:
		return Decision{Verdict: Suspended, Domain: domain, Err: dsn.New(dsn.MailboxDisabled, "Domain is disabled")}
	}
	one := Decision{Domain: domain, Found: found}
	if q.Aliases.Virtual != nil && !q.Expanded {
		targets, has, failed := q.Aliases.Virtual(ctx, a)
		if failed != nil {
			return Decision{Err: dsn.From(failed)}
		}
		if has {
			one.Found = Recipient{Kind: KindAlias, Matched: a.Fold(), Targets: targets}
			return d.forward(ctx, a, q, one)
		}
	}
	if err != nil {
		return Decision{Verdict: Unknown, Domain: domain, Err: dsn.Wrap(dsn.BadDestMailbox, "User unknown", err)}
	}
	switch {
	case found.Kind == KindRelocated:
		one.Verdict, one.Err = Relocated, moved(found)
		return one
	case found.Kind == KindAlias && !q.Expanded:
		return d.forward(ctx, a, q, one)
	case found.Mailbox.Home == "":
		one.Verdict = Unknown
		one.Err = dsn.New(dsn.BadDestMailbox, "User unknown: the address is an alias and has no mailbox")
		return one
	case !found.Mailbox.Enabled:
		one.Verdict, one.Err = Suspended, dsn.New(dsn.MailboxDisabled, "Mailbox is disabled")
		return one
	}
	return room(ctx, q, one)
}

// forward decides about an alias: it is as good as the best of what it stands
// for. When nobody takes the mail the reason is that of a full mailbox, which may
// pass, or that of the first.
func (d *Directory) forward(ctx context.Context, a addr.Address, q Question, one Decision) Decision {
	addresses, err := Expand(ctx, d, a, q.Aliases, nil)
	if err != nil {
		one.Err = dsn.From(err)
		if IsUnexpandable(err) {
			one.Verdict = Unexpandable
		}
		return one
	}
	one.Addresses = addresses
	q.Expanded = true
	for i, to := range addresses {
		target := d.Decide(ctx, to, q)
		if target.QuotaUnknown != nil {
			one.QuotaUnknown = target.QuotaUnknown
		}
		switch {
		case target.Taken():
			one.Verdict, one.Err = Forward, nil
			return one
		case target.Verdict == Undecided:
			one.Verdict, one.Err = Undecided, target.Err
			return one
		case i == 0, target.Verdict == OverQuota && one.Verdict != OverQuota:
			one.Verdict, one.Err = target.Verdict, target.Err
		}
	}
	if one.Verdict == Unknown {
		one.Err = dsn.New(dsn.BadDestMailbox, "User unknown")
	}
	return one
}

// room decides about a mailbox that could take mail.
func room(ctx context.Context, q Question, one Decision) Decision {
	box := one.Found.Mailbox
	one.Verdict = Deliver
	if q.Fits == nil || box.QuotaBytes == 0 && box.QuotaMessages == 0 {
		return one
	}
	switch err := q.Fits(ctx, box, q.Size); {
	case err == nil:
	case err.Temporary():
		one.QuotaUnknown = err
	case q.OverQuotaTemporary:
		one.Verdict, one.Err = OverQuota, dsn.New(dsn.MailboxFullNow, "Mailbox is full").WithCode(452)
	default:
		one.Verdict, one.Err = OverQuota, dsn.New(dsn.MailboxFull, "Mailbox is full")
	}
	return one
}

// moved is the answer for a relocated address. A new address is written as a
// path, as RFC 5321 section 3.4 wants it; text for people stays as it is.
func moved(found Recipient) *dsn.Error {
	to := found.MovedTo
	if a, err := addr.Parse(to); err == nil {
		to = a.Path()
	}
	return dsn.New(dsn.MailboxMoved, "User has moved; please try "+to)
}

// Destination is Decide for those who deliver: aliases have been followed, and an
// address of a domain that is not hosted here is nobody's.
func (d *Directory) Destination(ctx context.Context, a addr.Address) Decision {
	decided := d.Decide(ctx, a, Question{Expanded: true})
	if decided.Verdict == Foreign {
		decided.Verdict = Unknown
		decided.Err = dsn.Wrap(dsn.BadDestMailbox, "User unknown", Missing("domains", a.Domain))
	}
	return decided
}
