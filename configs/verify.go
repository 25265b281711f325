package configs

import "time"

// VerifyCache is the file (Config.MTAPath) that says what probes have found.
const VerifyCache = "verify_cache"

// Verify is the section [verify]: probes of addresses.
type Verify struct {
	Sender             string
	PollCount          int
	PollDelay          time.Duration
	NegativeCache      bool
	PositiveExpire     time.Duration
	PositiveRefresh    time.Duration
	NegativeExpire     time.Duration
	NegativeRefresh    time.Duration
	CacheLimit         int
	PendingLimit       int
	ClientPending      int
	DestinationPending int
}

func (c *Verify) params() []Param {
	return []Param{
		String("verify.sender", &c.Sender, "", "an address, or empty for the null sender", checkOptionalAddress,
			"The sender of probes. Empty is the null sender, so that no host that looks at senders asks us back about it. An address must be one that takes mail.").Also("address_verify_sender"),
		Int("verify.poll_count", &c.PollCount, 3, 1, 100,
			"How often a client waits verify.poll_delay for a probe, the first time not at all: with 3, twice. Who has no answer then is deferred, and the probe goes on.").Also("address_verify_poll_count"),
		Duration("verify.poll_delay", &c.PollDelay, 3*time.Second, time.Millisecond, time.Minute,
			"See verify.poll_count. A client hears of a result at once.").Also("address_verify_poll_delay"),
		Bool("verify.negative_cache", &c.NegativeCache, true,
			"Keep also that an address is not deliverable. Off asks again for each message.").Also("address_verify_negative_cache"),
		Duration("verify.positive_expire_time", &c.PositiveExpire, 31*day, time.Second, 365*day,
			"For how long an address counts as deliverable after it was.").Also("address_verify_positive_expire_time"),
		Duration("verify.positive_refresh_time", &c.PositiveRefresh, 7*day, time.Second, 365*day,
			"After how long an address that is deliverable is probed again, while the old result counts.").Also("address_verify_positive_refresh_time"),
		Duration("verify.negative_expire_time", &c.NegativeExpire, 3*day, time.Second, 365*day,
			"For how long an address counts as undeliverable, or unknown, after it was.").Also("address_verify_negative_expire_time"),
		Duration("verify.negative_refresh_time", &c.NegativeRefresh, 3*time.Hour, time.Second, 365*day,
			"After how long such an address is probed again, while the old result counts.").Also("address_verify_negative_refresh_time"),
		Int("verify.cache_limit", &c.CacheLimit, 100_000, 100, 10_000_000,
			"How many addresses are remembered, some 300 octets each, in verify_cache in main.data_dir. With more, those whose time is over first are forgotten.").Also("address_verify_map"),
		Int("verify.pending_request_limit", &c.PendingLimit, 1000, 1, 100_000,
			"How many probes may be on their way at once. An address for which there is no room is not known, and its mail deferred.").Also("address_verify_pending_request_limit"),
		Int("verify.client_pending_request_limit", &c.ClientPending, 20, 1, 100_000,
			"How many of them may be for one client, an IPv4 address or an IPv6 /64: nobody asks all the world through us."),
		Int("verify.destination_pending_request_limit", &c.DestinationPending, 5, 1, 100_000,
			"How many of them may be for one domain."),
	}
}
