package configs

import (
	"io/fs"
	"strconv"
	"time"
)

// LMTPD is the section [lmtpd].
type LMTPD struct {
	Haproxy          []string
	Listen           []string
	UnixMode         string
	UnixGroup        string
	TrustedNetworks  []string
	MessageSizeLimit int64
	HopCountLimit    int
	RecipientLimit   int
	ErrorLimit       int
	Concurrency      int
	Timeout          time.Duration
	DrainTimeout     time.Duration
	MaxConnections   int
	MaxClient        int
	MinDataRate      int64
	StressThreshold  int
	StressTimeout    time.Duration
}

func (c *LMTPD) params() []Param {
	return []Param{
		List("lmtpd.listen", &c.Listen, []string{"127.0.0.1:24", "unix:lmtp.sock"}, listenAllowed, checkListen,
			"Addresses for mail by LMTP. There is no log-in and no relaying, but whoever is served can fill mailboxes: see lmtpd.trusted_networks. Empty opens none.").Also("protocol", "lmtp", "unix_listener", "protocols"),
		haproxyParam("lmtpd", &c.Haproxy, "lmtpd.listen"),
		String("lmtpd.unix_listener_mode", &c.UnixMode, "0660", "an octal mode of a file, such as 0660", checkMode,
			"Who may connect to the unix sockets of lmtpd.listen (Dovecot's unix_listener mode): owner, group, others; connecting takes the right to write. Whoever may, can write into every mailbox. The folder that the socket lies in must let them through, too: the data folder lets nobody.").Also("mode"),
		String("lmtpd.unix_listener_group", &c.UnixGroup, "", "the name or number of a group, or nothing", checkGroup,
			"The group of the unix sockets of lmtpd.listen (Dovecot's unix_listener group), such as Postfix's. The service's user must be in it. Empty is the service's own group.").Also("group"),
		List("lmtpd.trusted_networks", &c.TrustedNetworks, []string{"127.0.0.0/8", "::1/128"}, "networks in CIDR form", checkPrefix,
			"Clients that are served: the mail hosts that hand mail over to this store. Others are turned away with 421 4.7.1 before they can say anything, so that a mistake here loses no mail. Unix sockets are always served. It is not main.trusted_networks, whose clients may be workstations.").Also("login_trusted_networks"),
		Size("lmtpd.message_size_limit", &c.MessageSizeLimit, 50<<20, 0, 4<<30,
			"The largest message that is taken, in octets on the wire. It should not be below that of the hosts in front, which would have to return what they accepted. Zero is no limit.").Also("quota_max_mail_size"),
		Int("lmtpd.hop_count_limit", &c.HopCountLimit, 50, 1, 1000,
			"How many Received fields a message may have; one with more is taken for a loop and refused with 5.4.6 (Postfix hopcount_limit)."),
		Int("lmtpd.recipient_limit", &c.RecipientLimit, 1000, 100, 100_000,
			"Recipients of a message; more are answered with 452 4.5.3.").Also("lmtp_destination_recipient_limit"),
		Int("lmtpd.error_limit", &c.ErrorLimit, 1000, 1, 1_000_000,
			"Errors since the last accepted message after which the connection is closed with 421. A refused recipient is one."),
		Int("lmtpd.concurrency", &c.Concurrency, 16, 1, 1000,
			"How many mailboxes one message is delivered to at once.").Also("lmtp_user_concurrency_limit"),
		Duration("lmtpd.timeout", &c.Timeout, 5*time.Minute, time.Second, time.Hour,
			"How long the server waits for a whole command, however it comes, or for the client to take a reply; a message has more while it flows, see lmtpd.min_data_rate."),
		Size("lmtpd.min_data_rate", &c.MinDataRate, 500, 0, 1<<30,
			"Octets of a message that buy one second more, up to lmtpd.timeout. A message that comes more slowly is given up. 0 gives each read of a message lmtpd.timeout."),
		Int("lmtpd.stress_threshold", &c.StressThreshold, 80, 0, 100,
			"When so many percent of lmtpd.max_connections are taken by clients that are not on a unix socket, lmtpd.stress_timeout holds for these, until a quarter of them is free again. 0 is never.").Also("stress"),
		Duration("lmtpd.stress_timeout", &c.StressTimeout, 10*time.Second, time.Second, time.Hour,
			"Under stress, what takes the place of lmtpd.timeout; for those who wait already, too. A mail host that keeps an idle connection for later connects anew."),
		Duration("lmtpd.drain_timeout", &c.DrainTimeout, 10*time.Second, 0, time.Hour,
			"How long a stop waits for commands that are being served.").Also("shutdown_clients"),
		Int("lmtpd.max_connections", &c.MaxConnections, 1000, 1, 1_000_000,
			"Connections at once.").Also("process_limit", "client_limit"),
		Int("lmtpd.max_connections_per_client", &c.MaxClient, 100, 0, 1_000_000,
			"Connections at once of one client (an IPv4 address, an IPv6 /64), trusted or not; unix sockets are exempt. Postfix opens lmtp_destination_concurrency_limit of them. 0 is no limit.").Also("lmtp_destination_concurrency_limit"),
	}
}

// StressAt is how many connections of clients that are not on a unix socket are stress.
func (c *LMTPD) StressAt() int { return stressAt(c.StressThreshold, c.MaxConnections, 0) }

// SocketMode is lmtpd.unix_listener_mode.
func (c *LMTPD) SocketMode() fs.FileMode {
	mode, _ := strconv.ParseUint(c.UnixMode, 8, 32) // checkMode has read it
	return fs.FileMode(mode)
}
