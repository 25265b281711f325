package run

import (
	"fmt"
	"slices"

	"toastmaster/configs"
	"toastmaster/internal/run/check"
	"toastmaster/internal/service"
	"toastmaster/mta/spawn"
)

// spawnRows are the services of the tables [[spawn]]. They end after those that may ask them.
func spawnRows(c *configs.Config) (rows []serviceRow) {
	for _, t := range c.Spawns {
		rows = append(rows, serviceRow{"spawn", 2, func(i *Instance) (service.Service, error) { return openSpawn(i, t) }})
	}
	return rows
}

// spawnParams are those of a table of the start, as they are now while it is in the file.
func spawnParams(p *pipeline, name string) (params configs.Spawn) {
	for _, t := range slices.Concat(p.opened.config.Spawns, p.config.Spawns) {
		if t.Name == name {
			params = *t
		}
	}
	return params
}

// newSpawn makes the daemon of a table.
func newSpawn(p *pipeline, name string) (*spawn.Daemon, error) {
	d, err := spawn.New(spawn.Options{Params: spawnParams(p, name), Export: p.config.Main.ExportEnvironment, Log: p.log, Clock: p.clock})
	if err != nil {
		return nil, fmt.Errorf("spawn/%s: %w", name, err)
	}
	return d, nil
}

func openSpawn(i *Instance, t *configs.Spawn) (service.Service, error) {
	return serverOf(i, serverOptions{
		name: "spawn/" + t.Name, plain: t.Listen, handler: i.present.handler(func(p *pipeline) service.Handler { return p.spawns[t.Name] }),
		limitTrusted: true, files: check.FilesLookup, bound: func(o *serverOptions) {
			c := spawnParams(i.present.get(), t.Name)
			o.connections, o.drain, o.allowed = c.ProcessLimit, c.DrainTimeout, configs.Prefixes(c.TrustedNetworks)
		},
	})
}
