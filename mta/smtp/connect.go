package smtp

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"

	"toastmaster/configs"
	"toastmaster/internal/dsn"
)

// open connects to t, a host of a site, and makes the session ready for MAIL: greeting, EHLO,
// STARTTLS, AUTH. After an error there is no session.
func (a *Agent) open(ctx context.Context, t target, at site) (*session, *dsn.Error) {
	n, policy := at.nexthop, at.policy
	if at.hasLogin {
		if err := a.logins.refused(at.login, n, a.clock.Now()); err != nil {
			return nil, err
		}
	}
	s, spoiled, err := a.connect(ctx, t, n, policy)
	inClear := spoiled && policy.level == configs.TLSMay && !at.hasLogin && ctx.Err() == nil
	if inClear || spoiled && err.Status == tlsFailed {
		a.log.Warn("tls", "relay", t.String(), "cause", cmp.Or(err.Cause, error(err)))
	}
	if inClear {
		// Nothing can be said on the connection any more, so it takes another one.
		// Postfix waits for the next attempt; with a host that is always like this
		// each first one would fail.
		s, _, err = a.connect(ctx, t, n, a.rules.of(configs.TLSNone))
	}
	if err != nil {
		return nil, err
	}
	if at.hasLogin {
		if err := s.login(at.login, n); err != nil {
			s.end()
			s.quitUnlessBroken()
			return nil, err
		}
	}
	s.ready = a.clock.Now()
	return s, nil
}

// bindTo is the address of this host that a connection to ip comes from, the zero one
// for any.
func (a *Agent) bindTo(ip netip.Addr) netip.Addr {
	text := a.config.BindAddress6
	if ip.Unmap().Is4() {
		text = a.config.BindAddress
	}
	from, _ := netip.ParseAddr(text)
	return from
}

// connect makes a session with TLS as the policy wants it. spoiled: but for TLS there would
// be one.
func (a *Agent) connect(ctx context.Context, t target, n configs.Nexthop, policy tlsPolicy) (s *session, spoiled bool, failed *dsn.Error) {
	d := net.Dialer{Timeout: a.config.ConnectTimeout}
	network, address := "tcp", t.addr.String()
	if t.socket != "" {
		network, address = "unix", t.socket
	} else if from := a.bindTo(t.addr.Addr()); from.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	}
	conn, err := a.dial(ctx, d, network, address)
	if err != nil {
		return nil, false, dsn.Wrap(dsn.NoAnswer, "Cannot connect to "+t.String()+noConnection(err), err)
	}
	s = newSession(a, t, conn)
	s.begin(ctx, false)
	if a.config.TLSWrapper {
		failed = s.wrap(ctx, n, policy)
	}
	if failed == nil {
		failed = s.greet(n)
	}
	if failed == nil {
		failed = s.secure(ctx, n, policy)
		spoiled = failed != nil
	}
	if failed != nil {
		s.end()
		s.quitUnlessBroken()
		return nil, spoiled, failed
	}
	return s, false, nil
}

// dial connects, from the address of d where that can be had.
func (a *Agent) dial(ctx context.Context, d net.Dialer, network, address string) (net.Conn, error) {
	conn, err := d.DialContext(ctx, network, address)
	var call *os.SyscallError
	if err == nil || d.LocalAddr == nil || a.config.BindEnforce || !errors.As(err, &call) || call.Syscall != "bind" {
		return conn, err
	}
	a.log.Warn("smtp.bind_address cannot be used: mail leaves from another address", "address", d.LocalAddr.String(), "cause", err)
	d.LocalAddr = nil
	return d.DialContext(ctx, network, address)
}

// noConnection is why there is none, in the words that everybody searches for; the
// cause in full is for the log.
func noConnection(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return ": Connection refused"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return ": Cannot assign requested address"
	case errors.Is(err, syscall.ENOENT):
		return ": No such file or directory"
	case errors.Is(err, syscall.EACCES):
		return ": Permission denied"
	case errors.Is(err, syscall.EHOSTUNREACH):
		return ": No route to host"
	case errors.Is(err, syscall.ENETUNREACH):
		return ": Network is unreachable"
	case errors.As(err, &timeout) && timeout.Timeout():
		return ": Connection timed out"
	}
	return ""
}

func (s *session) quitUnlessBroken() {
	if s.broken {
		s.close()
		return
	}
	s.quit()
}

