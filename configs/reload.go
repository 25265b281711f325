package configs

import (
	"slices"
	"strings"
)

// atStart are the parameters that are read when the program starts, of the sections that a reload takes up otherwise: ports and
// how long a stop takes, files that are opened once, and what bounds memory that is counted from the start.
func atStart() map[string][]string {
	return map[string][]string{
		"smtpd": {
			"listen", "submission_listen", "submissions_listen", "drain_timeout", "upstream_proxy_protocol", "upstream_proxy_timeout",
		},
		"listener": {
			"name", "listen", "listen_tls", "submission", "syslog_name", "drain_timeout", "upstream_proxy_protocol", "upstream_proxy_timeout",
		},
		"postscreen": {"enable", "cache_limit", "upstream_proxy_protocol", "upstream_proxy_timeout"},
		"cleanup":    {"alias_depth_limit", "alias_expansion_limit"}, // tables of the type directory have them
		"qmgr":       {"active_limit", "message_recipient_limit", "resolve_concurrency", "end_timeout"},
		"verify":     {"cache_limit"},
		"pickup":     {"directory", "timeout", "drain_timeout", "max_connections", "max_connections_per_user"},
		"qmqpd":      {"listen", "drain_timeout"},
		"proxymap":   {"listen", "unix_listener_mode", "unix_listener_group", "drain_timeout"},
		"spawn":      {"name", "listen", "unix_listener_mode", "unix_listener_group", "drain_timeout"},
		"rewrite":    nil, "smtp": nil, "transport": nil, "bounce": nil, "milter": nil, "flush": nil, "local": nil, "restriction_class": nil,
	}
}

// ofMain are the parameters of [main] that a reload takes up.
func ofMain() []string {
	return []string{"trusted_networks", "soft_bounce", "parent_domain_matches_subdomains", "export_environment"}
}

// ports are the tables that are a port each: a new one, or one that goes, waits for the next start.
func ports() []string { return []string{"listener", "spawn"} }

// TakenUp says that a reload takes a parameter up, "section.name", or a table's, "section.table.name" or "section.table" for the
// whole; others count from the next start.
func TakenUp(name string) bool {
	section, key, _ := strings.Cut(name, ".")
	if section == "main" {
		return slices.Contains(ofMain(), key)
	}
	first, some := atStart()[section]
	if slices.Contains(tableSections(), section) {
		_, of, ok := strings.Cut(key, ".")
		if key = of; !ok {
			return some && !slices.Contains(ports(), section)
		}
	}
	return some && !slices.Contains(first, key)
}

// tableSections are the sections that are tables, [[section]].
func tableSections() []string { return []string{"transport", "restriction_class", "listener", "spawn"} }

// TakenUp says that a reload takes the parameter up.
func (p Param) TakenUp() bool {
	if section, key, _ := strings.Cut(p.Name, "."); p.table && !strings.Contains(key, ".") { // of the declaration
		return TakenUp(section + ".any." + key)
	}
	return TakenUp(p.Name)
}

// KeepingFrom is c as a reload takes it up: what counts from the next start has the value of the start. It changes c, and gives it back. A table that only
// one of both has is as c has it.
func (c *Config) KeepingFrom(start *Config) *Config {
	was := map[string]Param{}
	for _, p := range start.bound {
		was[p.Name] = p
	}
	for _, p := range c.bound {
		if old, ok := was[p.Name]; ok && !TakenUp(p.Name) {
			p.put(old.get())
		}
	}
	return c
}
