package rewrite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/tables"
	"toastmaster/directory/tables/keys"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/mta/agent"
)

// Tables are those that say where mail goes. The zero Tables say nothing.
type Tables struct {
	Transport, Relocated             tables.Maps
	SenderRelayhost, SenderTransport tables.Maps
	Keys                             keys.Options

	// Of the classes of addresses: domains, and who is there.
	local, alias, relay    keys.Domains
	localUsers, relayUsers tables.Maps
	relayKeys              keys.Options
}

// OpenTables opens the tables of transport_maps, relocated_maps and those of senders, or gives those that
// are open. The error names the parameter.
func OpenTables(ctx context.Context, c *configs.Config, set *tables.Set) (Tables, error) {
	all := Tables{Keys: keys.Options{Delimiters: c.Main.RecipientDelimiter, Own: c.OwnDomain}}
	p := &c.Rewrite
	for _, row := range []struct {
		to    *tables.Maps
		param string
		names []string
	}{
		{&all.Transport, "transport_maps", p.TransportMaps}, {&all.Relocated, relocatedMaps, p.RelocatedMaps},
		{&all.SenderRelayhost, "sender_dependent_relayhost_maps", p.SenderRelayhostMaps},
		{&all.SenderTransport, "sender_dependent_default_transport_maps", p.SenderTransportMaps},
	} {
		maps, item, err := set.OpenAll(ctx, row.names)
		if err != nil {
			return Tables{}, c.MistakeIn("rewrite."+row.param, item, err)
		}
		if i := slices.IndexFunc(maps, tables.QuotesKey); i >= 0 && row.param != relocatedMaps {
			return Tables{}, c.MistakeIn("rewrite."+row.param, i, errQuotes)
		}
		*row.to = maps
	}
	return all, all.openClasses(ctx, c, set)
}

// relocatedMaps is the one that says no way: its texts are for people.
const relocatedMaps = "relocated_maps"

// errQuotes: with $1 in the text of a pattern whoever writes an address would say where his mail goes, also to
// hosts of private networks, which a table of the operator opens (agent.Route.Chosen).
var errQuotes = errors.New("a pattern has $1, or the like, in its text: the writer of an address would choose where his mail goes")

// noAnswer is why a recipient waits whose way a table cannot say.
func noAnswer(param string, err error) error {
	return dsn.Wrap(dsn.MailSystem, "Temporary lookup failure", fmt.Errorf("rewrite.%s: %w", param, err))
}

// find asks tables by a walk. found is false when they have nothing.
func find(ctx context.Context, param string, t tables.Maps, w keys.Walk) (text string, found bool, err error) {
	if len(t) == 0 {
		return "", false, nil
	}
	if param != relocatedMaps && slices.ContainsFunc(t, tables.QuotesKey) { // since its file was read again
		return "", false, noAnswer(param, errQuotes)
	}
	text, _, err = w.Lookup(ctx, t)
	switch {
	case directory.OutcomeOf(err) == directory.NotFound:
		return "", false, nil
	case err != nil:
		return "", false, noAnswer(param, err)
	}
	return strings.TrimSpace(text), true, nil
}

// moved is why a recipient gets no mail who is in relocated_maps, nil for others.
func (r *Resolver) moved(ctx context.Context, a addr.Address) (*dsn.Error, error) {
	text, found, err := find(ctx, relocatedMaps, r.tables.Relocated, keys.Address(a, r.tables.Keys))
	if !found {
		return nil, err
	}
	if to, err := addr.Parse(text); err == nil {
		text = to.Path()
	}
	return dsn.New(dsn.MailboxMoved, "User has moved; please try "+text), nil
}

// byTable is where transport_maps sends a recipient that goes by route otherwise. What is hosted here has no
// wildcard.
func (r *Resolver) byTable(ctx context.Context, a addr.Address, route agent.Route, hosted bool) (agent.Route, error) {
	w := keys.Transport(a, r.tables.Keys)
	if hosted {
		w = w[:len(w)-1]
	}
	text, found, err := find(ctx, "transport_maps", r.tables.Transport, w)
	if !found {
		return route, err
	}
	return r.routed(a, text, route), nil
}

// routed reads "transport:nexthop" as transport(5) has it, over a route that there would be otherwise.
func (r *Resolver) routed(a addr.Address, text string, otherwise agent.Route) agent.Route {
	transport, nexthop, _ := strings.Cut(text, ":")
	route := agent.Route{Transport: cmp.Or(transport, otherwise.Transport), Nexthop: nexthop, Chosen: nexthop != ""}
	switch {
	case nexthop != "":
	case transport == "":
		return otherwise
	case r.agents[transport] == "error" || r.agents[transport] == "retry":
		route.Nexthop = agent.Undeliverable
	default:
		route.Nexthop = a.Domain
	}
	return route
}

// dunno is the text of an entry that says nothing.
const dunno = "DUNNO"

// ofSender asks a table by a sender: his address, and his domain.
func (r *Resolver) ofSender(ctx context.Context, param string, t tables.Maps, sender addr.Address) (text string, err error) {
	text, found, err := find(ctx, param, t, keys.Address(sender, r.tables.Keys))
	if !found || strings.EqualFold(text, dunno) {
		return "", err
	}
	return text, nil
}

// usual is the way of mail that no table and no transport takes.
func (r *Resolver) usual(ctx context.Context, class directory.Class, sender, a addr.Address) (agent.Route, error) {
	standard, _ := r.standard(class)
	text, err := "", error(nil)
	if class == directory.DefaultClass {
		text, err = r.ofSender(ctx, "sender_dependent_default_transport_maps", r.tables.SenderTransport, sender)
	}
	if err != nil {
		return agent.Route{}, err
	}
	transport, nexthop, _ := strings.Cut(cmp.Or(text, standard), ":")
	if nexthop == "" {
		if nexthop, err = r.ofSender(ctx, "sender_dependent_relayhost_maps", r.tables.SenderRelayhost, sender); err != nil {
			return agent.Route{}, err
		}
	}
	route := agent.Route{Transport: cmp.Or(transport, "smtp"), Nexthop: cmp.Or(nexthop, r.relayhost, a.Domain), Chosen: cmp.Or(nexthop, r.relayhost) != ""}
	return route, nil
}
