package run

import (
	"context"
	"net/netip"

	"toastmaster/configs"
	"toastmaster/internal/addr"
	"toastmaster/internal/diskcache"
	"toastmaster/mta/agent"
	"toastmaster/mta/policy"
	"toastmaster/mta/qmgr"
	"toastmaster/mta/verify"
)

// openVerify makes what probes addresses. Agents are those of the queue manager's transports,
// which are made before a port is served.
func (i *Instance) openVerify() error {
	cache, err := diskcache.Open(diskcache.Options{
		Path: i.config.MTAPath(configs.VerifyCache), Limit: i.config.Verify.CacheLimit, FS: i.fs, Clock: i.clock, Log: i.log,
	})
	if err != nil {
		return err
	}
	i.verify = verify.New(verify.Options{
		Params: i.config.Verify, Directory: i.directory, Aliases: i.aliases, Resolver: newResolver(i),
		Agent: func(name string) agent.Agent { return i.agents[name] },
		Cache: cache, Log: i.log, Clock: i.clock,
	})
	return nil
}

// agentsOf are the agents of transports, by the names of these.
func agentsOf(list []qmgr.Transport) map[string]agent.Agent {
	agents := map[string]agent.Agent{}
	for _, t := range list {
		agents[t.Name] = t.Agent
	}
	return agents
}

// verified is what a restriction hears of an address.
func (i *Instance) verified(ctx context.Context, a addr.Address, client netip.Addr) policy.Verified {
	answer := i.verify.Verify(ctx, a, client)
	return policy.Verified{
		Known:       answer.State == verify.Deliverable || answer.State == verify.Undeliverable,
		Deliverable: answer.State == verify.Deliverable, Text: answer.Text,
	}
}
