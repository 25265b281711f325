package configs

import "time"

// LMTPD is the section [lmtpd].
type LMTPD struct {
	Listen           []string
	MessageSizeLimit int64
	RecipientLimit   int
	ErrorLimit       int
	Concurrency      int
	Timeout          time.Duration
	DrainTimeout     time.Duration
	MaxConnections   int
}

func (c *LMTPD) params() []Param {
	return []Param{
		List("lmtpd.listen", &c.Listen, []string{"127.0.0.1:24", "unix:lmtp.sock"}, listenAllowed, checkListen,
			"Addresses for mail by LMTP. There is no log-in and no relaying, but whoever reaches them can fill mailboxes: keep them inside. Empty opens none."),
		Size("lmtpd.message_size_limit", &c.MessageSizeLimit, 0, 0, 4<<30,
			"The largest message that is taken, in octets on the wire. Zero is no limit: what comes here was accepted before."),
		Int("lmtpd.recipient_limit", &c.RecipientLimit, 1000, 100, 100_000,
			"Recipients of a message; more are answered with 452 4.5.3."),
		Int("lmtpd.error_limit", &c.ErrorLimit, 1000, 1, 1_000_000,
			"Errors since the last accepted message after which the connection is closed with 421. A refused recipient is one."),
		Int("lmtpd.concurrency", &c.Concurrency, 16, 1, 1000,
			"How many mailboxes one message is delivered to at once."),
		Duration("lmtpd.timeout", &c.Timeout, 5*time.Minute, time.Second, time.Hour,
			"How long the server waits for a command, a piece of a message, or for the client to take a reply."),
		Duration("lmtpd.drain_timeout", &c.DrainTimeout, 10*time.Second, 0, time.Hour,
			"How long a stop waits for commands that are being served."),
		Int("lmtpd.max_connections", &c.MaxConnections, 1000, 1, 1_000_000,
			"Connections at once."),
	}
}
