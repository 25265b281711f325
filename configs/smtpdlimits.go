package configs

import "time"

// SMTPDLimits are the parameters of [smtpd] that bound what a client may cost.
type SMTPDLimits struct {
	SoftErrorLimit int
	ErrorSleepTime time.Duration
	RejectLogLimit int

	ConnectionRate   int
	CommandRate      int
	MessageRate      int
	RecipientRate    int
	HandshakeRate    int
	AuthRate         int
	RefusedRate      int
	EventExceptions  []string
	ForbidPipelining bool

	MinDataRate     int64
	LoginTimeout    time.Duration
	Reserved        int
	StressThreshold int
	StressTimeout   time.Duration
	StressErrors    int
	StressJunk      int
}

func (c *SMTPDLimits) params() []Param {
	return []Param{
		Int("smtpd.soft_error_limit", &c.SoftErrorLimit, 10, 0, 10_000,
			"Errors since the last accepted message after which each one costs smtpd.error_sleep_time. Trusted networks are exempt. 0 is never (Postfix smtpd_soft_error_limit)."),
		Duration("smtpd.error_sleep_time", &c.ErrorSleepTime, time.Second, 0, 30*time.Second,
			"How long the answer to an error waits, from smtpd.soft_error_limit on (Postfix smtpd_error_sleep_time)."),
		Int("smtpd.reject_log_limit", &c.RejectLogLimit, 10, 0, 1_000_000,
			"Refusals of a session that have a line each in the log; the others are counted in one line at its end. 0 is no limit."),
		Int("smtpd.client_connection_rate_limit", &c.ConnectionRate, 600, 0, 10_000_000,
			"Connections of one client (see anvil.client_ipv4_prefix_length) in anvil.rate_time_unit, on each kind of port; more are closed with 421. Trusted networks and smtpd.client_event_limit_exceptions are exempt, as from the other smtpd.client_ rates. 0 is no limit (Postfix smtpd_client_connection_rate_limit)."),
		Int("smtpd.client_command_rate_limit", &c.CommandRate, 20_000, 0, 100_000_000,
			"Commands of one client on each kind of port in anvil.rate_time_unit; beyond them the connection is closed with 421 4.7.0. 0 is no limit."),
		Int("smtpd.client_message_rate_limit", &c.MessageRate, 1200, 0, 10_000_000,
			"Messages that one client may begin on each kind of port in anvil.rate_time_unit; more are answered with 450 4.7.1. 0 is no limit (Postfix smtpd_client_message_rate_limit)."),
		Int("smtpd.client_recipient_rate_limit", &c.RecipientRate, 10_000, 0, 10_000_000,
			"Recipients that one client may name on each kind of port in anvil.rate_time_unit; more are answered with 450 4.7.1. 0 is no limit (Postfix smtpd_client_recipient_rate_limit)."),
		Int("smtpd.client_new_tls_session_rate_limit", &c.HandshakeRate, 0, 0, 10_000_000,
			"TLS sessions that one client may begin on each kind of port in anvil.rate_time_unit, without those that are resumed; more are answered with 421 or, at STARTTLS, 454 4.7.0. 0 is no limit (Postfix smtpd_client_new_tls_session_rate_limit)."),
		Int("smtpd.client_auth_rate_limit", &c.AuthRate, 0, 0, 10_000_000,
			"AUTH commands that one client may send on each kind of port in anvil.rate_time_unit, whatever comes of them; more are answered with 450 4.7.1. 0 is no limit (Postfix smtpd_client_auth_rate_limit). Failed log-ins cost time in any case, auth.failure_delay."),
		Int("smtpd.client_refused_recipient_rate_limit", &c.RefusedRate, 120, 0, 10_000_000,
			"Recipients of one client that are refused for good in anvil.rate_time_unit. Beyond it every recipient is answered with 450 4.7.1 and nobody is looked up, and new connections are closed with 421: whoever probes addresses learns no more. 0 is no limit."),
		List("smtpd.client_event_limit_exceptions", &c.EventExceptions, []string{}, "networks in CIDR form", checkPrefix,
			"Clients that are exempt from the rates of a client and from smtpd.max_connections_per_client, besides main.trusted_networks: a list server, another host of ours (Postfix smtpd_client_event_limit_exceptions)."),
		Bool("smtpd.forbid_unauth_pipelining", &c.ForbidPipelining, true,
			"A client that sends before its time is refused with 554 5.5.0: text before the greeting, or anything behind EHLO, HELO, DATA, NOOP or VRFY before their answer, as content before 354. Trusted networks are exempt (Postfix smtpd_forbid_unauth_pipelining).").Also("reject_unauth_pipelining"),
		Size("smtpd.min_data_rate", &c.MinDataRate, 500, 0, 1<<30,
			"Octets of a message that buy one second more, up to smtpd.timeout. A message that comes more slowly is given up. 0 gives each read of a message smtpd.timeout (Postfix smtpd_min_data_rate).").Also("smtpd_per_request_deadline", "smtpd_per_record_deadline"),
		Duration("smtpd.login_timeout", &c.LoginTimeout, 3*time.Minute, time.Second, time.Hour,
			"On the ports for users, from the connection to the log-in."),
		Int("smtpd.reserved_connections", &c.Reserved, 100, 0, 1_000_000,
			"How many of smtpd.max_connections are kept for trusted networks and unix sockets."),
		Int("smtpd.stress_threshold", &c.StressThreshold, 80, 0, 100,
			"When so many percent of the connections that are not reserved are taken, the next three parameters hold for clients that are not trusted, until a quarter of these is free again (Postfix STRESS_README). 0 is never.").Also("stress"),
		Duration("smtpd.stress_timeout", &c.StressTimeout, 10*time.Second, time.Second, time.Hour,
			"Under stress, what takes the place of smtpd.timeout; for those who wait already, too."),
		Int("smtpd.stress_error_limit", &c.StressErrors, 1, 0, 10_000,
			"Under stress, what takes the place of smtpd.error_limit. 0 leaves that."),
		Int("smtpd.stress_junk_limit", &c.StressJunk, 1, 0, 10_000,
			"Under stress, what takes the place of smtpd.junk_limit. 0 leaves that."),
	}
}

// stressAt is how many connections are so many percent of those that are not
// reserved; 0 for never.
func stressAt(percent, connections, reserved int) int {
	if percent == 0 {
		return 0
	}
	return max(max(connections-reserved, 1)*percent/100, 1)
}

// StressAt is how many connections of strangers are stress.
func (c *SMTPD) StressAt() int { return stressAt(c.StressThreshold, c.MaxConnections, c.Reserved) }
