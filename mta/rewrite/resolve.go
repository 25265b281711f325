package rewrite

import (
	"cmp"
	"context"
	"strings"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/msglog"
	"toastmaster/mta/agent"
)

// Options are the parameters of a Resolver.
type Options struct {
	Directory *directory.Directory
	// Hostname is main.hostname: mail for it never leaves this host.
	Hostname string
	// Relayhost is smtp.relayhost, "" to deliver directly.
	Relayhost string
	// Routes are the transports that take the mail of domains elsewhere; of what no
	// row takes the transport is that of its class, the nexthop Relayhost or the domain.
	Routes []Row
	// Params has the transports of the classes: an empty one of mailboxes is virtual, of users local, of others smtp.
	Params configs.Rewrite
	// Log has the domains that are in two classes; it may be nil.
	Log *msglog.Log
	// Tables say where mail goes before Routes do, and Agents are the agents of transports, by name.
	Tables Tables
	Agents map[string]string
	// Ours says that an address literal is one of this host; nil knows none.
	Ours func(domain string) bool
}

// Row is a transport that takes mail of domains that are not hosted here.
type Row struct {
	Transport string
	// Nexthop is where it goes, "" for the domain itself.
	Nexthop string
	// Domains are names, ".example.org" for all names below one, "*" for all.
	Domains []string
	// Refused is why nobody gets that mail, for those who are asked before it is
	// taken; nil when it goes somewhere.
	Refused *dsn.Error
}

// Resolver is an agent.Resolver over a directory. Safe for concurrent use.
type Resolver struct {
	directory *directory.Directory
	hostname  string
	relayhost string
	routes    map[string]Row // by domain, in lower case
	ours      func(domain string) bool
	params    configs.Rewrite
	tables    Tables
	agents    map[string]string
	log       *msglog.Log
	twice     twice
}

// New makes a Resolver.
func New(o Options) *Resolver {
	r := &Resolver{directory: o.Directory, hostname: strings.ToLower(o.Hostname), relayhost: o.Relayhost, routes: map[string]Row{}, ours: o.Ours, params: o.Params, tables: o.Tables, agents: o.Agents, log: o.Log}
	for _, row := range o.Routes {
		for _, domain := range row.Domains {
			r.routes[routeKey(domain)] = row
		}
	}
	return r
}

// Resolve implements agent.Resolver. The error is a *dsn.Error when the
// directory could not say; the recipient must wait then.
func (r *Resolver) Resolve(ctx context.Context, sender, a addr.Address) (agent.Route, error) {
	if a.Domain == "" {
		return refuse(a, dsn.New(dsn.BadDestMailbox, "User unknown")), nil
	}
	if gone, err := r.moved(ctx, a); gone != nil || err != nil {
		return refuse(a, gone), err
	}
	switch decided := r.directory.Decide(ctx, a, directory.Question{Expanded: true}); decided.Verdict {
	case directory.Deliver:
		if err := r.inTwo(ctx, a.Domain, directory.MailboxClass); err != nil {
			return agent.Route{}, err
		}
		return r.byTable(ctx, a, way(r.params.VirtualTransport, "virtual", a.Domain), true)
	case directory.Foreign:
		return r.elsewhere(ctx, sender, a)
	case directory.Undecided:
		return agent.Route{}, decided.Err
	default:
		return refuse(a, decided.Err), nil
	}
}

// Refused says why mail for an address would go to nobody, so that it need not be taken; nil when it
// goes somewhere. Of an address that is hosted here only whether it has moved is asked.
func (r *Resolver) Refused(ctx context.Context, a addr.Address, hosted bool) *dsn.Error {
	_, taken := r.routes[a.Domain] // the agent local has our own name's mail
	gone, err := r.moved(ctx, a)
	switch {
	case err != nil:
		return dsn.From(err)
	case gone != nil || hosted:
		return gone
	case a.Domain == r.hostname && !taken:
		return dsn.New(dsn.BadDestMailbox, "User unknown")
	}
	row, _ := r.route(a.Domain)
	class, err := r.classOf(ctx, a.Domain)
	if err != nil {
		return dsn.From(err)
	}
	bySender := class == directory.DefaultClass && len(r.tables.SenderTransport) > 0 // for some it may be another transport
	if standard, ok := r.standard(class); ok && row.Transport == "" && !bySender {
		// The text of a nexthop is a reason for these two.
		transport, nexthop, _ := strings.Cut(standard, ":")
		row.Refused = RefusedBy(r.agents[transport], cmp.Or(nexthop, agent.Undeliverable))
	}
	route, err := r.byTable(ctx, a, agent.Route{}, false)
	switch {
	case err != nil:
		return dsn.From(err)
	case route.Transport == "":
		return row.Refused
	}
	return RefusedBy(r.agents[route.Transport], route.Nexthop)
}

