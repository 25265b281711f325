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
	directory *directory.Directory
	hostname  string
	relayhost string
	ours      func(domain string) bool
}

// New makes a Resolver.
func New(d *directory.Directory, o Options) *Resolver {
	return &Resolver{directory: d, hostname: strings.ToLower(o.Hostname), relayhost: o.Relayhost, ours: o.Ours}
}

// Resolve implements agent.Resolver. The error is a *dsn.Error when the
// directory could not say; the recipient must wait then.
func (r *Resolver) Resolve(ctx context.Context, a addr.Address) (agent.Route, error) {
	if a.Domain == "" {
		return refuse(a, dsn.New(dsn.BadDestMailbox, "User unknown")), nil
	}
	switch decided := r.directory.Decide(ctx, a, directory.Question{Expanded: true}); decided.Verdict {
	case directory.Deliver:
		return agent.Route{Transport: "virtual", Nexthop: a.Domain}, nil
	case directory.Foreign:
		return r.elsewhere(a), nil
	case directory.Undecided:
		return agent.Route{}, decided.Err
	default:
		return refuse(a, decided.Err), nil
	}
}

// elsewhere routes what is not hosted here.
func (r *Resolver) elsewhere(a addr.Address) agent.Route {
	switch {
	case a.Domain == r.hostname:
		return refuse(a, dsn.New(dsn.BadDestMailbox, "User unknown"))
	case r.ours != nil && r.ours(a.Domain):
		return refuse(a, dsn.Newf(dsn.LoopDetected, "Mail for %s loops back to this host", a.Domain))
	}
	return agent.Route{Transport: "smtp", Nexthop: cmp.Or(r.relayhost, a.Domain)}
}

// refuse routes to the error agent; the destination is the domain, so that a
// listing by destination makes sense.
func refuse(a addr.Address, err *dsn.Error) agent.Route {
	return agent.Route{Transport: "error", Nexthop: a.Domain, Err: err}
}
