package configs

import "time"

// Anvil is the section [anvil]: how clients and users are counted. The limits
// themselves stand in the sections of the services.
type Anvil struct {
	RateTimeUnit time.Duration
	Keys         int
}

func (c *Anvil) params() []Param {
	return []Param{
		Duration("anvil.rate_time_unit", &c.RateTimeUnit, time.Minute, time.Second, time.Hour,
			"The time over which the rates of clients are taken (Postfix anvil_rate_time_unit). Limits per user and hour do not depend on it."),
		Int("anvil.keys", &c.Keys, 50000, 1000, 10000000,
			"How many clients, networks or users are counted at once, for each kind of event; some 200 octets each. With more, those with the fewest events are forgotten first, so that a flood of addresses pushes out itself and not somebody who has many."),
	}
}