// greet reads the greeting and says EHLO. A host that calls itself as we do is
// ourselves, behind an address that we do not know as ours.
func (s *session) greet(n configs.Nexthop) *dsn.Error {
	r, err := s.reply(s.agent.config.HeloTimeout, "the connection")
	if err != nil {
		return err
	}
	if !r.OK() {
		return softened(failure(r, s.target.host, "the connection"))
	}
	words := strings.Fields(strings.ToLower(strings.Join(r.Lines[:min(1, len(r.Lines))], "")))
	if !s.agent.lmtp && !s.agent.named(n) && len(words) > 0 && words[0] == s.agent.hostname {
		return loop(n.Host)
	}
	return s.hello()
}

// softened makes a refusal at the door temporary: it is about the host, and
// another one, or another day, may do (Postfix smtp_skip_5xx_greeting).
func softened(e *dsn.Error) *dsn.Error {
	if !e.Temporary() {
		e.Status = dsn.Make(4, e.Status.Subject(), e.Status.Detail())
	}
	return e
}

// hello says EHLO, or HELO to a host that does not know it; LHLO to an LMTP server.
func (s *session) hello() *dsn.Error {
	discard, failed := s.discards()
	if failed != nil {
		return failed
	}
	if s.agent.lmtp {
		r, err := s.command(s.agent.config.HeloTimeout, "LHLO "+s.agent.helo(), "LHLO")
		switch {
		case err != nil:
			return err
		case !r.OK():
			return softened(failure(r, s.target.host, "LHLO"))
		}
		s.ext = parseExtensions(r, discard)
		return nil
	}
	r, err := s.command(s.agent.config.HeloTimeout, "EHLO "+s.agent.helo(), "EHLO")
	if err != nil {
		return err
	}
	if r.OK() {
		s.ext = parseExtensions(r, discard)
		return nil
	}
	s.ext = extensions{} // whatever it says of EHLO, but 421, it may know HELO

	r, err = s.command(s.agent.config.HeloTimeout, "HELO "+s.agent.helo(), "HELO")
	if err != nil {
		return err
	}
	if !r.OK() {
		return softened(failure(r, s.target.host, "HELO"))
	}
	return nil
}

// secure starts TLS as the policy wants it.
func (s *session) secure(ctx context.Context, n configs.Nexthop, policy tlsPolicy) *dsn.Error {
	level := policy.level
	if s.encrypted() {
		return nil
	}
	if level == configs.TLSNone || level == configs.TLSMay && !s.ext.startTLS {
		return nil
	}
	if !s.ext.startTLS {
		return dsn.New(tlsNotOffered, "TLS is required, but "+s.target.host+" does not offer it")
	}
	r, err := s.command(s.agent.config.StartTLSTimeout, "STARTTLS", "STARTTLS")
	if err != nil {
		return err
	}
	if !r.OK() {
		if level == configs.TLSMay {
			return nil
		}
		return softened(failure(r, s.target.host, "STARTTLS"))
	}
	if err := s.handshake(ctx, policy.config(s.agent, s.target, n)); err != nil {
		return err
	}
	return s.hello()
}

// wrap begins with TLS (smtp.tls_wrappermode).
func (s *session) wrap(ctx context.Context, n configs.Nexthop, policy tlsPolicy) *dsn.Error {
	if policy.level < configs.TLSEncrypt {
		s.broken = true
		return tlsMisconfigured(errors.New("smtp.tls_wrappermode needs the level encrypt or more, and a policy has less"))
	}
	return s.handshake(ctx, policy.config(s.agent, s.target, n))
}

// encrypted says that there is TLS.
func (s *session) encrypted() bool {
	_, is := s.conn.(*tls.Conn)
	return is
}

func (s *session) handshake(ctx context.Context, config *tls.Config) *dsn.Error {
	conn := tls.Client(s.conn, config)
	s.deadline(s.agent.config.StartTLSTimeout)
	if err := conn.HandshakeContext(ctx); err != nil {
		s.broken = true
		return dsn.Wrap(tlsFailed, "TLS handshake with "+s.target.host+" failed", err)
	}
	s.mu.Lock()
	s.conn = conn
	s.mu.Unlock()
	s.in.Reset(source{s})
	s.out.Reset(sink{s})
	return nil
}
