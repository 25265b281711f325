package policy

import (
	"context"
	"strings"

	"toastmaster/directory"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
)

// destination is where mail for the present recipient goes. It is found once,
// when the first restriction asks.
type destination struct {
	directory.Decision
	asked bool
	final addr.Address
	// standsIn: final is smtpd.postmaster, in the place of the recipient.
	standsIn bool
	// class is that of a domain which is not in the directory; refused is why nobody
	// there has the address.
	class   directory.Class
	refused *dsn.Error
}

// destination finds where mail for the present recipient goes, and what the
// directory says about it. This is the only place that asks.
func (e *Env) destination(ctx context.Context, t *Transaction) *destination {
	d := &t.dest
	if d.asked {
		return d
	}
	d.asked, d.final = true, t.Recipient
	if t.given.Domain == "" && isPostmaster(t.given) && !e.Postmaster.IsNull() {
		d.final, d.standsIn = e.Postmaster, true
	}
	e.find(ctx, t, d)
	e.mapped(ctx, d, true)
	if !d.standsIn && e.needsPostmaster(d) {
		d.final, d.standsIn = e.Postmaster, true
		e.find(ctx, t, d)
	}
	return d
}

// find asks about d.final: the directory, and of what is not hosted there the other classes of addresses.
func (e *Env) find(ctx context.Context, t *Transaction, d *destination) {
	d.Decision, d.class, d.refused = e.decide(ctx, t, d.final), directory.DefaultClass, nil
	if d.Verdict != directory.Foreign || e.Class == nil {
		return
	}
	var err error
	if d.class, d.refused, err = e.Class(ctx, d.final); err != nil {
		d.Decision = directory.Decision{Err: dsn.From(err)}
	}
}

// listed says that a class other than the directory's has the recipient's domain.
func (d *destination) listed() bool { return d.class != directory.DefaultClass }

// decide asks the directory about an address.
func (e *Env) decide(ctx context.Context, t *Transaction, a addr.Address) directory.Decision {
	decided := e.Directory.Decide(ctx, a, directory.Question{
		Aliases: e.Aliases, Fits: e.Fits, Size: t.Size, OverQuotaTemporary: e.OverQuotaTemporary,
	})
	if decided.QuotaUnknown != nil {
		e.Log.Warn("quota not known", "service", e.logService(), "session", t.Session, "to", a.String(), "cause", decided.QuotaUnknown)
	}
	return decided
}

// mapped lets an unknown address pass that cleanup maps to another one, or expands; whether it can be expanded is looked
// at for recipients: without expand it is a sender.
func (e *Env) mapped(ctx context.Context, d *destination, expand bool) {
	if e.Mapped == nil || d.Verdict != directory.Unknown && !(d.Verdict == directory.Foreign && d.listed()) {
		return
	}
	switch is, err := e.Mapped(ctx, d.final, !expand); {
	case err != nil:
		d.Verdict, d.Err = directory.Undecided, directory.DSN(err)
	case is && d.listed():
		if d.refused = nil; expand {
			e.expanded(ctx, d)
		}
	case is:
		d.Verdict, d.Err = directory.Forward, nil
	}
}

// expanded counts what an address stands for that no directory has.
func (e *Env) expanded(ctx context.Context, d *destination) {
	addresses, err := directory.Expand(ctx, e.Directory, d.final, e.Aliases, nil)
	switch {
	case err == nil:
		d.Addresses = addresses
	case directory.IsUnexpandable(err):
		d.refused = dsn.From(err)
	default:
		d.Decision = directory.Decision{Err: dsn.From(err)}
	}
}

// needsPostmaster says that smtpd.postmaster stands in for the recipient, whom
// nobody else is.
func (e *Env) needsPostmaster(d *destination) bool {
	a := d.final
	here := a.Domain == e.Hostname || e.ours(a.Domain)
	switch {
	case e.Postmaster.IsNull() || a.Equal(e.Postmaster) || d.listed() && d.refused == nil:
		return false
	case !isPostmaster(a) && !(here && strings.EqualFold(a.Local, "root")): // what programs of this host write to
		return false
	}
	return d.Verdict == directory.Foreign && here || d.Verdict == directory.Unknown && d.Found.Kind == 0
}

func isPostmaster(a addr.Address) bool { return strings.EqualFold(a.Local, "postmaster") }

// literal says that the recipient is at an address of this host that nobody
// hosts.
func (e *Env) literal(d *destination) bool {
	return d.Verdict == directory.Foreign && e.ours(d.final.Domain)
}

// authorised says that everybody may write to the recipient: it is here, or where
// the operator wants mail for postmaster. An address at this host that nobody
// hosts would come back to us.
func (e *Env) authorised(d *destination) bool {
	if d.class == directory.RelayClass && saysItsRoute(d.final) {
		return false // the host that has the domain would send it on, to the world, for anybody (Postfix allow_untrusted_routing)
	}
	return d.Verdict != directory.Foreign || d.listed() || e.ours(d.final.Domain) || d.standsIn && d.final.Domain != e.Hostname
}

// saysItsRoute says that a local part names another host: user%host, host!user, "user@host".
func saysItsRoute(a addr.Address) bool { return strings.ContainsAny(a.Local, "%!@") }

// nobody says why mail for an address would go to nobody whatever the directory says, nil when it goes
// somewhere.
func (e *Env) nobody(ctx context.Context, d *destination) *dsn.Error {
	switch {
	case e.literal(d):
		return dsn.New(dsn.LoopDetected, "This host's own address, and no such user here").WithCode(550)
	case d.refused != nil:
		return d.refused
	case d.Verdict != directory.Undecided && e.Refused != nil:
		return e.Refused(ctx, d.final, d.listed() && d.class != directory.RelayClass || d.Verdict != directory.Foreign)
	}
	return nil
}

// Decide is what the restrictions about recipients know of an address, for who asks
// without a session: given as a client would write it, qualified with a domain. It is the
// directory's decision, with smtpd.postmaster where that stands in; Foreign has an Err where
// the mail would go to nobody.
func (e *Env) Decide(ctx context.Context, given, qualified addr.Address) directory.Decision {
	t := &Transaction{}
	t.SetRecipient(given, qualified)
	d := e.destination(ctx, t)
	out := d.Decision
	switch err := e.nobody(ctx, d); {
	case err != nil:
		out.Err = err
	case d.standsIn && out.Verdict == directory.Foreign:
		out.Verdict, out.Addresses = directory.Forward, []addr.Address{d.final}
	case d.listed() && len(d.Addresses) > 0 && out.Verdict == directory.Foreign:
		out.Verdict = directory.Forward
	}
	return out
}

// Final is where mail for the present recipient goes, and for an alias how many
// addresses it stands for, 0 for others.
func (e *Env) Final(ctx context.Context, t *Transaction) (a addr.Address, addresses int) {
	d := e.destination(ctx, t)
	return d.final, len(d.Addresses)
}

// named is an error with the recipient in front, as the client wrote it: not
// where it leads.
func (t *Transaction) named(e *dsn.Error) *dsn.Error {
	c := *e
	c.Text = t.Recipient.Path() + ": " + e.Text
	return &c
}
