package run

import (
	"slices"
	"strings"

	"toastmaster/configs"
	"toastmaster/internal/run/control"
)

// ServiceLimits is a service as a line of Postfix's master.cf has it: what bounds it, and by which parameter.
type ServiceLimits struct {
	Service string
	Role    Role
	// State and Sessions are those of a running instance, "" and 0 without one.
	State    string
	Sessions int
	Listen   []string
	// Process is how much it does at once, Client how much of that is one client's, Wakeup how often it looks
	// by itself, MaxUse how often one connection is used, MaxIdle how long one may be silent.
	Process, Client, Wakeup, MaxUse, MaxIdle Limit
}

// Limit is a parameter with its value, both "" where a column does not apply.
type Limit struct{ Param, Value string }

// limitsRow are the parameters of a service.
type limitsRow struct {
	service string
	listen  []string
	// limits are as the columns of ServiceLimits; of several names the first that is set counts.
	limits [5]string
}

// limitsTable has a row for each of serviceTable.
func limitsTable() []limitsRow {
	return []limitsRow{
		{"smtpd", []string{"smtpd.listen"}, [5]string{"smtpd.max_connections", "smtpd.max_connections_per_client", "", "", "smtpd.timeout"}},
		{"submission", []string{"smtpd.submission_listen"}, [5]string{"smtpd.max_connections", "smtpd.max_connections_per_client", "", "", "smtpd.timeout"}},
		{"submissions", []string{"smtpd.submissions_listen"}, [5]string{"smtpd.max_connections", "smtpd.max_connections_per_client", "", "", "smtpd.timeout"}},
		{"postscreen", nil, [5]string{"postscreen.pre_queue_limit", "", "", "postscreen.command_count_limit", "postscreen.command_time_limit"}},
		{"proxymap", []string{"proxymap.listen"}, [5]string{"proxymap.max_connections", "proxymap.max_connections_per_client", "", "proxymap.max_use", "proxymap.max_idle"}},
		{"pickup", []string{"pickup.directory"}, [5]string{"pickup.max_connections", "pickup.max_connections_per_user", "pickup.wakeup_time", "", "pickup.timeout"}},
		{"qmqpd", []string{"qmqpd.listen"}, [5]string{"qmqpd.max_connections", "qmqpd.max_connections_per_client", "", "", "qmqpd.timeout"}},
		{"queue", nil, [5]string{"queue.incoming_limit", "", "queue.run_delay", "", ""}},
		{"qmgr", nil, [5]string{"qmgr.transport_concurrency", "", "", "", ""}},
		{"flush", nil, [5]string{"", "", "flush.fast_flush_refresh_time", "", ""}},
		{"verify", nil, [5]string{"verify.pending_request_limit", "verify.client_pending_request_limit", "", "", ""}},
		{"anvil", nil, [5]string{"", "", "anvil.status_update_time", "", ""}},
		{"store", nil, [5]string{"", "", "store.sync_interval", "", ""}},
		{"sessions", nil, [5]string{"", "", "directory.cache_ttl", "", ""}},
		{"imapd", []string{"imapd.listen", "imapd.listen_tls"}, [5]string{"imapd.max_connections", "imapd.max_connections_per_client", "", "", "imapd.idle_timeout"}},
		{"pop3d", []string{"pop3d.listen", "pop3d.listen_tls"}, [5]string{"pop3d.max_connections", "pop3d.max_connections_per_client", "", "", "pop3d.idle_timeout"}},
		{"lmtpd", []string{"lmtpd.listen"}, [5]string{"lmtpd.max_connections", "lmtpd.max_connections_per_client", "", "", "lmtpd.timeout"}},
		{"admin", []string{"admin.listen", "admin.listen_tls"}, [5]string{"admin.max_connections", "admin.max_connections_per_client", "", "", "admin.idle_timeout"}},
	}
}

// ownRows are the tables of the configuration that are services: listeners of smtpd, commands on connections, and
// transports, which are no service by themselves but have a line in master.cf. Where one says nothing, what it stands
// below holds.
func ownRows(c *configs.Config) (rows []limitsRow) {
	for _, l := range c.SMTPDListeners {
		at := l.Section()
		rows = append(rows, limitsRow{l.ServiceName(), []string{at + ".listen", at + ".listen_tls"}, [5]string{
			at + ".max_connections smtpd.max_connections", at + ".max_connections_per_client smtpd.max_connections_per_client", "", "", at + ".timeout smtpd.timeout",
		}})
	}
	for _, s := range c.Spawns {
		at := "spawn." + s.Name
		rows = append(rows, limitsRow{"spawn/" + s.Name, []string{at + ".listen"}, [5]string{at + ".process_limit", "", "", "", at + ".time_limit"}})
	}
	for _, t := range c.Tables {
		at := "transport." + t.Name
		rows = append(rows, limitsRow{t.Name, nil, [5]string{at + ".process_limit qmgr.transport_concurrency", at + ".destination_concurrency_limit qmgr.destination_concurrency_limit", "", "", ""}})
	}
	return rows
}

// Services are the services of a configuration with their limits, in the order of the table. Those that each role has
// are there for each; State and Sessions are from the roles, as far as they answer.
func Services(c *configs.Config) []ServiceLimits {
	values := map[string]string{}
	for _, p := range c.Bound() {
		values[p.Name] = p.Value()
	}
	limit := func(params string) Limit {
		for param := range strings.FieldsSeq(params) {
			if v, set := values[param]; set {
				return Limit{param, v}
			}
		}
		return Limit{}
	}
	listen := map[string][]string{}
	for _, address := range c.Listeners() {
		param := c.ListenParam(address)
		listen[param] = append(listen[param], address)
	}
	roles := control.Roles{}
	for _, row := range roleTable(c) {
		roles = append(roles, control.NewClient(string(row.role), controlPath(c, row.role)))
	}
	defer roles.Close()
	running := roles.Services()
	var all []ServiceLimits
	for _, row := range append(limitsTable(), ownRows(c)...) {
		s := ServiceLimits{
			Service: row.service, Process: limit(row.limits[0]), Client: limit(row.limits[1]), Wakeup: limit(row.limits[2]),
			MaxUse: limit(row.limits[3]), MaxIdle: limit(row.limits[4]),
		}
		for _, param := range row.listen {
			s.Listen = append(s.Listen, listen[param]...)
		}
		role, every := servicesOf(c, row.service)
		if c.Privileged() && slices.ContainsFunc(c.Tables, func(t *configs.Transport) bool { return t.Name == row.service && configs.RunsAsUsers(t.Agent) }) {
			role, every = RolePrivileged, false
		}
		for n, r := range roleTable(c) {
			if !every && r.role != role {
				continue
			}
			one := s
			one.Role = r.role
			for _, is := range running[n] {
				if is.Name == row.service {
					one.State, one.Sessions = is.State, is.Sessions
				}
			}
			all = append(all, one)
		}
	}
	return all
}
