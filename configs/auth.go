package configs

import "time"

// Auth is the section [auth]: how passwords are hashed and how log-ins are
// decided.
type Auth struct {
	Argon2Memory     int64
	Argon2Time       int
	Argon2Threads    int
	BulkArgon2Memory int64
	BulkArgon2Time   int
	Rehash           bool
	Verifications    int
	Waiting          int
	CacheEntries     int
	CacheTTL         time.Duration
	FailureDelay     time.Duration
	FailureDelayMax  time.Duration
	FailureClients   int
	FailureMemory    time.Duration
}

func (c *Auth) params() []Param {
	return []Param{
		Size("auth.argon2_memory", &c.Argon2Memory, 19<<20, 64<<10, 256<<20,
			"Memory that making or checking one password hash takes (argon2id m). More makes stolen hashes harder to break and log-ins slower."),
		Int("auth.argon2_time", &c.Argon2Time, 2, 1, 20,
			"Passes over that memory (argon2id t)."),
		Int("auth.argon2_threads", &c.Argon2Threads, 1, 1, 16,
			"Lanes of argon2id (p)."),
		Size("auth.bulk_argon2_memory", &c.BulkArgon2Memory, 512<<10, 64<<10, 256<<20,
			"The same as argon2_memory for passwords that arrive in bulk, which are hashed in full at the first log-in when rehash is on."),
		Int("auth.bulk_argon2_time", &c.BulkArgon2Time, 1, 1, 20,
			"The same as argon2_time for passwords that arrive in bulk."),
		Bool("auth.rehash", &c.Rehash, true,
			"Replace a hash of another scheme or with lower parameters by one with the present parameters after a log-in has shown the password."),
		Int("auth.verifications", &c.Verifications, 4, 1, 1024,
			"Password hashes computed at the same time. Each takes argon2_memory and one processor for some 20 ms."),
		Int("auth.waiting", &c.Waiting, 1000, 1, 1000000,
			"Log-ins that may wait for their turn; more are answered with a temporary failure."),
		Int("auth.cache_entries", &c.CacheEntries, 20000, 0, 10000000,
			"Successful log-ins remembered, by a keyed hash of name, password and stored hash. 0 remembers none."),
		Duration("auth.cache_ttl", &c.CacheTTL, time.Hour, 0, 24*time.Hour,
			"How long a successful log-in is remembered. A changed password counts at once."),
		Duration("auth.failure_delay", &c.FailureDelay, 2*time.Second, 0, time.Minute,
			"How long the next log-in of a client (IPv4 address, IPv6 /64; on all services together) waits before it is looked at, after one failure; it doubles with each further failure, and ends with a success. A log-in that auth.cache_ttl still remembers does not wait. Clients in main.trusted_networks, which has loopback by default, and on unix sockets never wait. Loopback that is not trusted is one client: what one webmail user types wrong slows down all, so such a program belongs in main.trusted_networks. 0 delays nobody."),
		Duration("auth.failure_delay_max", &c.FailureDelayMax, 16*time.Second, 0, 10*time.Minute,
			"The longest such delay. It should be below the log-in timeouts of the services."),
		Int("auth.failure_clients", &c.FailureClients, 50000, 1, 10000000,
			"Clients whose failures are remembered; with more, some are forgotten before their time."),
		Duration("auth.failure_memory", &c.FailureMemory, 5*time.Minute, time.Second, 24*time.Hour,
			"How long after its last failure a client is remembered. Each failure begins anew."),
	}
}
