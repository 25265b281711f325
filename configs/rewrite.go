package configs

import "strings"

// Rewrite is the section [rewrite] where it says how mail leaves.
type Rewrite struct {
	TransportMaps       []string
	RelocatedMaps       []string
	SenderRelayhostMaps []string
	SenderTransportMaps []string
	DefaultTransport    string
}

func (c *Rewrite) params() []Param {
	return []Param{
		Tables("rewrite.transport_maps", &c.TransportMaps, nil,
			"Lookup tables that have, for a recipient, by which transport and to which nexthop mail goes: transport(5). user+extension@domain, user@domain, domain, .parent-domain and * are looked up. They come before the domains of [[transport]]; * is not for domains that are hosted here.").Also("transport_maps"),
		Tables("rewrite.relocated_maps", &c.RelocatedMaps, nil,
			"Lookup tables of recipients who have moved, and where to: relocated(5). Their mail is refused with 5.1.6, besides that of the addresses that are relocated in the directory.").Also("relocated_maps"),
		Tables("rewrite.sender_dependent_relayhost_maps", &c.SenderRelayhostMaps, nil,
			"Lookup tables that have, for a sender, what takes the place of smtp.relayhost; DUNNO does not. user@domain and @domain are looked up, and <> for the null sender.").Also("sender_dependent_relayhost_maps", "empty_address_relayhost_maps_lookup_key"),
		Tables("rewrite.sender_dependent_default_transport_maps", &c.SenderTransportMaps, nil,
			"The same for what takes the place of rewrite.default_transport.").Also("sender_dependent_default_transport_maps", "empty_address_default_transport_maps_lookup_key"),
		String("rewrite.default_transport", &c.DefaultTransport, "smtp", `"transport" or "transport:nexthop"`, func(s string) error {
			name, _, _ := strings.Cut(s, ":")
			return checkTransportName(name)
		}, "By which transport mail goes that no table and no [[transport]] takes. With a nexthop smtp.relayhost is not asked.").Also("default_transport", "relay_transport"),
	}
}

// byTables says that a transport may be named by a table.
func (c *Rewrite) byTables(name string) bool {
	standard, _, _ := strings.Cut(c.DefaultTransport, ":")
	return len(c.TransportMaps)+len(c.SenderTransportMaps) > 0 || name == standard
}
