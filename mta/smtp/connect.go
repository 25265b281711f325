package smtp

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"

	"toastmaster/configs"
	"toastmaster/internal/dsn"
)

// open connects to t, a host of a site, and makes the session ready for MAIL: greeting, EHLO,
// STARTTLS, AUTH. After an error there is no session.
func (a *Agent) open(ctx context.Context, t target, at site) (*session, *dsn.Error) {
	n, policy := at.nexthop, at.policy
	login, hasLogin := a.passwords.find(at.key, n)
	s, spoiled, err := a.connect(ctx, t, n, policy)
	inClear := spoiled && policy.level == configs.TLSMay && !hasLogin && ctx.Err() == nil
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
	if hasLogin {
		if err := s.login(login); err != nil {
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
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, false, dsn.Wrap(dsn.NoAnswer, "Cannot connect to "+t.String()+noConnection(err), err)
	}
	s = newSession(a, t, conn)
	s.begin(ctx, false)
	if failed = s.greet(n); failed == nil {
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

// noConnection is why there is none, in the words that everybody searches for; the
// cause in full is for the log.
func noConnection(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return ": Connection refused"
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
	if !r.ok() {
		return softened(r.failure(s.target.host, "the connection"))
	}
	name := ""
	if len(r.lines) > 0 {
		name, _, _ = strings.Cut(strings.ToLower(r.lines[0]), " ")
	}
	if !s.agent.lmtp && !s.agent.named(n) && name == s.agent.hostname {
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
	if s.agent.lmtp {
		r, err := s.command(s.agent.config.HeloTimeout, "LHLO "+s.agent.helo(), "LHLO")
		switch {
		case err != nil:
			return err
		case !r.ok():
			return softened(r.failure(s.target.host, "LHLO"))
		}
		s.ext = parseExtensions(r, s.agent.config.DiscardKeywords)
		return nil
	}
	r, err := s.command(s.agent.config.HeloTimeout, "EHLO "+s.agent.helo(), "EHLO")
	if err != nil {
		return err
	}
	if r.ok() {
		s.ext = parseExtensions(r, s.agent.config.DiscardKeywords)
		return nil
	}
	if r.code/100 != 5 {
		return r.failure(s.target.host, "EHLO")
	}
	s.ext = extensions{}
	r, err = s.command(s.agent.config.HeloTimeout, "HELO "+s.agent.helo(), "HELO")
	if err != nil {
		return err
	}
	if !r.ok() {
		return softened(r.failure(s.target.host, "HELO"))
	}
	return nil
}

// secure starts TLS as the policy wants it.
func (s *session) secure(ctx context.Context, n configs.Nexthop, policy tlsPolicy) *dsn.Error {
	level := policy.level
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
	if !r.ok() {
		if level == configs.TLSMay {
			return nil
		}
		return softened(r.failure(s.target.host, "STARTTLS"))
	}
	return s.handshake(ctx, policy.config(s.agent, s.target, n))
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
	return s.hello()
}

// login authenticates (RFC 4954).
func (s *session) login(c credentials) *dsn.Error {
	if _, encrypted := s.conn.(*tls.Conn); !encrypted && s.target.socket == "" {
		return dsn.New(dsn.AuthUnavailable, "Host "+s.target.host+" offers no TLS, so there can be no log-in")
	}
	within := s.agent.config.MailTimeout
	b64 := base64.StdEncoding.EncodeToString
	var steps []string
	switch {
	case slices.Contains(s.ext.auth, "PLAIN"):
		steps = []string{"AUTH PLAIN " + b64([]byte("\x00"+c.user+"\x00"+c.password))}
	case slices.Contains(s.ext.auth, "LOGIN"):
		steps = []string{"AUTH LOGIN", b64([]byte(c.user)), b64([]byte(c.password))}
	default:
		return dsn.New(dsn.AuthUnavailable, "Host "+s.target.host+" offers no way to log in that we know")
	}
	for i, step := range steps {
		r, err := s.command(within, step, "AUTH")
		switch {
		case err != nil:
			return err
		case r.code == 334 && i < len(steps)-1:
		case r.ok() && i == len(steps)-1:
			s.loggedIn = true
			return nil
		default:
			e := r.failure(s.target.host, "AUTH")
			e.Status = loginRefused
			return e
		}
	}
	return nil
}
