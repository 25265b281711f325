package lmtpd

import (
	"crypto/tls"
	"time"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/internal/clock"
	"toastmaster/internal/msglog"
	"toastmaster/internal/smtpserver"
	"toastmaster/internal/wire"
	"toastmaster/mailstore"
	"toastmaster/mailstore/plan"
)

// Options are what a Daemon is made of.
type Options struct {
	Params    configs.LMTPD
	Hostname  string // main.hostname
	Directory *directory.Directory
	Store     *mailstore.Store
	// Plan delivers into it.
	Plan *plan.Executor
	// TLS is for STARTTLS; nil does not offer it.
	TLS              *tls.Config
	HandshakeTimeout time.Duration // tls.handshake_timeout
	Log              *msglog.Log
	Clock            clock.Clock
}

// Daemon makes the handler. It is safe for concurrent use, starts nothing and
// needs no Close.
type Daemon struct{ o Options }

// New makes a Daemon.
func New(o Options) *Daemon { return &Daemon{o: o} }

// Handler is the handler of lmtpd.listen.
func (d *Daemon) Handler() *smtpserver.Server {
	p := d.o.Params
	return &smtpserver.Server{
		Service: "lmtpd", Hostname: d.o.Hostname, LMTP: true, NoDSN: true, TLS: d.o.TLS,
		Backend:         smtpserver.BackendFunc(d.newSession),
		MaxMessageBytes: p.MessageSizeLimit, MaxRecipients: p.RecipientLimit, MaxErrors: p.ErrorLimit,
		Timeout: p.Timeout, MinRate: p.MinDataRate, HandshakeTimeout: d.o.HandshakeTimeout,
		// Not fewer errors: a client of lmtpd.trusted_networks does not probe, and
		// refused recipients of one message are errors, too.
		Stress: smtpserver.Stress{Timeout: p.StressTimeout},
		Log:    d.o.Log, Clock: d.o.Clock,
	}
}

func (d *Daemon) newSession(c *smtpserver.Conn) smtpserver.Session {
	// The client is an MTA that has dealt with bare line ends, or wants them
	// kept; refusing them here would bounce accepted mail.
	c.SetBare(wire.Allow)
	return &session{d: d, c: c, logged: []any{"service", "lmtpd", "session", c.ID()}}
}
