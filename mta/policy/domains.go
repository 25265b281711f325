package policy

import (
	"context"
	"slices"
	"strings"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/internal/addr"
	"toastmaster/internal/dns"
	"toastmaster/internal/dsn"
)

// mailable is what name servers say about mail for a domain.
type mailable struct {
	outcome dns.Outcome
	// null is the null MX, alone or beside others: the domain sends and takes no mail
	// (RFC 7505).
	null bool
}

// mailable asks whether a domain can have mail.
func (e *Env) mailable(ctx context.Context, t *Transaction, domain string) (m mailable) {
	if e.DNS == nil {
		return mailable{outcome: dns.NoAnswer}
	}
	m.outcome = t.once("mail "+domain, func() dns.Outcome {
		m = e.askMailable(ctx, domain)
		return m.outcome
	})
	return m
}

// askMailable asks for MX, A and AAAA until one is there.
func (e *Env) askMailable(ctx context.Context, domain string) mailable {
	trouble := false
	mx, err := e.DNS.MX(ctx, domain)
	switch dns.OutcomeOf(err) {
	case dns.Found:
		return mailable{null: slices.ContainsFunc(mx.Records, func(m dns.MX) bool { return m.Host == "" })}
	case dns.NoAnswer:
		trouble = true
	}
	// A no to MX is none to the addresses, also when it denies the name: some balancers deny every name whose type
	// they do not know (RFC 4074), and mail for it is delivered to its address.
	_, err = e.DNS.Addresses(ctx, dns.Any, domain)
	switch o := dns.OutcomeOf(err); {
	case o == dns.Found || !trouble:
		return mailable{outcome: o}
	}
	return mailable{outcome: dns.NoAnswer}
}

// rejectUnknownSenderDomain is reject_unknown_sender_domain.
func rejectUnknownSenderDomain(_ Stage, e *Env) Check {
	return CheckFunc(func(ctx context.Context, t *Transaction) Decision {
		if t.Sender.IsNull() {
			return Decision{}
		}
		return e.unknownDomain(ctx, t, t.Sender, unknownDomainReplies{
			about: t.about(Mail), notFound: dsn.Make(4, 1, 8), nullCode: 550, null: dsn.Make(5, 7, 27),
		})
	})
}

// rejectUnknownRecipientDomain is reject_unknown_recipient_domain.
func rejectUnknownRecipientDomain(_ Stage, e *Env) Check {
	return CheckFunc(func(ctx context.Context, t *Transaction) Decision {
		return e.unknownDomain(ctx, t, t.Recipient, unknownDomainReplies{
			about: t.about(Rcpt), notFound: dsn.Make(4, 1, 2), nullCode: 556, null: dsn.Make(5, 1, 10),
		})
	})
}

// unknownDomainReplies are those about a sender, or a recipient.
type unknownDomainReplies struct {
	about    string
	notFound dsn.Status
	nullCode int
	null     dsn.Status
}

// unknownDomain asks name servers about the domain of an address that is not here.
func (e *Env) unknownDomain(ctx context.Context, t *Transaction, a addr.Address, r unknownDomainReplies) Decision {
	if strings.HasPrefix(a.Domain, "[") || a.Domain == e.Hostname {
		return Decision{}
	}
	switch d := e.decide(ctx, t, addr.Address{Local: "postmaster", Domain: a.Domain}); d.Verdict {
	case directory.Undecided:
		return refuse(d.Err)
	case directory.Foreign:
		if e.Class == nil {
			break
		}
		switch class, _, err := e.Class(ctx, addr.Address{Local: "postmaster", Domain: a.Domain}); {
		case err != nil:
			return refuse(dsn.From(err))
		case class == directory.LocalClass || class == directory.AliasClass:
			return Decision{}
		}
	default:
		return Decision{} // hosted here
	}
	m := e.mailable(ctx, t, a.Domain)
	switch {
	case m.null:
		return refuse(coded(r.nullCode, r.null, r.about+"Domain "+a.Domain+" does not accept mail (nullMX)"))
	case m.outcome == dns.Found:
		return Decision{}
	case m.outcome == dns.NoAnswer:
		return e.tempfail(e.UnknownAddressTempfail, dsn.New(r.notFound, r.about+"Domain not found").WithCode(450))
	}
	return refuse(coded(e.Codes.UnknownAddress, r.notFound, r.about+"Domain not found"))
}

// unknownHelo is reject_unknown_helo_hostname.
func unknownHelo(ctx context.Context, e *Env, t *Transaction) Decision {
	text, status := t.about(Helo)+"Host not found", dsn.Make(4, 7, 1)
	switch e.mailable(ctx, t, t.Helo).outcome {
	case dns.Found:
		return Decision{}
	case dns.NoAnswer:
		return e.tempfail(e.UnknownHeloTempfail, dsn.New(status, text).WithCode(450))
	}
	return refuse(coded(e.Codes.UnknownHostname, status, text))
}

// tempfail is what a restriction says that could not find out: at once, or when nothing else
// refuses.
func (e *Env) tempfail(action configs.Tempfail, err *dsn.Error) Decision {
	if action == configs.TempfailDefer {
		return Decision{Action: Defer, Err: err}
	}
	return Decision{Action: DeferIfPermit, Err: err}
}
