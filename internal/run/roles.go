package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"toastmaster/admin/api"
	"toastmaster/admin/model"
	"toastmaster/configs"
	"toastmaster/internal/msglog"
	"toastmaster/internal/run/adapter"
	"toastmaster/internal/run/control"
	"toastmaster/internal/run/listeners"
	"toastmaster/internal/service"
	"toastmaster/mta/agent/remote"
)

// Role is the services that one process has under master. "" is all of them: serve.
type Role string

// The roles.
const (
	RoleMTA   Role = "mta"
	RoleStore Role = "store"
	RoleAdmin Role = "admin"
	// RolePrivileged is there where others have users of their own, for what runs as users of this host.
	RolePrivileged Role = configs.RolePrivileged
)

// roleTable is what master starts, in this order: a role may use those before it. overlap
// says that two processes of it may serve at the same time, so that at an upgrade the new one serves
// before the old one ends.
func roleTable(c *configs.Config) []roleRow {
	if c.Privileged() {
		return []roleRow{{RoleStore, true}, {RolePrivileged, true}, {RoleMTA, false}, {RoleAdmin, false}}
	}
	return []roleRow{{RoleStore, true}, {RoleMTA, false}, {RoleAdmin, false}}
}

type roleRow struct {
	role    Role
	overlap bool
}

// servicesOf are the services that are not the mta's, by their row in serviceTable. Those of
// "every" are in each process.
func servicesOf(c *configs.Config, name string) (role Role, every bool) {
	switch section, _, _ := strings.Cut(name, "/"); section {
	case "spawn":
		if c.Privileged() {
			return RolePrivileged, false
		}
		return RoleMTA, false
	case "store", "sessions", "anvil":
		return "", true
	case "imapd", "pop3d", "lmtpd":
		return RoleStore, false
	case "admin":
		return RoleAdmin, false
	}
	return RoleMTA, false
}

// has says that this process has the services of a role.
func (o *opened) has(r Role) bool { return o.role == "" || o.role == r }

// serves says that a row of the table of services is one of this process.
func (o *opened) serves(name string) bool {
	role, every := servicesOf(o.config, name)
	if every && o.role == RolePrivileged {
		return name == "anvil" // it has no mail and nobody logs in
	}
	return every || o.has(role)
}

// roleOfListener is the role that listens on an address of the configuration.
func roleOfListener(c *configs.Config, address string) Role {
	param := c.ListenParam(address)
	section, _, _ := strings.Cut(param, ".")
	if param == "" { // admin.socket
		section = "admin"
	}
	role, _ := servicesOf(c, section)
	return role
}

// controlPath is its socket.
func controlPath(c *configs.Config, r Role) string { return c.Path("role-" + string(r) + ".sock") }

// openControl makes the service that answers other roles; nil when there is none.
func openControl(i *Instance) (service.Service, error) {
	if i.role == "" {
		return nil, nil
	}
	l := i.control
	if l == nil {
		return nil, fmt.Errorf("no listener %q from master", listeners.ControlName)
	}
	o := control.Options{
		Listener: l, Sessions: adapter.Sessions{W: i.sessions}, Services: i.ownStatus,
		Reload: i.askReload, Changed: i.directoryKnown, Metrics: msglog.Metrics(i.metrics), May: i.mayAsk, Log: i.log,
	}
	if i.has(RoleMTA) {
		o.Submit, o.Spool = i.present, i.queue.Spool()
		o.Queue, o.Decide, o.Route = adapter.Queue{Q: i.queue, Sites: i.flush}, i.present.Decide, i.present.Elsewhere
	}
	if i.role == RolePrivileged {
		o.Deliver, o.DeliverDrain = i.delivers().Serve, func() time.Duration { return i.linger.Get() + i.config.Qmgr.EndTimeout }
	}
	return control.New(o), nil
}

// delivers has the agents of this process, for the one that has the queue.
func (i *Instance) delivers() *remote.Server {
	return remote.NewServer(remote.ServerOptions{
		Agent:  i.present.agent,
		Fenced: func(f func() error) error { return service.Fenced(i.log, f, "service", "privileged") }, Clock: i.clock,
	})
}

