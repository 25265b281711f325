package service

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"toastmaster/internal/anvil"
	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
	"toastmaster/internal/msglog"
)

// Server is the Service of every TCP or unix-socket protocol. Its exported
// fields do not change once Run was called.
type Server struct {
	ServiceName string
	Listeners   []Listener
	Handler     Handler
	Limits      Limits
	// Busy is written to a client over a limit before the close, Denied to one that
	// is not in Limits.Allowed: "421 ...", with its line end; "$client" in it is the client's address. Nothing is written on
	// an implicit-TLS port.
	Busy, Denied string
	// Admit, which may be nil, says whether a client that is not trusted may
	// connect now: its rate of connections, for example. It must not wait.
	Admit func(client netip.Addr) *dsn.Error
	// AdmitTLS, which may be nil, is asked besides on an implicit-TLS port, before the handshake.
	AdmitTLS func(client netip.Addr) *dsn.Error
	// Counter counts the connections of a client (anvil.Connect, under
	// ServiceName), and thins out the lines about those that were turned away. nil
	// writes each line, and counts in a Counter of the server's own.
	Counter *anvil.Counter
	// Linger, which may be nil, says how long sessions go on at the end of Run before they are
	// asked to end, because another process takes new ones.
	Linger func() time.Duration
	Log    *msglog.Log
	Clock  clock.Clock

	// renewed takes the place of Limits; nil while nobody called Renew.
	renewed atomic.Pointer[Limits]

	mu       sync.Mutex
	ready    chan struct{}
	running  bool
	draining chan struct{}
	sessions map[*session]struct{}
	// clients is Counter, or the server's own.
	clients *anvil.Counter
	// strangers are the sessions that are not of trusted clients.
	strangers int
	stressed  bool
	empty     chan struct{} // closed when draining and no session is left
}

// closeGrace is how long a handler whose connection was closed may take to
// return. It is for handlers that are broken, so it is no parameter.
const closeGrace = 5 * time.Second

// busyTimeout bounds the write of Busy; the send buffer is empty, so it never waits
// for an honest client.
const busyTimeout = time.Second

// limits are those of now.
func (s *Server) limits() *Limits {
	if l := s.renewed.Load(); l != nil {
		return l
	}
	return &s.Limits
}

// Renew gives the server other limits, for who connects then; Files and Cost stay. Sessions beyond a lower limit go on. It may be called at any time.
func (s *Server) Renew(l Limits) {
	l.Files, l.Cost = s.Limits.Files, s.Limits.Cost
	s.renewed.Store(&l)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running {
		s.checkStress()
	}
}

// Name is ServiceName.
func (s *Server) Name() string { return s.ServiceName }

// Ready is closed when Run accepts connections.
func (s *Server) Ready() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.readyLocked()
}

func (s *Server) readyLocked() chan struct{} {
	if s.ready == nil {
		s.ready = make(chan struct{})
	}
	return s.ready
}

// Addrs are the addresses of the listeners: "127.0.0.1:2110", "unix:/path",
// with " (tls)" behind those of implicit TLS.
func (s *Server) Addrs() []string {
	out := make([]string, 0, len(s.Listeners))
	for _, l := range s.Listeners {
		a := l.Addr().String()
		if l.Addr().Network() == "unix" {
			a = unixPrefix + a
		}
		if l.TLS != nil {
			a += " (tls)"
		}
		out = append(out, a)
	}
	return out
}

// Sessions is the number of connections being served.
func (s *Server) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}

// Close closes the listeners. It is for a server whose Run is never called;
// Run closes them itself.
func (s *Server) Close() error {
	var errs []error
	for _, l := range s.Listeners {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Run accepts until ctx is cancelled, then drains. It can be called once.
func (s *Server) Run(ctx context.Context) error {
	if !s.begin() {
		return fmt.Errorf("service %s: Run called twice", s.ServiceName)
	}
	handlers, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()

	var accepting sync.WaitGroup
	for _, l := range s.Listeners {
		accepting.Go(func() { s.accept(ctx, handlers, l) })
	}
	s.announce()
	<-ctx.Done()
	closeErr := s.Close()
	accepting.Wait()
	return errors.Join(closeErr, s.drain(cancel))
}

func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running {
		return false
	}
	s.running = true
	s.readyLocked()
	s.draining = make(chan struct{})
	s.empty = make(chan struct{})
	s.sessions = map[*session]struct{}{}
	if s.clients = s.Counter; s.clients == nil {
		s.clients = anvil.New(anvil.Options{Clock: s.Clock})
	}
	return true
}

func (s *Server) announce() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.ready)
}

