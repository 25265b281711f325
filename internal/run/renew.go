package run

import (
	"context"

	"toastmaster/configs"
)

// renew makes the pipeline anew from a configuration, beside the present one. Nothing is changed before commit, nor after an
// error. What counts from the next start keeps its value (configs.TakenUp).
func (i *Instance) renew(ctx context.Context, c *configs.Config) (commit func(), err error) {
	c = c.KeepingFrom(i.config)
	var made *pipeline
	switch {
	case i.role == RolePrivileged:
		made, err = newPrivileged(ctx, i.opened, c)
	case i.has(RoleMTA):
		made, err = newPipeline(ctx, i.opened, c)
	}
	if err != nil {
		return nil, err
	}
	return func() { i.install(c, made) }, nil
}

// install puts a pipeline, nil in a role without one, in the place of the present one, and tells those who live longer than both. What began
// with the one before goes on with it; the connections that it keeps are ended beside.
func (i *Instance) install(c *configs.Config, made *pipeline) {
	before := i.present.now.Swap(made)
	trusted := configs.Prefixes(c.Main.TrustedNetworks)
	i.trustNow.Store(&trusted)
	i.anvil.SetExempt(trusted)
	if i.has(RoleMTA) {
		i.flush.Renew(c.Flush, made.flushed, flushKeys(c))
		i.verify.Renew(c.Verify, made.aliases)
	}
	for _, f := range i.renewed {
		f(c)
	}
	if before != nil {
		i.retiring.Go(func() {
			_ = i.fenced("retire", func() error {
				i.noteError("reload", before.retire())
				return nil
			})
		})
	}
}

// onRenew has f told of the configuration of each reload, when its pipeline is the present one. It may not fail: what may is made with the pipeline.
func (i *Instance) onRenew(f func(c *configs.Config)) { i.renewed = append(i.renewed, f) }
