package login

import (
	"context"
	"crypto/tls"
	"net/netip"
	"time"

	"toastmaster/directory"
	"toastmaster/directory/gate"
	"toastmaster/internal/dsn"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
	"toastmaster/internal/wire"
	"toastmaster/mailstore"
)

// Session is one connection, from Connect to Disconnect. It belongs to one
// goroutine.
type Session struct {
	// Visitor runs the log-ins and knows who is in.
	*gate.Visitor
	// ID is the session's id in the log.
	ID string
	// Client is the peer, the zero Addr for a unix socket.
	Client netip.Addr
	// Wire is the connection, limited to the time for log-in until that.
	Wire *wire.Conn

	gate    *Gate
	began   time.Time
	tls     bool
	mail    *mailstore.Session
	account mailstore.Account
	cancel  context.CancelFunc
}

// Begin ties the connection to its service and returns the context of the
// session: the drain interrupts a wait for a command, stress shortens the time
// for log-in, and when the log-in is not good any more the context ends and the
// connection is cut. It is called once, before anything is read.
func (s *Session) Begin(ctx context.Context) context.Context {
	ctx, s.cancel = context.WithCancel(ctx)
	service.OnDrain(ctx, s.Wire.Interrupt)
	service.OnStress(ctx, s.Wire.Stress)
	return ctx
}

// revoke ends the session from another goroutine: what it waits for, and what it
// does. It may be called more than once.
func (s *Session) revoke() {
	if s.cancel != nil {
		s.cancel()
	}
	s.Wire.Cut()
}

// TLS says that the connection is encrypted.
func (s *Session) TLS() bool { return s.tls }

// CanStartTLS says whether to offer STARTTLS.
func (s *Session) CanStartTLS() bool { return s.gate.TLS != nil && !s.tls && !s.LoggedIn() }

// StartTLS makes the handshake, after the protocol has written its go-ahead,
// which it sends. What was read ahead is thrown away: it came in clear, from
// anybody (RFC 2595 section 2.4, RFC 3501 section 6.2.1, and the STARTTLS
// injection of CVE-2011-0411). After an error the connection is of no more use.
func (s *Session) StartTLS() error {
	if !s.CanStartTLS() {
		return ErrNoTLS
	}
	if err := s.Wire.Out.Flush(); err != nil {
		return err
	}
	t := tls.Server(s.Wire.NetConn(), s.gate.TLS)
	if d := s.gate.HandshakeTimeout; d > 0 {
		_ = t.SetDeadline(time.Now().Add(d))
	}
	if err := t.Handshake(); err != nil {
		return dsn.Wrap(dsn.BadConnection, "TLS handshake failed", err)
	}
	_ = t.SetDeadline(time.Time{})
	s.tls = true
	s.Wire.Upgrade(t)
	return nil
}

// open opens the mail of somebody who is who they say.
func (s *Session) open(ctx context.Context, box directory.Mailbox) *dsn.Error {
	account := mailstore.AccountOf(box)
	mail, err := s.gate.Open(ctx, mailstore.Principal{Account: account})
	if err != nil {
		return dsn.Wrap(dsn.MailSystem, "Mailbox is not available, try again later", err)
	}
	s.mail, s.account = mail, account
	s.Wire.Unlimit()
	s.Wire.In.Text = false
	return nil
}

// Mail is the open mail, nil before log-in. Disconnect closes it.
func (s *Session) Mail() *mailstore.Session { return s.mail }

// Account is who logged in.
func (s *Session) Account() mailstore.Account { return s.account }

// Disconnect ends the session and its context: it closes the Mail (the selections of
// it must be closed before) and logs why, with the protocol's counts
// ("retr=2 dele=1"). The caller of ServeConn closes the connection.
func (s *Session) Disconnect(reason, stats string) {
	if s.cancel != nil {
		defer s.cancel()
	}
	s.Wire.ReturnBuffers()
	if s.mail != nil {
		if err := s.mail.Close(); err != nil {
			s.gate.Log.Warn("closing the mailbox failed", "service", s.gate.Service, "session", s.ID, "cause", err.Error())
		}
		s.mail = nil
	}
	s.End()
	s.gate.Log.Event(msglog.Disconnect{
		Service: s.gate.Service, Session: s.ID, Client: s.client(),
		Duration: time.Since(s.began), Reason: reason, Stats: stats,
	})
}

func (s *Session) client() string { return service.ClientText(s.Client) }
