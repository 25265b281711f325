package configs

import "time"

// IMAPD is the section [imapd].
type IMAPD struct {
	Haproxy          []string
	Listen           []string
	ListenTLS        []string
	MaxConnections   int
	MaxClient        int
	MaxUserIP        int
	Reserved         int
	ConnectionRate   int
	StressThreshold  int
	StressTimeout    time.Duration
	LoginTimeout     time.Duration
	IdleTimeout      time.Duration
	CommandTimeout   time.Duration
	WriteTimeout     time.Duration
	DrainTimeout     time.Duration
	IdleNotify       time.Duration
	MaxLoginFailures int
	MaxBadCommands   int
	MaxLine          int64
	MaxLiteral       int64
	MaxMessage       int64
	MaxSearch        int64
	MaxSearchKeys    int
	MaxSearchDepth   int
	MaxSearchTests   int
	MaxListPatterns  int
	MaxFetchItems    int
	MaxFetchCopies   int
	MaxDiscard       int64
}

func (c *IMAPD) params() []Param {
	return []Param{
		List("imapd.listen", &c.Listen, []string{":143"}, listenAllowed, checkListen,
			"Addresses for IMAP; TLS by STARTTLS. Empty opens none.").Also("imap", "inet_listener", "protocols"),
		List("imapd.listen_tls", &c.ListenTLS, []string{":993"}, listenAllowed, checkListen,
			"Addresses for IMAP with TLS from the first octet. Empty opens none.").Also("imaps", "inet_listener"),
		haproxyParam("imapd", &c.Haproxy, "imapd.listen and imapd.listen_tls"),
		Int("imapd.max_connections", &c.MaxConnections, 20000, 1, 1000000,
			"Connections at once.").Also("process_limit", "client_limit"),
		Int("imapd.max_connections_per_client", &c.MaxClient, 200, 0, 1000000,
			"Connections at once of one client (an IPv4 address, an IPv6 /64). Trusted networks are exempt. 0 is no limit."),
		Int("imapd.reserved_connections", &c.Reserved, 1000, 0, 1000000,
			"How many of imapd.max_connections are kept for trusted networks and unix sockets: webmail, monitoring."),
		Int("imapd.client_connection_rate_limit", &c.ConnectionRate, 3000, 0, 10000000,
			"Connections of one client (an IPv4 address, an IPv6 /64) in anvil.rate_time_unit; more are closed. Trusted networks are exempt. 0 is no limit."),
		Int("imapd.stress_threshold", &c.StressThreshold, 80, 0, 100,
			"When so many percent of the connections that are not reserved are taken, imapd.stress_login_timeout holds for clients that are not trusted, until a quarter of these is free again. 0 is never.").Also("stress"),
		Duration("imapd.stress_login_timeout", &c.StressTimeout, 10*time.Second, time.Second, time.Hour,
			"Under stress, what takes the place of imapd.login_timeout; for those who have not logged in yet, too."),
		Int("imapd.max_userip_connections", &c.MaxUserIP, 30, 0, 1000000,
			"Connections at once of one user from one client (an IPv4 address, an IPv6 /64; Dovecot mail_max_userip_connections). Trusted networks are exempt. 0 is no limit."),
		Duration("imapd.login_timeout", &c.LoginTimeout, 3*time.Minute, time.Second, time.Hour,
			"From the connection to the log-in."),
		Duration("imapd.idle_timeout", &c.IdleTimeout, 30*time.Minute, 10*time.Second, 24*time.Hour,
			"After the log-in, how long the server waits for a command, also in IDLE. RFC 3501 asks for at least 30 minutes."),
		Duration("imapd.command_timeout", &c.CommandTimeout, 5*time.Minute, time.Second, time.Hour,
			"How long the server waits for the next octets within a command, such as a literal."),
		Duration("imapd.write_timeout", &c.WriteTimeout, 5*time.Minute, time.Second, time.Hour,
			"How long one write waits for a client that does not read."),
		Duration("imapd.drain_timeout", &c.DrainTimeout, 10*time.Second, 0, time.Hour,
			"How long a stop waits for commands that are being served.").Also("shutdown_clients"),
		Duration("imapd.idle_notify_interval", &c.IdleNotify, 2*time.Minute, 0, time.Hour,
			"How often a client in IDLE is told that the server is still here, which keeps address translators from forgetting it (Dovecot imap_idle_notify_interval). 0 never tells."),
		Int("imapd.max_login_failures", &c.MaxLoginFailures, 5, 1, 1000,
			"Failed log-ins after which the connection is closed. It counts for trusted networks and loopback, too; how long each attempt waits is auth.failure_delay."),
		Int("imapd.max_bad_commands", &c.MaxBadCommands, 20, 1, 10000,
			"Commands with mistakes after which the connection is closed. After log-in a good command begins the count anew; in all there may be ten times as many."),
		Size("imapd.max_line", &c.MaxLine, 64<<10, 8<<10, 1<<20,
			"Length of a command line without its literals (Dovecot imap_max_line_length)."),
		Size("imapd.max_literal", &c.MaxLiteral, 64<<10, 4<<10, 16<<20,
			"Octets of all literals of a command together, messages of APPEND excepted."),
		Size("imapd.max_message", &c.MaxMessage, 64<<20, 1<<10, 4<<30,
			"Size of a message that APPEND takes, in octets on the wire.").Also("message_size_limit", "quota_max_mail_size"),
		Size("imapd.max_search", &c.MaxSearch, 4<<30, 1<<20, 1<<40,
			"Octets of message files that one SEARCH may read; beyond it the command is refused with [LIMIT]."),
		Int("imapd.max_search_keys", &c.MaxSearchKeys, 1000, 10, 100000,
			"Keys of one SEARCH, those within NOT and OR included; more are refused with [LIMIT]. A set of messages is one key."),
		Int("imapd.max_search_depth", &c.MaxSearchDepth, 50, 5, 1000,
			"How deep the keys of a SEARCH may nest in NOT, OR and parentheses."),
		Int("imapd.max_search_tests", &c.MaxSearchTests, 100000000, 100000, 1<<40,
			"Tests of a message against a key that one SEARCH may make, one that needs more than the index counted as 20; beyond it the command is refused with [LIMIT]. A machine makes about 10 million a second."),
		Int("imapd.max_list_patterns", &c.MaxListPatterns, 100, 1, 100000,
			"Patterns of one LIST; more are refused with [LIMIT]."),
		Int("imapd.max_fetch_items", &c.MaxFetchItems, 250, 10, 100000,
			"Different data items of one FETCH; more are refused with [LIMIT]. One that is named again is answered once."),
		Int("imapd.max_fetch_copies", &c.MaxFetchCopies, 10, 1, 100000,
			"How many times its size one FETCH may send of a message, by items that overlap; more is refused with [LIMIT], before anything of the message is sent. The first MiB is never refused."),
		Size("imapd.max_discard", &c.MaxDiscard, 1<<30, 64<<10, 1<<40,
			"Octets of a refused literal or of a line that is too long that are read and dropped for one command; beyond it the session ends. Before log-in it is imapd.max_literal."),
	}
}

// StressAt is how many connections of strangers are stress.
func (c *IMAPD) StressAt() int { return stressAt(c.StressThreshold, c.MaxConnections, c.Reserved) }
