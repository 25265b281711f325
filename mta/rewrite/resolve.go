package rewrite

import (
	"cmp"
	"context"
	"strings"

	"toastmaster/directory"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/mta/agent"
)

// Options are the parameters of a Resolver.
type Options struct {
	// Hostname is main.hostname: mail for it never leaves this host.
	Hostname string
	// Relayhost is smtp.relayhost, "" to deliver directly.
	Relayhost string
	// Ours says that an address literal is one of this host; nil knows none.
	Ours func(domain string) bool
}

// Resolver is an agent.Resolver over a directory. Safe for concurrent use.
type Resolver struct {
	directory directory.Directory
	hostname  string
	relayhost string
	ours      func(domain string) bool
}

// New makes a Resolver.
func New(d directory.Directory, o Options) *Resolver {
	return &Resolver{directory: d, hostname: strings.ToLower(o.Hostname), relayhost: o.Relayhost, ours: o.Ours}
}

// Resolve implements agent.Resolver. The error is a *dsn.Error when the
// directory could not say; the recipient must wait then.
func (r *Resolver) Resolve(ctx context.Context, a addr.Address) (agent.Route, error) {
	if a.Domain == "" {
		return refuse(a, dsn.New(dsn.BadDestMailbox, "User unknown")), nil
	}
	domain, err := r.directory.Domain(ctx, a.Domain)
	switch {
	case directory.OutcomeOf(err) == directory.NotFound && a.Domain == r.hostname:
		return refuse(a, dsn.New(dsn.BadDestMailbox, "User unknown")), nil
	case directory.OutcomeOf(err) == directory.NotFound && r.ours != nil && r.ours(a.Domain):
		return refuse(a, dsn.Newf(dsn.LoopDetected, "Mail for %s loops back to this host", a.Domain)), nil
	case directory.OutcomeOf(err) == directory.NotFound:
		return r.outside(a), nil
	case err != nil:
		return agent.Route{}, directory.DSN(err)
	case !domain.Enabled:
		return refuse(a, dsn.New(dsn.MailboxDisabled, "Domain is disabled")), nil
	}
	return r.hosted(ctx, a)
}

func (r *Resolver) hosted(ctx context.Context, a addr.Address) (agent.Route, error) {
	found, err := r.directory.Recipient(ctx, a)
	_, failed := directory.Destination(found, err)
	switch {
	case failed == nil:
		return agent.Route{Transport: "virtual", Nexthop: a.Domain}, nil
	case err != nil && directory.OutcomeOf(err) != directory.NotFound:
		return agent.Route{}, failed
	}
	return refuse(a, failed), nil
}

func (r *Resolver) outside(a addr.Address) agent.Route {
	return agent.Route{Transport: "smtp", Nexthop: cmp.Or(r.relayhost, a.Domain)}
}

// refuse routes to the error agent; the destination is the domain, so that a
// listing by destination makes sense.
func refuse(a addr.Address, err *dsn.Error) agent.Route {
	return agent.Route{Transport: "error", Nexthop: a.Domain, Err: err}
}
