package smtpserver

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"

	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
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
	// Verbs are the rows of its commands; nil are SMTPVerbs or LMTPVerbs.
	Verbs []Verb
	// Quiet has no lines for the beginning and end of a connection in the log: whoever gives it
	// away has his own. A refusal has the client's port then, as those of his have.
	Quiet bool
	// SoftBounce says 4xx, with a temporary status, where a reply would be 5xx (Postfix soft_bounce).
	SoftBounce bool
	// LaxUTF8 takes addresses that are not ASCII without SMTPUTF8, too.
	LaxUTF8 bool
	// Footer, which may be nil, is what a refusal becomes for the client: the text with what stands behind it. It is given the error as
	// the client hears it.
	Footer func(c *Conn, e *dsn.Error) string
	// Replace, which may be nil, is the command line that takes the place of one; its error is the reply.
	Replace func(c *Conn, line string) (string, *dsn.Error)
	// Forbidden, which may be nil, says that a word that is no command ends the session.
	Forbidden func(c *Conn, word string) bool
	// LogPorts has the ports of clients in the log.
	LogPorts bool
	// NoDSN does not offer DSN (RFC 3461), for a backend that sends no reports.
	NoDSN bool

	// TLS offers STARTTLS; nil does not. RequireTLS lets a client in clear do nothing else but what leads there.
	TLS        *tls.Config
	RequireTLS bool

	// MaxMessageBytes limits a message in octets on the wire and is
	// announced; zero is no limit.
	MaxMessageBytes int64
	// MaxRecipients limits a message's recipients, MaxErrors the errors since
	// the last message that was accepted, MaxJunk the commands since then
	// that lead nowhere (NOOP, RSET, VRFY, HELP, greetings). Zero is no limit.
	MaxRecipients int
	MaxErrors     int
	MaxJunk       int

	// SoftErrors is how many errors cost nothing but a reply; from then on each
	// waits for ErrorSleep first. Zero of either is no wait.
	SoftErrors int
	ErrorSleep time.Duration
	// RejectLines is how many refusals of a session have a line in the log
	// each; the others are counted in one. Zero is no limit.
	RejectLines int

	// Timeout bounds the waits for a whole command, or for the client to take
	// a reply; content earns more time by MinRate octets a second (see
	// wire.Conn). HandshakeTimeout bounds STARTTLS. LoginTimeout is from the
	// connection to the log-in, for a port that is for users. Zero is no
	// limit.
	Timeout          time.Duration
	MinRate          int64
	HandshakeTimeout time.Duration
	LoginTimeout     time.Duration
	// Stress is what holds for clients that are not trusted while the service
	// has hardly any places left (service.OnStress). The zero value changes
	// nothing.
	Stress Stress
	// ForbidEarly refuses a client that is not trusted and sends before its
	// time: text before the greeting, or anything behind a command that must
	// be the last of its group (RFC 2920 section 3.1), as content before 354.
	ForbidEarly bool

	Log   *msglog.Log
	Clock clock.Clock

	pool  wire.Pool
	once  sync.Once
	table table
}

// Stress are the stricter limits of Postfix's STRESS_README. Zero leaves one as
// it is.
type Stress struct {
	Timeout   time.Duration
	MaxErrors int
	MaxJunk   int
}

// ServeConn speaks with one client until it leaves. The caller closes nc.
func (s *Server) ServeConn(ctx context.Context, nc net.Conn) {
	c := newConn(ctx, s, nc)
	defer c.w.ReturnBuffers()
	service.OnDrain(ctx, c.drain)
	if !s.Quiet {
		s.Log.Event(msglog.Connect{Service: s.Service, Session: c.id, Client: c.clientText(), TLS: c.tls != nil, Port: c.loggedPort()})
	}
	c.serve()
	if c.gathered > 0 {
		s.Log.Event(msglog.Rejects{Service: s.Service, Session: c.id, Client: c.clientText(), Count: c.gathered})
	}
	if s.Quiet {
		return
	}
	s.Log.Event(msglog.Disconnect{
		Service: s.Service, Session: c.id, Client: c.clientText(),
		Duration: s.Clock.Now().Sub(c.started), Reason: c.reason, Stats: c.stats.String(), Port: c.loggedPort(),
	})
}

// DeniedReply is what a client hears that is not served, for
// service.Server.Denied. It is temporary: a network that is missing in a list
// shall cost no mail.
func (s *Server) DeniedReply() string {
	return "421 4.7.1 " + s.Hostname + " Access denied\r\n"
}

// BusyReply is what a client over the connection limit hears, for
// service.Server.Busy, in Postfix's words.
func (s *Server) BusyReply() string {
	return "421 4.7.0 " + s.Hostname + " Error: too many connections from $client\r\n"
}
