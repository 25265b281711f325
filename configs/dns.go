package configs

import "time"

// DNS is the section [dns]: how name servers are asked. Which ones is smtp.resolver.
type DNS struct {
	Timeout      time.Duration
	Attempts     int
	TotalTimeout time.Duration
	CacheLimit   int
}

func (c *DNS) params() []Param {
	return []Param{
		Duration("dns.timeout", &c.Timeout, 5*time.Second, 100*time.Millisecond, time.Minute,
			"How long one name server may take for one question, before the next one is asked."),
		Int("dns.attempts", &c.Attempts, 2, 1, 10,
			"How often each name server is asked a question."),
		Duration("dns.total_timeout", &c.TotalTimeout, 20*time.Second, time.Second, 5*time.Minute,
			"How long all name servers together may take for one question. Then there is no answer, and what depends on it is tried again later."),
		Int("dns.cache_limit", &c.CacheLimit, 10_000, 0, 1_000_000,
			"How many answers are kept for their TTL, a day at most. Some 500 octets each; one of more than 8 KiB is not kept. Zero keeps none."),
	}
}
