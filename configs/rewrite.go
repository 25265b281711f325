package configs

import (
	"slices"
	"strings"

	"toastmaster/internal/addr"
)

// Rewrite is the section [rewrite] where it says how mail leaves.
type Rewrite struct {
	TransportMaps       []string
	RelocatedMaps       []string
	SenderRelayhostMaps []string
	SenderTransportMaps []string
	DefaultTransport    string

	// Classes of addresses.
	MyDestination       []string
	VirtualAliasDomains []string
	RelayDomains        []string
	RelayRecipientMaps  []string
	LocalTransport      string
	VirtualTransport    string
	RelayTransport      string
}

// ofVirtual stands in rewrite.virtual_alias_domains for the tables of cleanup.virtual_alias_maps.
const ofVirtual = "$virtual_alias_maps"

// transportWay is a parameter that names a transport, or a transport with a nexthop.
func transportWay(name string, field *string, def, text string) Param {
	return String(name, field, def, `"transport" or "transport:nexthop"`, func(s string) error {
		transport, _, _ := strings.Cut(s, ":")
		return checkTransportName(transport)
	}, text)
}

// classes are the rows about the classes of addresses.
func (c *Rewrite) classes() []Param {
	alias := List("rewrite.virtual_alias_domains", &c.VirtualAliasDomains, []string{ofVirtual}, ofVirtual+`, domains, ".domain" for those below it, lookup tables "type:argument", "!" before what is none`, func(s string) error {
		if s == ofVirtual {
			return nil
		}
		return checkDomainItem(s)
	}, "The domains all of whose addresses stand for others by cleanup.virtual_alias_maps; who is not in these is refused with 5.1.1. "+ofVirtual+" are the domains that are keys of those tables themselves, as \"example.org whatever\".").Also("virtual_alias_domains")
	alias.Tables = func() []string { return tablesAmong(without(c.VirtualAliasDomains, ofVirtual)) }
	return []Param{
		List("rewrite.mydestination", &c.MyDestination, nil, "domains", func(s string) error { _, err := addr.ParseDomain(s); return err },
			"The domains whose mail the users of this host get, by rewrite.local_transport; local.recipient_maps says who they are. Those of [[transport]] with the agent local are such domains, too.").Also("mydestination"),
		alias,
		domainList("rewrite.relay_domains", &c.RelayDomains, nil,
			"The domains that this host takes mail for from everybody and hands on, by rewrite.relay_transport: another machine has the mailboxes. With a domain its subdomains are meant, too, see main.parent_domain_matches_subdomains.").Also("relay_domains"),
		Tables("rewrite.relay_recipient_maps", &c.RelayRecipientMaps, nil,
			"Lookup tables of who is a recipient in rewrite.relay_domains, whatever the text; others get 550 5.1.1 at RCPT. user+extension@domain, user@domain and @domain are looked up. Without tables all are taken, and what the other machine refuses goes back as reports.").Also("relay_recipient_maps"),
		transportWay("rewrite.local_transport", &c.LocalTransport, "local", "By which transport mail for rewrite.mydestination goes; without a nexthop that is the domain. \"local\" is a [[transport]] with the agent local, which must be there then.").Also("local_transport"),
		transportWay("rewrite.virtual_transport", &c.VirtualTransport, "virtual", "By which transport mail for the mailboxes of the directory goes; without a nexthop that is the domain. \"lmtp:unix:/run/dovecot/lmtp\" hands it to another store, whose quota is its own affair then: those of the directory are not looked at.").Also("virtual_transport"),
		transportWay("rewrite.relay_transport", &c.RelayTransport, "smtp", "By which transport mail for rewrite.relay_domains goes that no table and no [[transport]] takes. Without a nexthop that is what the sender has in rewrite.sender_dependent_relayhost_maps, or smtp.relayhost, or the domain.").Also("relay_transport"),
	}
}

func without(list []string, item string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == item })
}

// VirtualAliasItems are the items of rewrite.virtual_alias_domains as keys.OpenDomains reads them.
func (c *Config) VirtualAliasItems() []string {
	items := without(c.Rewrite.VirtualAliasDomains, ofVirtual)
	if len(items) < len(c.Rewrite.VirtualAliasDomains) {
		items = append(items, c.Cleanup.Rewriting.VirtualAliasMaps...)
	}
	return items
}