// accept is the loop of one listener.
func (s *Server) accept(ctx, handlers context.Context, l Listener) {
	const shortest, longest = 5 * time.Millisecond, time.Second
	pause := shortest
	for {
		c, err := l.Accept()
		if err == nil {
			pause = shortest
			// Its panic is that client's trouble. A session has the next fence.
			if Fenced(s.Log, func() error { s.admit(handlers, l, c); return nil }, "service", s.ServiceName) != nil {
				_ = c.Close()
			}
			continue
		}
		if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			return
		}
		// Out of descriptors, mostly (EMFILE). Waiting lets sessions end;
		// giving up would turn a busy minute into an outage.
		s.Log.Warn("accept failed", "service", s.ServiceName, "listener", l.Addr().String(), "pause", pause, "cause", err.Error())
		timer := s.Clock.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C():
		}
		pause = min(2*pause, longest)
	}
}

// admit starts a session, or turns the client away.
func (s *Server) admit(handlers context.Context, l Listener, c net.Conn) {
	ses := &session{conn: c, client: ClientAddr(c)}
	if l.Proxy != nil {
		s.admitProxy(handlers, l, ses)
		return
	}
	if !s.limits().allows(ses.client) {
		s.turnAway(l, ses, s.Denied, dsn.New(dsn.PolicyLater, "the client is not in the networks that are served"))
		return
	}
	ses.trusted = !ses.client.IsValid() || InNetworks(s.limits().Trusted, ses.client)
	if !ses.trusted && s.Admit != nil {
		if e := s.Admit(ses.client); e != nil {
			s.refuse(l, ses, e)
			return
		}
	}
	if !ses.trusted && l.TLS != nil && s.AdmitTLS != nil {
		if e := s.AdmitTLS(ses.client); e != nil {
			s.refuse(l, ses, e)
			return
		}
	}
	if refused := s.enter(ses); refused != nil {
		s.refuse(l, ses, refused)
		return
	}
	go s.serve(context.WithValue(handlers, sessionKey{}, ses), l, ses)
}

// enter counts the session in. It returns why not.
func (s *Server) enter(ses *session) *dsn.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.limits().Connections; n > 0 && (len(s.sessions) >= n || !ses.trusted && s.strangers >= max(n-s.limits().Reserved, 1)) {
		return dsn.New(dsn.TooManyConnections, "too many connections")
	}
	if !ses.trusted {
		ses.key = s.clientKey(ses.client)
	}
	if !s.clients.Enter(anvil.Connect, ses.key, s.limits().PerClient) {
		return s.tooManyOf(ses.client)
	}
	if !s.limits().Files.take(s.limits().Cost) {
		s.clients.Leave(anvil.Connect, ses.key)
		return dsn.New(dsn.TooManyConnections, "too many open files")
	}
	s.sessions[ses] = struct{}{}
	if !ses.trusted {
		s.strangers++
	}
	s.checkStress()
	ses.stressed = s.stressed && !ses.trusted // nobody else has it yet
	return nil
}

// tooManyOf is why a client has no further connection.
func (s *Server) tooManyOf(client netip.Addr) *dsn.Error {
	return dsn.Wrap(dsn.TooManyConnections, "too many connections from this client", &msglog.Exceeded{
		What: "Connection concurrency limit", Count: s.clients.Open(anvil.Connect, s.clientKey(client)) + 1, Service: s.ServiceName,
	})
}

// clientKey is what the connections of a client to this service are counted by.
func (s *Server) clientKey(client netip.Addr) anvil.Key {
	if InNetworks(s.limits().Uncounted, client) {
		return anvil.Key{}
	}
	return anvil.Name(s.ServiceName).From(s.clients.AnyClient(client))
}

// leave counts it out.
func (s *Server) leave(ses *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, ses)
	s.limits().Files.give(s.limits().Cost)
	s.clients.Leave(anvil.Connect, ses.key)
	if !ses.trusted {
		s.strangers--
	}
	s.checkStress()
	if len(s.sessions) == 0 && closed(s.draining) {
		close(s.empty)
	}
}

// checkStress begins or ends the stress and tells the sessions. s.mu is held.
func (s *Server) checkStress() {
	most := s.limits().Stress
	on := most > 0 && (s.strangers >= most || s.stressed && s.strangers > most*3/4)
	if on == s.stressed {
		return
	}
	s.stressed = on
	for ses := range s.sessions {
		if !ses.trusted {
			ses.stress(on)
		}
	}
	if on {
		s.Log.Warn("stress", "service", s.ServiceName, "connections", s.strangers,
			"text", "nearly all connections are taken: clients have less time until some are free")
		return
	}
	s.Log.Info("stress is over", "service", s.ServiceName, "connections", s.strangers)
}

