package configs

import "time"

// Anvil is the section [anvil]: how clients and users are counted. The limits
// themselves stand in the sections of the services.
type Anvil struct {
	RateTimeUnit time.Duration
	StatusUpdate time.Duration
	IPv4Bits     int
	IPv6Bits     int
	Keys         int
}

func (c *Anvil) params() []Param {
	return []Param{
		Duration("anvil.rate_time_unit", &c.RateTimeUnit, time.Minute, time.Second, time.Hour,
			"The time over which the rates of clients are taken (Postfix anvil_rate_time_unit). Limits per user and hour do not depend on it."),
		Duration("anvil.status_update_time", &c.StatusUpdate, 10*time.Minute, time.Second, 24*time.Hour,
			"How often the log and the metric toastmaster_client_peak have the most that one client did: connections at once, and the rates of connections, messages, recipients, TLS sessions and AUTH commands (Postfix anvil_status_update_time). Nothing is logged when nobody came.").Also("anvil_status_update_time"),
		Int("anvil.client_ipv4_prefix_length", &c.IPv4Bits, 32, 1, 32,
			"How many bits of an IPv4 address are one client, for all limits and rates of clients, of every service.").Also("smtpd_client_ipv4_prefix_length"),
		Int("anvil.client_ipv6_prefix_length", &c.IPv6Bits, 64, 1, 128,
			"The same for an IPv6 address. A customer has at least a /64, and may come from each address of it.").Also("smtpd_client_ipv6_prefix_length"),
		Int("anvil.keys", &c.Keys, 50000, 1000, 10000000,
			"How many clients, networks or users are counted at once, for each kind of event; some 200 octets each. With more, those with the fewest events are forgotten first, so that a flood of addresses pushes out itself and not somebody who has many."),
	}
}
