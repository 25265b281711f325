package run

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"toastmaster/configs"
	"toastmaster/internal/envelope"
	"toastmaster/internal/run/fence"
	"toastmaster/internal/run/rights"
	"toastmaster/mta/agent"
	"toastmaster/mta/agent/remote"
)

// newPrivileged makes what of the mail's way works as users of this host, in the process that can become them: the agents, and the
// commands of [[spawn]].
func newPrivileged(ctx context.Context, o *opened, c *configs.Config) (*pipeline, error) {
	p := &pipeline{opened: o, config: c, trusted: configs.Prefixes(c.Main.TrustedNetworks), agents: map[string]agent.Agent{}}
	if err := p.openPrivileged(ctx); err != nil {
		return nil, errors.Join(err, p.retire())
	}
	return p, nil
}

func (p *pipeline) openPrivileged(ctx context.Context) error {
	if err := openLocals(ctx, p); err != nil {
		return err
	}
	for _, t := range p.config.Transports() {
		if !configs.RunsAsUsers(t.Agent) {
			continue
		}
		for _, row := range agentTable() {
			if row.name != t.Agent {
				continue
			}
			a, err := row.open(ctx, p, t)
			if err != nil {
				return fmt.Errorf("transport %s: %w", t.Name, err)
			}
			p.agents[t.Name] = a
		}
	}
	return p.openSpawns()
}

// opensAgent makes the agent of a transport: in this process, or in the one that can become other users.
func (p *pipeline) opensAgent(ctx context.Context, row agentRow, t configs.Transport) (agent.Agent, error) {
	there := p.other(RolePrivileged)
	if there == nil || !configs.RunsAsUsers(row.name) {
		return row.open(ctx, p, t)
	}
	relay := t.Name
	if row.name == "local" {
		relay = row.name
	}
	return remote.New(remote.Options{
		Transport: t.Name, Relay: relay, Dial: there.Deliver, Dir: p.config.Path(configs.QueueDir), Submit: p.cleanup, Passed: p.passedTo,
	}), nil
}

// submitsTo takes what local sends on.
func (p *pipeline) submitsTo() envelope.Submitter {
	if p.role == RolePrivileged {
		return remote.Submitter{}
	}
	return p.cleanup
}

// privilegedFence is what the role may that stays root: nothing of the mail or the queue is in it.
func privilegedFence(c *configs.Config, roles *rights.Roles, f fence.Fence) fence.Fence {
	f.Execute, f.Connect = true, true
	f.Writable = append(f.Writable, c.Master.WritableFolders...)
	for _, t := range c.Transports() {
		if t.Agent == "local" {
			f.Writable = append(f.Writable, filepath.Clean(c.Local.MailSpoolDirectory))
			break
		}
	}
	f.Writable = append(f.Writable, roles.Database(c)...)
	return f
}
