package configs

import "time"

// QMQPD is the section [qmqpd].
type QMQPD struct {
	Listen            []string
	Clients           []string
	Timeout           time.Duration
	ErrorDelay        time.Duration
	ClientPortLogging bool
	DrainTimeout      time.Duration
	MaxConnections    int
	MaxClient         int
}

func (c *QMQPD) params() []Param {
	return []Param{
		List("qmqpd.listen", &c.Listen, nil, listenAllowed, checkListen,
			"Addresses at which mail is taken by QMQP (port 628 by custom), one message a connection, from the hosts of qmqpd.authorized_clients. Empty opens none."),
		List("qmqpd.authorized_clients", &c.Clients, nil, "networks in CIDR form", checkPrefix,
			"The hosts that are served (Postfix qmqpd_authorized_clients); all others are turned away. Who is named may send mail to anywhere through this host, as from any sender: name hosts that are yours. A unix socket is served whoever connects.").Also("qmqpd_authorized_clients"),
		Duration("qmqpd.timeout", &c.Timeout, 5*time.Minute, time.Second, time.Hour,
			"How long a client may take to send the next octets of its message, or to take the reply (Postfix qmqpd_timeout). The whole message must come within ten times as long.").Also("qmqpd_timeout"),
		Duration("qmqpd.error_delay", &c.ErrorDelay, time.Second, 0, time.Minute,
			"How long a refusal waits (Postfix qmqpd_error_delay).").Also("qmqpd_error_delay"),
		Bool("qmqpd.client_port_logging", &c.ClientPortLogging, false,
			"Whether the log has the port of a client, too (Postfix qmqpd_client_port_logging).").Also("qmqpd_client_port_logging"),
		Duration("qmqpd.drain_timeout", &c.DrainTimeout, 10*time.Second, 0, time.Hour,
			"How long a stop waits for messages that are coming in."),
		Int("qmqpd.max_connections", &c.MaxConnections, 1000, 1, 1_000_000, "Connections at once."),
		Int("qmqpd.max_connections_per_client", &c.MaxClient, 200, 0, 1_000_000,
			"Connections at once of one client (an IPv4 address, an IPv6 /64); unix sockets are exempt. 0 is no limit."),
	}
}
