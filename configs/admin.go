package configs

import (
	"errors"
	"time"
)

// Admin is the section [admin]: the API and the panel.
type Admin struct {
	Listen             []string
	ListenTLS          []string
	Socket             string
	MaxConnections     int
	MaxClient          int
	Reserved           int
	BodyLimit          int64
	RequestTimeout     time.Duration
	IdleTimeout        time.Duration
	DrainTimeout       time.Duration
	PageSize           int
	BulkWorkers        int
	MaxJobs            int
	JobWorkers         int
	JobHistory         int
	AuditKeep          time.Duration
	AuditRows          int
	ImportMessageLimit int64
}

func (c *Admin) params() []Param {
	return []Param{
		List("admin.listen", &c.Listen, []string{":80"}, listenAllowed, checkListen,
			"Addresses for HTTP. Connections from this machine are served, others are sent to HTTPS. Empty opens none.").Also("inet_listener"),
		List("admin.listen_tls", &c.ListenTLS, []string{":443"}, listenAllowed, checkListen,
			"Addresses for HTTPS. Empty opens none.").Also("doveadm"),
		String("admin.socket", &c.Socket, "admin.sock", "a file", checkFileName,
			"The unix socket that the command line uses. Root and the user that the service runs as have every right there, without a token.").Also("doveadm_socket_path"),
		Int("admin.max_connections", &c.MaxConnections, 200, 1, 100000,
			"Connections at once on each address."),
		Int("admin.max_connections_per_client", &c.MaxClient, 20, 0, 100000,
			"Connections at once of one client (an IPv4 address, an IPv6 /64). Trusted networks and the unix socket are exempt. 0 is no limit."),
		Int("admin.reserved_connections", &c.Reserved, 20, 0, 100000,
			"How many of admin.max_connections are kept for trusted networks. The unix socket has its own."),
		Size("admin.body_limit", &c.BodyLimit, 8<<20, 64<<10, 1<<30,
			"The largest request."),
		Duration("admin.request_timeout", &c.RequestTimeout, time.Minute, time.Second, time.Hour,
			"How long one request may take, from its first octet to the last of the answer."),
		Duration("admin.idle_timeout", &c.IdleTimeout, 2*time.Minute, time.Second, time.Hour,
			"How long a connection may wait for its next request."),
		Duration("admin.drain_timeout", &c.DrainTimeout, 10*time.Second, 0, time.Hour,
			"How long a stop waits for requests that are being served."),
		Int("admin.page_size", &c.PageSize, 100, 1, 1000,
			"Entries of a listing when the request names no limit; a request may ask for up to 1000."),
		Int("admin.bulk_workers", &c.BulkWorkers, 2, 1, 256,
			"Processors that a bulk addition of mailboxes may use to hash passwords."),
		Int("admin.max_jobs", &c.MaxJobs, 100, 1, 100000,
			"Jobs (long work in the background, `toastmaster job`) that may wait or run at once; more are refused."),
		Int("admin.job_workers", &c.JobWorkers, 2, 1, 64,
			"Jobs that run at once; the others wait for their turn."),
		Int("admin.job_history", &c.JobHistory, 1000, 1, 1000000,
			"About how many jobs that are over are kept for `toastmaster job list`."),
		Duration("admin.audit_keep", &c.AuditKeep, 365*24*time.Hour, 0, 100*365*24*time.Hour,
			"How long an entry of the audit (who changed what) is kept. 0 keeps it as long as there is room for it in admin.audit_rows."),
		Int("admin.audit_rows", &c.AuditRows, 1000000, 0, 1000000000,
			"How many entries of the audit are kept, the newest; one takes some 300 octets of the database. 0 is no limit."),
		Size("admin.import_message_limit", &c.ImportMessageLimit, 1<<30, 1<<20, 1<<40,
			"The largest message that `toastmaster mailbox import` brings in. It lies in a file of the store meanwhile, and must arrive within admin.request_timeout."),
	}
}

func checkFileName(s string) error {
	if s == "" {
		return errors.New("empty file name")
	}
	return nil
}
