package rewrite

import (
	"context"
	"errors"
	"strings"
	"sync"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/tables"
	"toastmaster/directory/tables/keys"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/mta/agent"
)

// openClasses opens the tables of the classes of addresses. The error names the parameter.
func (all *Tables) openClasses(ctx context.Context, c *configs.Config, set *tables.Set) error {
	for _, row := range []struct {
		to    *keys.Domains
		param string
		items []string
	}{
		{&all.local, "rewrite.mydestination", c.Rewrite.MyDestination}, {&all.alias, "rewrite.virtual_alias_domains", c.VirtualAliasItems()},
		{&all.relay, "rewrite.relay_domains", c.Rewrite.RelayDomains},
	} {
		list, item, err := keys.OpenDomains(ctx, set, row.items)
		if err != nil {
			return c.MistakeIn(row.param, item, err)
		}
		*row.to = list
	}
	for _, row := range []struct {
		to    *tables.Maps
		param string
		names []string
	}{{&all.relayUsers, "rewrite.relay_recipient_maps", c.Rewrite.RelayRecipientMaps}, {&all.localUsers, "local.recipient_maps", c.Local.RecipientTables()}} {
		maps, item, err := set.OpenAll(ctx, row.names)
		if err != nil {
			return c.MistakeIn(row.param, item, err)
		}
		*row.to = maps
	}
	for _, name := range c.Main.ParentMatches {
		all.relayKeys.ParentMatches = all.relayKeys.ParentMatches || name == configs.ParentRelay
	}
	return nil
}

// Class is the class of an address whose domain is not in the directory, and why nobody there has the address by
// rewrite.relay_recipient_maps or local.recipient_maps; in a domain of aliases nobody has: who asks knows of these. The
// error is a *dsn.Error: a table has no answer, and nobody can say.
func (r *Resolver) Class(ctx context.Context, a addr.Address) (class directory.Class, refused *dsn.Error, err error) {
	class, err = r.classOf(ctx, a.Domain)
	var users tables.Maps
	text := ""
	switch class {
	case directory.AliasClass:
		return class, errNoAlias(), err
	case directory.LocalClass:
		users, text = r.tables.localUsers, "User unknown in local recipient table"
	case directory.RelayClass:
		users, text = r.tables.relayUsers, "User unknown in relay recipient table"
	}
	if err != nil || len(users) == 0 {
		return class, nil, err
	}
	o := r.tables.Keys
	o.Own = func(string) bool { return class == directory.LocalClass }
	switch _, _, err := keys.Address(a, o).Lookup(ctx, users); {
	case err == nil:
		return class, nil, nil
	case directory.OutcomeOf(err) == directory.NotFound:
		return class, dsn.New(dsn.BadDestMailbox, text), nil
	default:
		return class, nil, noAnswer("recipient_maps", err)
	}
}

// errNoAlias is about an address of a domain of aliases that stands for nobody.
func errNoAlias() *dsn.Error {
	return dsn.New(dsn.BadDestMailbox, "User unknown in virtual alias table")
}

// classOf is the class of a domain that is not in the directory: the first that has it, as in Postfix.
func (r *Resolver) classOf(ctx context.Context, domain string) (directory.Class, error) {
	if strings.HasPrefix(domain, "[") {
		return directory.DefaultClass, nil
	}
	for _, c := range r.classLists() {
		in, err := c.domains.Match(ctx, domain, c.keys)
		if err != nil {
			return directory.DefaultClass, noAnswer(c.param, err)
		}
		if in {
			return c.class, r.inTwo(ctx, domain, c.class)
		}
	}
	return directory.DefaultClass, nil
}

// classList is a parameter that makes domains of a class.
type classList struct {
	class   directory.Class
	param   string
	domains keys.Domains
	keys    keys.Options
}

// classLists are they, in the order in which they count.
func (r *Resolver) classLists() [3]classList {
	return [...]classList{
		{directory.LocalClass, "mydestination", r.tables.local, keys.Options{}},
		{directory.AliasClass, "virtual_alias_domains", r.tables.alias, keys.Options{}},
		{directory.RelayClass, "relay_domains", r.tables.relay, r.tables.relayKeys},
	}
}

// standard is the parameter of a class that says by which transport its mail goes; ok is false where the transport is
// not one that might refuse it.
func (r *Resolver) standard(class directory.Class) (way string, ok bool) {
	switch class {
	case directory.DefaultClass:
		return r.params.DefaultTransport, true
	case directory.RelayClass:
		return r.params.RelayTransport, true
	}
	return "", false
}

// way reads "transport:nexthop" over what there is without.
func way(text, transport, nexthop string) agent.Route {
	route := agent.Route{Transport: transport, Nexthop: nexthop}
	if named, to, _ := strings.Cut(text, ":"); named != "" {
		route.Transport = named
		if to != "" {
			route.Nexthop, route.Chosen = to, true
		}
	}
	return route
}

// twice remembers which domains were said to be in two classes.
type twice struct {
	mu    sync.Mutex
	names map[string]bool
}

// maxTwice is about how many domains that is said. It is no parameter: a list with so many mistakes has been noticed.
const maxTwice = 1000

// inTwo logs a domain that is in another class besides, once. Which one counts says classOf, and the directory before it.
func (r *Resolver) inTwo(ctx context.Context, domain string, class directory.Class) error {
	if r.log == nil {
		return nil
	}
	behind := class == directory.MailboxClass
	for _, c := range r.classLists() {
		if !behind {
			behind = c.class == class
			continue
		}
		in, err := c.domains.Match(ctx, domain, c.keys)
		if err != nil {
			return noAnswer(c.param, err)
		}
		r.twice.mu.Lock()
		if in && !r.twice.names[domain] && len(r.twice.names) < maxTwice {
			if r.twice.names == nil {
				r.twice.names = map[string]bool{}
			}
			r.twice.names[domain] = true
			r.log.Warn("domain is in two classes of addresses", "service", "rewrite", "domain", domain, "counts", class.String(), "cause", errors.New("rewrite."+c.param+" has it, too"))
		}
		r.twice.mu.Unlock()
	}
	return nil
}
