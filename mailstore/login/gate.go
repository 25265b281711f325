package login

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"toastmaster/directory/gate"
	"toastmaster/internal/dsn"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
	"toastmaster/internal/wire"
	"toastmaster/mailstore"
)

// The errors of a log-in; those of directory/gate.
var (
	ErrInsecure  = gate.ErrInsecure
	ErrMechanism = gate.ErrMechanism
	ErrTooMany   = gate.ErrTooMany
	ErrRevoked   = gate.ErrRevoked
	ErrNoTLS     = dsn.New(dsn.InvalidCommand, "TLS is not available")
)

// Gate makes the sessions of one service. Safe for concurrent use; its exported
// fields do not change once Connect was called.
type Gate struct {
	// Gate decides who comes in.
	gate.Gate
	// Open is (*mailstore.Store).Session.
	Open func(ctx context.Context, p mailstore.Principal) (*mailstore.Session, error)
	// TLS is for STARTTLS; nil offers none.
	TLS *tls.Config
	// Timeout is from the connection to the log-in.
	Timeout time.Duration
	// StressTimeout takes its place, from now on, while the service has hardly
	// any places left. Zero changes nothing.
	StressTimeout time.Duration
	// HandshakeTimeout bounds STARTTLS.
	HandshakeTimeout time.Duration
	// Pool has the blocks of the connections.
	Pool wire.Pool
}

// Connect begins a session on c, which may be a *tls.Conn whose handshake is
// done. It logs a Connect event; Disconnect must follow. What is read before the
// log-in has until the end of Timeout and must be lines of text.
func (g *Gate) Connect(c net.Conn) *Session {
	s := &Session{
		ID: service.NewSessionID(), Client: service.ClientAddr(c), Wire: wire.NewConn(c, &g.Pool),
		gate: g, began: time.Now(),
	}
	var until time.Time
	if g.Timeout > 0 {
		until = s.began.Add(g.Timeout)
	}
	s.Wire.Limit(until, g.StressTimeout)
	s.Wire.In.Text = true
	_, s.tls = c.(*tls.Conn)
	s.Visitor = g.Visit(gate.Client{Session: s.ID, Addr: s.Client, Encrypted: s.TLS, Admit: s.open, Revoke: s.revoke})
	g.Log.Event(msglog.Connect{Service: g.Service, Session: s.ID, Client: s.client(), TLS: s.tls})
	return s
}