func (s *Server) refuse(l Listener, ses *session, why *dsn.Error) {
	s.turnAway(l, ses, s.Busy, why)
}

// turnAway says text, which may be empty, and closes.
func (s *Server) turnAway(l Listener, ses *session, text string, why *dsn.Error) {
	if text != "" && l.TLS == nil {
		_ = ses.conn.SetWriteDeadline(time.Now().Add(busyTimeout))
		_, _ = ses.conn.Write([]byte(strings.ReplaceAll(text, "$client", ClientText(ses.client))))
	}
	_ = ses.conn.Close()
	event := msglog.Reject{Service: s.ServiceName, Client: ClientText(ses.client), Stage: "connect", Err: why}
	times := 0
	if s.Counter != nil {
		times = s.Counter.Add(anvil.Turned, anvil.Name(s.ServiceName).From(s.Counter.Client(ses.client)), 1)
	}
	if !milestone(times) {
		s.Log.Count(event)
		return
	}
	if times > 1 {
		said := *why
		said.Text = fmt.Sprintf("%s (%d times now)", why.Text, times)
		event.Err = &said
	}
	s.Log.Event(event)
}

// milestone says that the n-th event of its kind has a line in the log: 0 (not
// counted), 1, 10, 100, 1000 ... A client that is turned away as often as it can
// must not fill the disk of the log.
func milestone(n int) bool {
	for n >= 10 && n%10 == 0 {
		n /= 10
	}
	return n <= 1
}

// serve is the goroutine of one connection.
func (s *Server) serve(ctx context.Context, l Listener, ses *session) {
	c := ses.conn
	defer s.leave(ses)
	defer func() { _ = c.Close() }()
	// Its panic is in the log and does not end the others; the client sees
	// the close.
	_ = Fenced(s.Log, func() error {
		if l.Proxy == nil || s.introduced(l, ses, &c) {
			s.converse(ctx, l, c)
		}
		return nil
	}, "service", s.ServiceName, "client", ClientText(ses.client))
}

func (s *Server) converse(ctx context.Context, l Listener, c net.Conn) {
	if l.TLS != nil {
		t := tls.Server(c, l.TLS)
		if err := s.handshake(t); err != nil {
			s.Log.Info("handshake", "service", s.ServiceName, "client", ClientText(ClientAddr(c)), "cause", err.Error())
			return
		}
		c = t
	}
	s.Handler.ServeConn(ctx, c)
}

// handshake uses no context: that would cost a goroutine, and closing the
// socket at the end of the drain stops it as well. Socket deadlines are always
// in the machine's time, so Clock is not asked.
func (s *Server) handshake(t *tls.Conn) error {
	if d := s.limits().HandshakeTimeout; d > 0 {
		_ = t.SetDeadline(time.Now().Add(d))
	}
	if err := t.Handshake(); err != nil {
		return err
	}
	return t.SetDeadline(time.Time{})
}

// drain ends the sessions: ask, wait, cancel, close.
func (s *Server) drain(cancel context.CancelFunc) error {
	if s.stopEntering() == 0 {
		return nil
	}
	if s.Linger != nil && s.waitEmpty(s.Linger()) {
		return nil
	}
	if s.askToEnd() == 0 {
		return nil
	}
	if s.limits().DrainTimeout > 0 && s.waitEmpty(s.limits().DrainTimeout) {
		return nil
	}
	cancel()
	s.closeSessions()
	if s.waitEmpty(closeGrace) {
		return nil
	}
	return fmt.Errorf("service %s: %d sessions did not end", s.ServiceName, s.Sessions())
}

// stopEntering counts the sessions there are: more do not come.
func (s *Server) stopEntering() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.draining)
	return len(s.sessions)
}

// askToEnd tells the sessions.
func (s *Server) askToEnd() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ses := range s.sessions {
		ses.drain()
	}
	return len(s.sessions)
}

func (s *Server) closeSessions() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ses := range s.sessions {
		_ = ses.conn.Close()
	}
}

func (s *Server) waitEmpty(d time.Duration) bool {
	if d <= 0 {
		return closed(s.empty)
	}
	timer := s.Clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-s.empty:
		return true
	case <-timer.C():
		return false
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
