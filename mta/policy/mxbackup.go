package policy

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"toastmaster/directory"
	"toastmaster/internal/dns"
	"toastmaster/internal/dsn"
	"toastmaster/internal/service"
)

// permitMXBackup is permit_mx_backup: a recipient in a domain of ours, or in one that has this host as mail exchanger
// behind a better one. Where this host is the best, its mail would come back, and is not permitted.
func permitMXBackup(_ Stage, e *Env) Check {
	return CheckFunc(func(ctx context.Context, t *Transaction) Decision {
		d := e.destination(ctx, t)
		switch {
		case d.Verdict == directory.Undecided:
			return Decision{} // reject_unauth_destination says so
		case e.authorised(d):
			return Decision{Action: Permit}
		case e.DNS == nil, strings.HasPrefix(d.final.Domain, "["), saysItsRoute(d.final):
			return Decision{}
		}
		mx, err := e.DNS.MX(ctx, d.final.Domain)
		switch dns.OutcomeOf(err) {
		case dns.Found:
			return e.backup(ctx, t, mx.Records)
		case dns.NoAnswer:
			return unknownMX(t, "Unable to look up mail exchanger information")
		}
		return Decision{}
	})
}

// unknownMX is said where it is not known whether a domain has this host as mail exchanger: nobody is refused for good.
func unknownMX(t *Transaction, text string) Decision {
	return Decision{Action: DeferIfReject, Err: dsn.New(dsn.Make(4, 4, 4), t.about(Rcpt)+text).WithCode(450)}
}

// backup says whether this host stands behind the best of these mail exchangers.
func (e *Env) backup(ctx context.Context, t *Transaction, list []dns.MX) Decision {
	const most = 20 // a domain with a hundred exchangers is somebody's joke
	slices.SortStableFunc(list, func(a, b dns.MX) int { return int(a.Preference) - int(b.Preference) })
	list = list[:min(len(list), most)]
	best := list[0].Preference
	ours, unknown := false, ""
	for _, x := range list {
		own, known := e.isOurs(ctx, t, x.Host)
		switch {
		case x.Host == "": // the null MX: no mail at all
			return Decision{}
		case own && x.Preference == best:
			return Decision{}
		case !known:
			unknown = x.Host
		}
		ours = ours || own
	}
	switch {
	case !ours && unknown != "":
		return unknownMX(t, "Unable to look up mail exchanger host "+unknown)
	case !ours:
		return Decision{}
	}
	for _, x := range list {
		if x.Preference != best {
			break
		}
		if in, known := e.inBackupNetworks(ctx, t, x.Host); !known {
			return unknownMX(t, "Unable to verify host "+x.Host+" as mail exchanger")
		} else if !in {
			return Decision{}
		}
	}
	return Decision{Action: Permit}
}

// addressesOf asks for the addresses of a mail exchanger.
func (e *Env) addressesOf(ctx context.Context, t *Transaction, host string) (found []netip.Addr, known bool) {
	o := t.once("mx "+host, func() dns.Outcome {
		a, err := e.DNS.Host(ctx, dns.Any, host)
		found = a.Records
		return dns.OutcomeOf(err)
	})
	return found, o != dns.NoAnswer
}

// isOurs says that a mail exchanger is this host.
func (e *Env) isOurs(ctx context.Context, t *Transaction, host string) (own, known bool) {
	if host == "" || strings.EqualFold(host, e.Hostname) {
		return host != "", true
	}
	found, known := e.addressesOf(ctx, t, host)
	return e.OwnMX != nil && slices.ContainsFunc(found, e.OwnMX), known
}

// inBackupNetworks says that all addresses of a host are in smtpd.permit_mx_backup_networks.
func (e *Env) inBackupNetworks(ctx context.Context, t *Transaction, host string) (in, known bool) {
	if len(e.MXBackupNetworks) == 0 {
		return true, true
	}
	found, known := e.addressesOf(ctx, t, host)
	outside := func(a netip.Addr) bool { return !service.InNetworks(e.MXBackupNetworks, a) }
	return len(found) > 0 && !slices.ContainsFunc(found, outside), known
}
