package service

import (
	"context"
	"net"
	"net/netip"
	"time"

	"toastmaster/internal/anvil"
	"toastmaster/internal/dsn"
	"toastmaster/internal/haproxy"
)

// admitProxy starts a session for a proxy, which has yet to say for whom. Until then it counts as a trusted client.
func (s *Server) admitProxy(handlers context.Context, l Listener, ses *session) {
	if !l.Proxy.is(ses.client) {
		s.turnAway(l, ses, "", dsn.New(dsn.PolicyLater, "this port is for proxies, and the client is in none of their networks (main.haproxy_trusted_networks)"))
		return
	}
	ses.trusted = true
	if refused := s.enter(ses); refused != nil {
		s.refuse(l, ses, refused)
		return
	}
	go s.serve(context.WithValue(handlers, sessionKey{}, ses), l, ses)
}

// introduced waits for who the client is, and puts the connection as it is known then into c. false: it is
// over, and what was to be said has been said.
func (s *Server) introduced(l Listener, ses *session, c *net.Conn) bool {
	// The deadline comes first: a drain before it must not be forgotten. Sockets live in the machine's time.
	_ = ses.conn.SetReadDeadline(time.Now().Add(l.Proxy.Timeout))
	ses.register(func() { _ = ses.conn.SetReadDeadline(time.Unix(1, 0)) })
	told, err := haproxy.Accept(ses.conn)
	ses.register(func() {})
	_ = ses.conn.SetReadDeadline(time.Time{}) // it is not for who comes next
	if err != nil {
		s.Log.Warn("haproxy", "service", s.ServiceName, "client", ClientText(ses.client), "cause", err)
		return false
	}
	*c = told
	client := ClientAddr(told)
	text, e := s.reclassify(l, ses, client)
	if e != nil {
		s.turnAway(l, &session{conn: ses.conn, client: client}, text, e)
		return false
	}
	return true
}

// reclassify counts a session as the client's that was told. It returns why not, and what the client hears.
func (s *Server) reclassify(l Listener, ses *session, client netip.Addr) (said string, e *dsn.Error) {
	if !s.limits().allows(client) {
		return s.Denied, dsn.New(dsn.PolicyLater, "the client is not in the networks that are served")
	}
	if !client.IsValid() || InNetworks(s.limits().Trusted, client) {
		s.mu.Lock()
		defer s.mu.Unlock()
		ses.client = client
		return "", nil
	}
	if s.Admit != nil {
		if e := s.Admit(client); e != nil {
			return s.Busy, e
		}
	}
	if l.TLS != nil && s.AdmitTLS != nil {
		if e := s.AdmitTLS(client); e != nil {
			return s.Busy, e
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.limits().Connections; n > 0 && s.strangers >= max(n-s.limits().Reserved, 1) {
		return s.Busy, dsn.New(dsn.TooManyConnections, "too many connections")
	}
	key := s.clientKey(client)
	if !s.clients.Enter(anvil.Connect, key, s.limits().PerClient) {
		return s.Busy, s.tooManyOf(client)
	}
	ses.client, ses.key, ses.trusted = client, key, false
	s.strangers++
	ses.stress(s.stressed)
	s.checkStress()
	return "", nil
}