// MailboxesHere says that the mailboxes of the directory are in the store of this host, and not where
// rewrite.virtual_transport hands their mail to.
func (c *Config) MailboxesHere() bool {
	name, _, _ := strings.Cut(c.Rewrite.VirtualTransport, ":")
	return slices.ContainsFunc(c.Transports(), func(t Transport) bool { return t.Name == name && t.Agent == "virtual" })
}

// classMistakes are those that one parameter of address classes alone does not show.
func (c *Config) classMistakes(mistake func(param, format string, args ...any)) {
	names := map[string]string{}
	for _, t := range c.Transports() {
		names[t.Name] = t.Agent
	}
	r := &c.Rewrite
	for _, row := range []struct {
		param, way string
		used       bool
	}{
		{"rewrite.local_transport", r.LocalTransport, len(r.MyDestination) > 0}, {"rewrite.virtual_transport", r.VirtualTransport, true}, {"rewrite.relay_transport", r.RelayTransport, len(r.RelayDomains) > 0},
	} {
		if name, _, _ := strings.Cut(row.way, ":"); row.used && names[name] == "" {
			mistake(row.param, "there is no transport %q: a table [[transport]] with name = %[1]q makes one%s", name, map[bool]string{true: ", with agent = \"local\" for the users of this host"}[row.param == "rewrite.local_transport"])
		}
	}
}

// classWarnings are domains in several classes. Postfix says it when mail for one comes.
func (c *Config) classWarnings(warn func(param, format string, args ...any)) {
	in := map[string]string{}
	for _, list := range []struct {
		param string
		items []string
	}{{"rewrite.mydestination", c.Rewrite.MyDestination}, {"rewrite.virtual_alias_domains", c.Rewrite.VirtualAliasDomains}, {"rewrite.relay_domains", c.Rewrite.RelayDomains}} {
		for _, item := range list.items {
			name := strings.ToLower(item)
			if other := in[name]; other != "" && other != list.param {
				warn(list.param, "%q is in %s, too: a domain has one class, and that one counts", item, other)
			} else {
				in[name] = list.param
			}
		}
	}
}

func (c *Rewrite) params() []Param {
	return append(c.classes(), []Param{
		Tables("rewrite.transport_maps", &c.TransportMaps, nil,
			"Lookup tables that have, for a recipient, by which transport and to which nexthop mail goes: transport(5). user+extension@domain, user@domain, domain, .parent-domain and * are looked up. They come before the domains of [[transport]]; * is not for domains that are hosted here.").Also("transport_maps"),
		Tables("rewrite.relocated_maps", &c.RelocatedMaps, nil,
			"Lookup tables of recipients who have moved, and where to: relocated(5). Their mail is refused with 5.1.6, besides that of the addresses that are relocated in the directory.").Also("relocated_maps"),
		Tables("rewrite.sender_dependent_relayhost_maps", &c.SenderRelayhostMaps, nil,
			"Lookup tables that have, for a sender, what takes the place of smtp.relayhost; DUNNO does not. user@domain and @domain are looked up, and <> for the null sender.").Also("sender_dependent_relayhost_maps", "empty_address_relayhost_maps_lookup_key"),
		Tables("rewrite.sender_dependent_default_transport_maps", &c.SenderTransportMaps, nil,
			"The same for what takes the place of rewrite.default_transport.").Also("sender_dependent_default_transport_maps", "empty_address_default_transport_maps_lookup_key"),
		transportWay("rewrite.default_transport", &c.DefaultTransport, "smtp", "By which transport mail goes that no table and no [[transport]] takes. With a nexthop smtp.relayhost is not asked.").Also("default_transport"),
	}...)
}

// byTables says that a transport may be named by a table.
func (c *Rewrite) byTables(name string) bool {
	for _, way := range []string{c.DefaultTransport, c.LocalTransport, c.VirtualTransport, c.RelayTransport} {
		if named, _, _ := strings.Cut(way, ":"); named == name {
			return true
		}
	}
	return len(c.TransportMaps)+len(c.SenderTransportMaps) > 0
}
