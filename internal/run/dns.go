package run

import (
	"slices"

	"toastmaster/internal/dns"
)

// nameServers is who asks the given servers: one for all who ask the same, so that they
// share what it knows.
func (p *pipeline) nameServers(servers []string) *dns.Resolver {
	for _, known := range p.resolvers {
		if slices.Equal(known.servers, servers) {
			return known.resolver
		}
	}
	c := p.config.DNS
	r := dns.New(dns.Options{
		Servers: servers, Timeout: c.Timeout, Attempts: c.Attempts, Total: c.TotalTimeout, CacheLimit: c.CacheLimit, Clock: p.clock,
	})
	p.opened.resolvers = append(p.resolvers, resolverOf{servers, r})
	return r
}

// resolverOf is a resolver and the servers that it asks.
type resolverOf struct {
	servers  []string
	resolver *dns.Resolver
}
