package run

import (
	"context"
	"fmt"
	"slices"
	"strings"
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
	"toastmaster/mailstore/plan"
)

// Role is the services that one process has under master. "" is all of them: serve.
type Role string

// The roles.
const (
	RoleMTA   Role = "mta"
	RoleStore Role = "store"
	RoleAdmin Role = "admin"
)

// roleTable is what master starts, in this order: a role may use those before it. overlap
// says that two processes of it may serve at the same time, so that at an upgrade the new one serves
// before the old one ends.
func roleTable() []roleRow {
	return []roleRow{{RoleStore, true}, {RoleMTA, false}, {RoleAdmin, false}}
}

type roleRow struct {
	role    Role
	overlap bool
}

// servicesOf are the services that are not the mta's, by their row in serviceTable. Those of
// "every" are in each process.
func servicesOf(name string) (role Role, every bool) {
	switch name {
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
func (i *Instance) has(r Role) bool { return i.role == "" || i.role == r }

// serves says that a row of the table of services is one of this process.
func (i *Instance) serves(name string) bool {
	role, every := servicesOf(name)
	return every || i.has(role)
}

// roleOfListener is the role that listens on an address of the configuration.
func roleOfListener(c *configs.Config, address string) Role {
	param := c.ListenParam(address)
	section, _, _ := strings.Cut(param, ".")
	if param == "" { // admin.socket
		section = "admin"
	}
	role, _ := servicesOf(section)
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
		o.Submit, o.Spool = i.cleanup, i.queue.Spool()
		o.Queue, o.Decide, o.Route = adapter.Queue{Q: i.queue, Sites: i.flush}, i.smtpd.Decide, newResolver(i).Elsewhere
	}
	return control.New(o), nil
}

// mayAsk says what the user of another role may ask this one: the administration everything, the store that its mail
// be sent, and every role may tell of a change of the directory.
func (i *Instance) mayAsk(uid int, path string) bool {
	switch r := i.roleUsers; {
	case r == nil:
		return false
	case path == "/submit":
		return r.Is(configs.RoleStore, uid)
	case path == "/changed":
		return r.Any(uid)
	default:
		return r.Is(configs.RoleAdmin, uid)
	}
}

// others are the other roles, for who asks them.
func (i *Instance) others() control.Roles {
	if i.role == "" {
		return nil
	}
	if i.roles == nil {
		for _, row := range roleTable() {
			if row.role != i.role {
				i.roles = append(i.roles, control.NewClient(string(row.role), controlPath(i.config, row.role)))
			}
		}
		i.onClose(func() error { i.roles.Close(); return nil })
	}
	return i.roles
}

// mtaRole asks the role that has the queue; nil when that is this process.
func (i *Instance) mtaRole() *control.Client {
	for _, c := range i.others() {
		if c.Role == string(RoleMTA) {
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
	o.Decide, o.Route = i.smtpd.Decide, newResolver(i).Elsewhere
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
func (i *Instance) directoryChanged() {
	i.directoryKnown()
	for n, err := range i.others().Changed() {
		if err != nil {
			i.log.Warn("role", "role", i.roles[n].Role, "status", "does not hear of a change", "cause", err)
		}
	}
}

// reloadAll reloads this process and the other roles.
func (i *Instance) reloadAll(ctx context.Context) ([]string, error) {
	names, err := i.askReload(ctx)
	if err != nil {
		return nil, err
	}
	more, err := ReloadRoles(ctx, i.others())
	return union(names, more), err
}

// ReloadRoles reloads roles, and names the parameters that wait for a restart.
func ReloadRoles(ctx context.Context, roles control.Roles) (names []string, err error) {
	for _, c := range roles {
		more, err := c.Reload(ctx)
		if err != nil {
			return nil, err
		}
		names = union(names, more)
	}
	return names, nil
}

func union(a, b []string) []string {
	for _, s := range b {
		if !slices.Contains(a, s) {
			a = append(a, s)
		}
	}
	return a
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

// openLocalDelivery makes what lmtpd delivers by in a role without a queue. What it sends goes to the role that
// has one; while that does not answer, whoever delivers is told to come again.
func (i *Instance) openLocalDelivery() {
	i.deliverer = plan.New(plan.Options{
		Store: i.mail, Plan: plan.ToInbox, Params: i.config.Store, Submit: i.mtaRole().Submitter(), Spool: i.mail.Spool(), Log: i.log,
	})
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
