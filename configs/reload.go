package configs

import (
	"slices"
	"strings"
)

// atStart are the parameters of [smtpd], and of a [[listener]], that are read when the program starts: ports and limits of a
// service, and what another part has.
func atStart() []string {
	return []string{
		"listen", "submission_listen", "submissions_listen", "listen_tls", "submission", "trusted_networks", "syslog_name", "milter_macro_daemon_name",
		"drain_timeout", "max_connections", "max_connections_per_client", "reserved_connections", "stress_threshold", "upstream_proxy_protocol", "upstream_proxy_timeout",
		"message_size_limit", "client_event_limit_exceptions", "foreign_header_from",
	}
}

// TakenUp says that a reload takes a parameter up; others count from the next start.
func TakenUp(name string) bool {
	section, rest, _ := strings.Cut(name, ".")
	switch section {
	case "restriction_class":
		return true
	case "smtpd":
		return !slices.Contains(atStart(), rest)
	case "listener":
		_, key, ok := strings.Cut(rest, ".")
		return ok && !slices.Contains(atStart(), key) // a whole listener is a port
	}
	return false
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
