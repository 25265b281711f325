package configs

import "time"

// POP3D is the section [pop3d].
type POP3D struct {
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
	DrainTimeout     time.Duration
	MaxLoginFailures int
	MaxBadCommands   int
	UIDLFormat       string
	NoFlagUpdates    bool
}

func (c *POP3D) params() []Param {
	return []Param{
		List("pop3d.listen", &c.Listen, []string{":110"}, listenAllowed, checkListen,
			"Addresses for POP3; TLS by STLS. Empty opens none.").Also("pop3", "inet_listener", "protocols"),
		List("pop3d.listen_tls", &c.ListenTLS, []string{":995"}, listenAllowed, checkListen,
			"Addresses for POP3 with TLS from the first octet. Empty opens none.").Also("pop3s", "inet_listener"),
		haproxyParam("pop3d", &c.Haproxy, "pop3d.listen and pop3d.listen_tls"),
		Int("pop3d.max_connections", &c.MaxConnections, 2000, 1, 1000000,
			"Connections at once.").Also("process_limit", "client_limit"),
		Int("pop3d.max_connections_per_client", &c.MaxClient, 50, 0, 1000000,
			"Connections at once of one client (an IPv4 address, an IPv6 /64). Trusted networks are exempt. 0 is no limit."),
		Int("pop3d.reserved_connections", &c.Reserved, 100, 0, 1000000,
			"How many of pop3d.max_connections are kept for trusted networks and unix sockets: webmail, monitoring."),
		Int("pop3d.client_connection_rate_limit", &c.ConnectionRate, 1200, 0, 10000000,
			"Connections of one client (an IPv4 address, an IPv6 /64) in anvil.rate_time_unit; more are closed. Trusted networks are exempt. 0 is no limit."),
		Int("pop3d.stress_threshold", &c.StressThreshold, 80, 0, 100,
			"When so many percent of the connections that are not reserved are taken, pop3d.stress_login_timeout holds for clients that are not trusted, until a quarter of these is free again. 0 is never.").Also("stress"),
		Duration("pop3d.stress_login_timeout", &c.StressTimeout, 10*time.Second, time.Second, time.Hour,
			"Under stress, what takes the place of pop3d.login_timeout; for those who have not logged in yet, too."),
		Int("pop3d.max_userip_connections", &c.MaxUserIP, 10, 0, 1000000,
			"Connections at once of one user from one client (an IPv4 address, an IPv6 /64; Dovecot mail_max_userip_connections). Trusted networks are exempt. 0 is no limit."),
		Duration("pop3d.login_timeout", &c.LoginTimeout, 3*time.Minute, time.Second, time.Hour,
			"From the connection to the log-in."),
		Duration("pop3d.idle_timeout", &c.IdleTimeout, 10*time.Minute, 10*time.Second, 24*time.Hour,
			"After the log-in, how long the server waits for a command, or for the client to take what was sent. RFC 1939 asks for at least 10 minutes."),
		Duration("pop3d.drain_timeout", &c.DrainTimeout, 10*time.Second, 0, time.Hour,
			"How long a stop waits for commands that are being served.").Also("shutdown_clients"),
		Int("pop3d.max_login_failures", &c.MaxLoginFailures, 5, 1, 1000,
			"Failed log-ins after which the connection is closed. It counts for trusted networks and loopback, too; how long each attempt waits is auth.failure_delay."),
		Int("pop3d.max_bad_commands", &c.MaxBadCommands, 20, 1, 10000,
			"Commands with mistakes after which the connection is closed. After log-in a good command begins the count anew; in all there may be ten times as many."),
		String("pop3d.uidl_format", &c.UIDLFormat, "%08Xu%08Xv", "text with %u (UID), %v (UIDVALIDITY), 0, width and X (hexadecimal) between as in %08Xu, %f (name of the file) or %g (GUID)", checkUIDLFormat,
			"The unique id of a message (Dovecot pop3_uidl_format). Must not change while there are clients that leave mail on the server: they would download it again.").Also("pop3_uidl_format"),
		Bool("pop3d.no_flag_updates", &c.NoFlagUpdates, false,
			"RETR does not mark a message as seen (Dovecot pop3_no_flag_updates)."),
	}
}

// StressAt is how many connections of strangers are stress.
func (c *POP3D) StressAt() int { return stressAt(c.StressThreshold, c.MaxConnections, c.Reserved) }
