package smtpserver

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"toastmaster/internal/clock"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
	"toastmaster/internal/wire"
)

// Server serves connections. Its fields are set before the first connection
// and not changed afterwards. It is a service.Handler.
type Server struct {
	// Service is the name in the log, Hostname that in the greeting.
	Service  string
	Hostname string
	// LMTP makes it an LMTP server (RFC 2033).
	LMTP    bool
	Backend Backend
	// NoDSN does not offer DSN (RFC 3461), for a backend that sends no reports.
	NoDSN bool

	// TLS offers STARTTLS; nil does not.
	TLS *tls.Config
	// SecureLoopback lets clients on loopback and on a unix socket
	// authenticate without TLS.
	SecureLoopback bool

	// MaxMessageBytes limits a message in octets on the wire and is
	// announced; zero is no limit.
	MaxMessageBytes int64
	// MaxRecipients limits a message's recipients, MaxErrors the errors since
	// the last message that was accepted, MaxJunk the commands since then
	// that lead nowhere (NOOP, RSET, VRFY, HELP, greetings). Zero is no limit.
	MaxRecipients int
	MaxErrors     int
	MaxJunk       int

	// Timeout bounds each wait for a command, a piece of content, or for the
	// client to take a reply; HandshakeTimeout that of STARTTLS. Zero is no
	// limit.
	Timeout          time.Duration
	HandshakeTimeout time.Duration

	Log   *msglog.Log
	Clock clock.Clock

	pool wire.Pool
}

// ServeConn speaks with one client until it leaves. The caller closes nc.
func (s *Server) ServeConn(ctx context.Context, nc net.Conn) {
	c := newConn(ctx, s, nc)
	defer c.w.Release()
	service.OnDrain(ctx, c.w.Interrupt)
	s.Log.Event(msglog.Connect{Service: s.Service, Session: c.id, Client: c.clientText(), TLS: c.tls != nil})
	c.serve()
	s.Log.Event(msglog.Disconnect{
		Service: s.Service, Session: c.id, Client: c.clientText(),
		Duration: s.Clock.Now().Sub(c.started), Reason: c.reason, Stats: c.stats.String(),
	})
}

// BusyReply is what a client over the connection limit hears, for
// service.Server.Busy.
func (s *Server) BusyReply() string {
	return "421 4.7.0 " + s.Hostname + " Too many connections, try again later\r\n"
}
