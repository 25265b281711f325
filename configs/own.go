package configs

import (
	"slices"
	"strings"
)

// OwnDomain says that a domain is that of the users of this host: main.hostname, or a name in rewrite.mydestination. Tables that map
// addresses have the users of such a domain by their names alone, too (Postfix: $myorigin, $mydestination).
func (c *Config) OwnDomain(domain string) bool {
	return strings.EqualFold(domain, c.Main.Hostname) || slices.ContainsFunc(c.Rewrite.MyDestination, func(d string) bool { return strings.EqualFold(d, domain) })
}
