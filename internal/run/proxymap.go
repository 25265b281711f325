package run

import (
	"toastmaster/configs"
	"toastmaster/internal/run/check"
	"toastmaster/internal/service"
)

// openProxymap makes the server of lookup tables; nil when it listens nowhere.
func openProxymap(i *Instance) (service.Service, error) {
	c := i.config.Proxymap
	if len(c.Listen) == 0 {
		return nil, nil
	}
	return serverOf(i, serverOptions{
		name: "proxymap", plain: c.Listen, handler: i.present.handler(func(p *pipeline) service.Handler { return p.proxymap }),
		limitTrusted: true, files: check.FilesLookup, bound: func(o *serverOptions) {
			c := i.present.get().config.Proxymap
			o.connections, o.perClient, o.drain, o.allowed = c.MaxConnections, c.MaxClient, c.DrainTimeout, configs.Prefixes(c.TrustedNetworks)
		},
	})
}