// mayAsk says what the user of another role may ask this one: the administration everything but deliveries, which are the mta's
// to hand over, the store that its mail be sent, and every role may tell of a change of the directory.
func (o *opened) mayAsk(uid int, path string) bool {
	switch r := o.roleUsers; {
	case r == nil:
		return false
	case path == "/deliver":
		return r.Is(configs.RoleMTA, uid)
	case path == "/submit":
		return r.Is(configs.RoleStore, uid)
	case path == "/changed":
		return r.Any(uid)
	default:
		return r.Is(configs.RoleAdmin, uid)
	}
}

// others are the other roles, for who asks them.
func (o *opened) others() control.Roles {
	if o.role == "" {
		return nil
	}
	if o.roles == nil {
		for _, row := range roleTable(o.config) {
			if row.role != o.role {
				o.roles = append(o.roles, control.NewClient(string(row.role), controlPath(o.config, row.role)))
			}
		}
		o.onClose(func() error { o.roles.Close(); return nil })
	}
	return o.roles
}

// mtaRole asks the role that has the queue; nil when that is this process.
func (o *opened) mtaRole() *control.Client { return o.other(RoleMTA) }

// other asks a role; nil when that is this process, or there is none.
func (o *opened) other(r Role) *control.Client {
	for _, c := range o.others() {
		if c.Role == string(r) {
			return c
		}
	}
	return nil
}

// theQueue is the queue as the API knows it, here or in the role that has it.
func theQueue(i *Instance) api.Queue {
	if c := i.mtaRole(); c != nil {
		return c.Queue()
	}
	return adapter.Queue{Q: i.queue, Sites: i.flush}
}

// decisions are what the mail services decide about an address.
func decisions(i *Instance, o *api.Options) {
	if c := i.mtaRole(); c != nil {
		o.Decide, o.Route = c.Decide, c.Route
		return
	}
	o.Decide, o.Route = i.present.Decide, i.present.Elsewhere
}

// allSessions are those of all roles.
func allSessions(i *Instance) api.Sessions {
	own := adapter.Sessions{W: i.sessions}
	if i.role == "" {
		return own
	}
	return control.Sessions{Own: own, Others: i.others()}
}

// directoryChanged makes a change known before whoever made it is answered, in this
// process first and in the other roles.
func (o *opened) directoryChanged() {
	o.directoryKnown()
	for n, err := range o.others().Changed() {
		if err != nil {
			o.log.Warn("role", "role", o.roles[n].Role, "status", "does not hear of a change", "cause", err)
		}
	}
}

// reloadAll reloads this process and the other roles. One that fails keeps none of the others from it.
func (i *Instance) reloadAll(ctx context.Context) ([]string, error) {
	if i.role == "" {
		return i.askReload(ctx)
	}
	var names, more []string
	var err, others error
	var both sync.WaitGroup
	both.Go(func() { names, err = i.askReload(ctx) })
	more, others = i.others().Reload(ctx)
	both.Wait()
	for _, name := range more {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if err != nil && others != nil {
		return names, &model.Error{Kind: model.Invalid, Text: string(i.role) + ": " + err.Error() + "; " + others.Error(), Cause: errors.Join(err, others)}
	}
	return names, cmp.Or(err, others)
}

// status is that of the services and parts of all roles.
func (i *Instance) status() []model.Service {
	all := i.ownStatus()
	for _, services := range i.others().Services() {
		for _, s := range services {
			all = merge(all, s)
		}
	}
	return all
}

// merge adds a service, or, when each role has it, the worse state of both.
func merge(all []model.Service, s model.Service) []model.Service {
	for n, known := range all {
		if known.Name != s.Name {
			continue
		}
		if known.State == string(service.Running) && s.State != string(service.Running) {
			all[n].State, all[n].Error = s.State, s.Error
		}
		all[n].Sessions += s.Sessions
		all[n].UptimeSeconds = min(known.UptimeSeconds, s.UptimeSeconds)
		return all
	}
	return append(all, s)
}

// Linger is how long the sessions of a process go on undisturbed once it stops, because
// another one takes its place; 0 is not at all. Safe for concurrent use.
type Linger struct{ d atomic.Int64 }

// Set sets it, before the stop begins.
func (l *Linger) Set(d time.Duration) { l.d.Store(int64(d)) }

// Get is what was set last.
func (l *Linger) Get() time.Duration {
	if l == nil {
		return 0
	}
	return time.Duration(l.d.Load())
}
