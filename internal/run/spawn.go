package run

import (
	"fmt"

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

func openSpawn(i *Instance, t *configs.Spawn) (service.Service, error) {
	d, err := spawn.New(spawn.Options{Params: *t, Export: i.config.Main.ExportEnvironment, Log: i.log, Clock: i.clock})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.Name, err)
	}
	return serverOf(i, serverOptions{
		name: "spawn/" + t.Name, plain: t.Listen, handler: d, connections: t.ProcessLimit, limitTrusted: true, drain: t.DrainTimeout,
		files: check.FilesLookup, allowed: configs.Prefixes(t.TrustedNetworks),
	})
}