// RefusedBy is what smtpd says to mail that a transport would refuse, nil when its agent delivers. A reason without a
// status is one about the address then, as for Postfix's smtpd.
func RefusedBy(by, reason string) *dsn.Error {
	var status dsn.Status
	code := 550
	switch by {
	case "error":
		status = dsn.BadDestMailbox
	case "retry":
		status, code = dsn.Make(4, 1, 1), 450
	default:
		return nil
	}
	status, text := dsn.Split(reason, status)
	return dsn.New(status, cmp.Or(text, agent.Undeliverable)).WithCode(code)
}

// Elsewhere is by which transport mail for an address that is not hosted here goes, and to
// which nexthop.
func (r *Resolver) Elsewhere(ctx context.Context, a addr.Address) (transport, nexthop string) {
	route, err := r.elsewhere(ctx, addr.Address{}, a)
	if err != nil {
		return "retry", dsn.From(err).Text
	}
	return route.Transport, route.Nexthop
}

// elsewhere routes what is not hosted here.
func (r *Resolver) elsewhere(ctx context.Context, sender, a addr.Address) (agent.Route, error) {
	class, err := r.classOf(ctx, a.Domain)
	if err != nil {
		return agent.Route{}, err
	}
	_, taken := r.routes[a.Domain] // the agent local has our own name's mail
	switch {
	case class == directory.AliasClass:
		return refuse(a, errNoAlias()), nil
	case a.Domain == r.hostname && !taken && class != directory.LocalClass:
		return refuse(a, dsn.New(dsn.BadDestMailbox, "User unknown")), nil
	case r.ours != nil && r.ours(a.Domain):
		return refuse(a, dsn.Newf(dsn.LoopDetected, "Mail for %s loops back to this host", a.Domain)), nil
	}
	if row, ok := r.route(a.Domain); ok {
		return r.byTable(ctx, a, agent.Route{Transport: row.Transport, Nexthop: cmp.Or(row.Nexthop, a.Domain)}, false)
	}
	if class == directory.LocalClass {
		return r.byTable(ctx, a, way(r.params.LocalTransport, "local", a.Domain), true)
	}
	usual, err := r.usual(ctx, class, sender, a)
	if err != nil {
		return usual, err
	}
	return r.byTable(ctx, a, usual, false)
}

// route finds the row of a domain as Postfix's transport(5) does: the domain, then each
// name above it with a dot in front, then "*".
func (r *Resolver) route(domain string) (Row, bool) {
	if row, ok := r.routes[domain]; ok {
		return row, true
	}
	for rest := domain; !strings.HasPrefix(domain, "["); {
		_, above, ok := strings.Cut(rest, ".")
		if !ok {
			break
		}
		if row, ok := r.routes["."+above]; ok {
			return row, true
		}
		rest = above
	}
	row, ok := r.routes["*"]
	return row, ok
}

// routeKey is a domain of a row as addresses have it.
func routeKey(domain string) string {
	name, below := strings.CutPrefix(domain, ".")
	if parsed, err := addr.ParseDomain(name); err == nil {
		name = parsed
	}
	if below {
		return "." + name
	}
	return name
}

// refuse routes to the error agent; the destination is the domain, so that a
// listing by destination makes sense.
func refuse(a addr.Address, err *dsn.Error) agent.Route {
	return agent.Route{Transport: "error", Nexthop: a.Domain, Err: err}
}
