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
	FailureWait      time.Duration
	FailureAnswer    time.Duration
	NetworkFailures  int
	AccountFailures  int
	ClientWaiting    int
	KnownTTL         time.Duration
	KnownNetworks    int
	KnownAccounts    int
}

func (c *Auth) params() []Param {
	return []Param{
		Size("auth.argon2_memory", &c.Argon2Memory, 19<<20, 64<<10, 256<<20,
			"Memory that making or checking one password hash takes (argon2id m). More makes stolen hashes harder to break and log-ins slower.").Also("default_pass_scheme"),
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
			"Password hashes computed at the same time. Each takes argon2_memory and one processor for some 20 ms.").Also("auth_worker_max_count", "auth_cache_verify_password_with_worker"),
		Int("auth.waiting", &c.Waiting, 1000, 1, 1000000,
			"Log-ins that may wait for their turn; more are answered with a temporary failure."),
		Int("auth.cache_entries", &c.CacheEntries, 20000, 0, 10000000,
			"Successful log-ins remembered, by a keyed hash of name, password and stored hash. 0 remembers none.").Also("auth_cache_size"),
		Duration("auth.cache_ttl", &c.CacheTTL, time.Hour, 0, 24*time.Hour,
			"How long a successful log-in is remembered. A changed password counts at once.").Also("auth_cache_ttl"),
		Duration("auth.failure_delay", &c.FailureDelay, 2*time.Second, 0, time.Minute,
			"How long the next log-in of a client (IPv4 address, IPv6 /64; on all services together) waits before it is looked at, after one failure; it doubles with each further failure. A log-in takes back the failures of this client at this account, no others. The log-ins of a client are looked at one after another, however many connections it has. Clients in main.trusted_networks, which has loopback by default, and on unix sockets never wait. Loopback that is not trusted is one client, so a webmail program there belongs in main.trusted_networks. A wrong password that is tried again is no further failure. 0 delays nobody.").Also("auth_failure_delay"),
		Duration("auth.failure_delay_max", &c.FailureDelayMax, 16*time.Second, 0, 10*time.Minute,
			"The longest such delay."),
		Duration("auth.failure_wait", &c.FailureWait, 30*time.Second, time.Second, 10*time.Minute,
			"The longest that a log-in waits, for its turn and its delay together; then it is refused for now (4.7.0). It should be below the time-outs of clients and the log-in timeouts of the services."),
		Duration("auth.failure_answer", &c.FailureAnswer, time.Second, 0, 10*time.Second,
			"A failed log-in is answered after this time, or a multiple of it when the work took longer, so that the time does not tell whether a mailbox exists or how its password is kept (Dovecot auth_failure_delay). It should be longer than checking the slowest kind of stored hash takes. It counts for trusted networks, too. 0 answers at once."),
		Int("auth.failure_clients", &c.FailureClients, 50000, 1, 10000000,
			"Clients, accounts and networks whose failures are remembered, each; with more, those with the fewest failures are forgotten first."),
		Duration("auth.failure_memory", &c.FailureMemory, 5*time.Minute, time.Second, 24*time.Hour,
			"How long a failure counts, at least; it is forgotten after twice this time."),
		Int("auth.network_failures", &c.NetworkFailures, 20, 0, 1000000,
			"Failures of all clients of a network (/24, /48) together, from which on its log-ins are looked at one after another and delayed as those of one client. 0 does not count networks."),
		Int("auth.account_failures", &c.AccountFailures, 10, 0, 1000000,
			"Failures at one account, from which on log-ins of strangers to it are looked at one after another and delayed, wherever they come from. A client that logged in to the account lately (auth.known_ttl), or from the same /24 or /48, is no stranger: its owner is not locked out. 0 does not count accounts."),
		Int("auth.client_waiting", &c.ClientWaiting, 20, 0, 10000,
			"Log-ins of one client that may wait for their turn, and as many of one network or at one account under attack; more are refused for now (4.7.0)."),
		Duration("auth.known_ttl", &c.KnownTTL, 30*24*time.Hour, 0, 365*24*time.Hour,
			"How long after a log-in a client, or one of the same network, is no stranger to the account. Over a restart the last log-in by each service is remembered (`mailbox status` shows it). 0 knows nobody."),
		Int("auth.known_networks", &c.KnownNetworks, 16, 0, 1000,
			"From how many clients and networks an account is known, the latest."),
		Int("auth.known_accounts", &c.KnownAccounts, 100000, 0, 10000000,
			"For how many accounts that is remembered."),
	}
}
