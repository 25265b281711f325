package run

import (
	"toastmaster/configs"
	"toastmaster/internal/run/check"
	"toastmaster/internal/service"
	"toastmaster/mta/proxymap"
)

// openProxymap makes the server of lookup tables; nil when it listens nowhere.
func openProxymap(i *Instance) (service.Service, error) {
	c := i.config.Proxymap
	if len(c.Listen) == 0 {
		return nil, nil
	}
	d, err := proxymap.New(proxymap.Options{Params: c, Tables: i.tables, Log: i.log, Clock: i.clock})
	if err != nil {
		return nil, err
	}
	return serverOf(i, serverOptions{
		name: "proxymap", plain: c.Listen, handler: d,
		connections: c.MaxConnections, perClient: c.MaxClient, limitTrusted: true, drain: c.DrainTimeout,
		files: check.FilesLookup, allowed: configs.Prefixes(c.TrustedNetworks),
	})
}
