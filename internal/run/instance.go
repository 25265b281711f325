package run

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"toastmaster/admin/api"
	"toastmaster/admin/model"
	"toastmaster/configs"
	"toastmaster/internal/run/adapter"
	"toastmaster/internal/run/metrics"
	"toastmaster/internal/run/rights"
	"toastmaster/internal/service"
)

// Instance is one process of the mail system while it lives: what is opened once, the pipeline that a reload makes anew, and the
// services that ask both. Its walks are three: openInstance and assemble are a start, renew a reload, Group.Run's end and Close a stop.
type Instance struct {
	*opened
	// renewed are told of a reload; see onRenew.
	renewed []func(*configs.Config)
	// trustNow are main.trusted_networks after a reload, nil before one.
	trustNow atomic.Pointer[[]netip.Prefix]
	// retiring are the pipelines before, while their connections are ended.
	retiring sync.WaitGroup
	group    *service.Group
	// reloads are asked for by the API; watch answers.
	reloads chan chan<- reloaded
}

// bareInstance has nothing open.
func bareInstance(c *configs.Config) *Instance {
	return &Instance{opened: newOpened(c), reloads: make(chan chan<- reloaded)}
}

// openInstance opens everything in order of dependency. On error what was
// opened is closed again. early is what was opened before, and remains the caller's; it
// may be nil.
func openInstance(ctx context.Context, o Options, early *early) (*Instance, error) {
	c := o.Config
	i := bareInstance(c)
	i.version, i.role, i.linger = o.Version, o.Role, o.Linger
	if o.Role != "" {
		var err error
		if i.roleUsers, err = rights.RolesOf(c); err != nil {
			return nil, err
		}
	}
	if early != nil {
		i.listeners, i.certificates, i.control = early.listeners, early.certificates, early.control
	}
	for _, step := range []struct {
		name string
		open func(context.Context) error
	}{
		{"log", i.openLog},
		{"instance", i.identify},
		{"tls", i.openTLS},
		{"directory", i.openDirectory},
		{"fence", i.enterFence},
		{"tables", i.openTables},
		{"store", i.openStore},
		{"queue", i.openQueue},
		{"metrics", i.openMetrics},
		{"memories", i.openMemories},
		{"pipeline", i.openPipeline},
	} {
		if err := step.open(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", step.name, rights.WithOwner(c, err)), i.Close())
		}
	}
	return i, nil
}

// openPipeline makes the first pipeline, and what delivers into the store: for lmtpd, too, in a role that has no pipeline.
func (i *Instance) openPipeline(ctx context.Context) error {
	var first *pipeline
	var err error
	switch {
	case i.role == RolePrivileged:
		first, err = newPrivileged(ctx, i.opened, i.config)
	case i.has(RoleMTA):
		i.openDeliverer()
		first, err = newPipeline(ctx, i.opened, i.config)
	default:
		i.openDeliverer()
		return nil
	}
	if err != nil {
		return err
	}
	i.onClose(func() error {
		i.retiring.Wait()
		return i.present.get().retire()
	})
	i.install(i.config, first)
	return nil
}

// trustedNow are main.trusted_networks.
func (i *Instance) trustedNow() []netip.Prefix {
	if now := i.trustNow.Load(); now != nil {
		return *now
	}
	return i.trusted
}

// OpenMail opens store and queue of an instance for a backup, which finishes what was
// accepted and is not in its place yet. What that writes is of the user whose
// service reads it later, though root makes the backup: it is done and closed as
// that user, and opened once more, so that nothing is left to be written while
// the process is root again, who alone may write the archive.
func OpenMail(ctx context.Context, c *configs.Config) (i *Instance, err error) {
	err = rights.AsOwner(c, func() error {
		if i, err = openParts(ctx, c); err != nil {
			return err
		}
		if err := i.Close(); err != nil {
			return err
		}
		i, err = openParts(ctx, c)
		return err
	})
	return i, err
}

// openParts opens them.
func openParts(ctx context.Context, c *configs.Config) (*Instance, error) {
	i := bareInstance(c)
	for _, open := range []func(context.Context) error{i.openLog, i.identify, i.openStore, i.openQueue} {
		if err := open(ctx); err != nil {
			return nil, errors.Join(err, i.Close())
		}
	}
	return i, nil
}

// openMetrics measures this process.
func (i *Instance) openMetrics(context.Context) error {
	folders := map[string]string{"mail": i.config.Path(i.config.Store.Path)}
	all := []prometheus.Collector{}
	if i.has(RoleMTA) {
		folders["queue"] = i.config.Path(configs.QueueDir)
		all = append(all, metrics.Queue(i.queue))
	}
	all = append(all, metrics.Of(metrics.Instance{Services: i.ownStatus, FS: i.fs, Certificates: i.certificateLeaves, Folders: folders}))
	return metrics.Register(i.metrics, i.log, all...)
}

// Queue is the mail queue, for a backup of an instance that nobody serves.
func (i *Instance) Queue() api.Queue { return adapter.Queue{Q: i.queue} }

// ownStatus is that of the services and parts of this process, none before there are services.
func (i *Instance) ownStatus() []model.Service {
	if i.group == nil {
		return nil
	}
	return adapter.Status{Group: i.group, Log: i.log, Mail: i.mail, Queue: i.queue, Admin: i.adminStore}.Services()
}
