package smtpd

import (
	"context"
	"net/netip"
	"strconv"
	"strings"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/internal/addr"
	"toastmaster/internal/anvil"
	"toastmaster/internal/dns"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/smtpserver"
	"toastmaster/mta/milter"
	"toastmaster/mta/policy"
)

// filtering is what mail filters hear of a session. The zero value is for nobody.
type filtering struct {
	session *milter.Session
	// helo says that there was a HELO, and tls the state of TLS then: a new one begins anew.
	helo, tls bool
	// began says that they have heard of a transaction, and wait for its end.
	began bool
	// hold and discard are what they want of the message.
	hold, discard bool
	// rcpt is the present recipient, with refused as its answer; rcptKnown says that there is one.
	rcpt    addr.Address
	refused *dsn.Error
	atRcpt  bool
	sender  addr.Address
	atMail  bool
}

// close ends the filters' session.
func (f *filtering) close() {
	if f.session != nil {
		f.session.Close()
	}
}

// reset ends the transaction.
func (f *filtering) reset() {
	if f.session != nil && f.began {
		f.session.Abort()
	}
	f.began, f.hold, f.discard, f.atRcpt, f.atMail = false, false, false, false, false
}

// act does to the message what filters have said of it.
func (f *filtering) act(env *envelope.Envelope) {
	env.Hold = env.Hold || f.hold
	if f.discard {
		env.Filter, env.Redirect, env.BCC = &envelope.Route{Transport: "discard"}, addr.Address{}, nil
	}
}

// filter is who is shown the message, nil for nobody.
func (f *filtering) filter() envelope.Filter {
	if f.session == nil || f.discard {
		return nil
	}
	return f.session
}

// took notes a verdict, and is the reply.
func (s *session) took(v milter.Verdict) *dsn.Error {
	m := &s.milters
	if v.Hold && !m.hold || v.Discard && !m.discard {
		s.d.o.Log.Info("milter", "service", s.d.o.LogService, "session", s.c.ID(), "hold", v.Hold, "discard", v.Discard)
	}
	m.hold, m.discard = m.hold || v.Hold, m.discard || v.Discard
	return v.Err
}

// milterConnect begins the filters' session, with what they are told of the client. The reply takes the place of the greeting.
func (s *session) milterConnect(ctx context.Context) *dsn.Error {
	if s.d.o.Milters == nil || s.d.o.Params.Overrides(configs.NoMilters) {
		return nil
	}
	list, e := s.milterList(ctx)
	if e != nil || len(list) == 0 {
		return e
	}
	s.milters.session = s.d.o.Milters.Session(list, s.c.ID(), s.macro)
	name := s.d.env.Peer(ctx, &s.known).Name
	v := s.milters.session.Connect(ctx, name, netip.AddrPortFrom(s.c.ClientAddr(), s.known.Conn.ClientPort))
	switch e := s.took(v); {
	case e == nil:
	case e.Reply() == 421:
		return e
	case !e.Temporary():
		return e.WithCode(554)
	}
	return nil // it stands, and is the reply to MAIL
}

// milterList are the filters for the client: smtpd.milters, or what a table has.
func (s *session) milterList(ctx context.Context) (milter.List, *dsn.Error) {
	if len(s.d.o.MilterMaps) == 0 || !s.c.ClientAddr().IsValid() {
		return s.d.o.MilterList, nil
	}
	text, err := s.d.o.MilterMaps.Lookup(ctx, s.c.ClientAddr().Unmap().String())
	switch directory.OutcomeOf(err) {
	case directory.Found:
		list, err := s.d.o.Milters.Parse(text)
		if err == nil {
			return list, nil
		}
		s.d.o.Log.Error("smtpd.milter_maps", "service", s.d.o.LogService, "session", s.c.ID(), "table", s.d.o.MilterMaps.String(), "cause", err)
		return nil, dsn.Wrap(dsn.Misconfigured, "Server configuration error", err).WithCode(421)
	case directory.NotFound:
		return s.d.o.MilterList, nil
	}
	s.d.o.Log.Error("smtpd.milter_maps", "service", s.d.o.LogService, "session", s.c.ID(), "table", s.d.o.MilterMaps.String(), "cause", err)
	return nil, dsn.Wrap(dsn.MailSystem, "Temporary lookup failure", err).WithCode(421)
}

// milterHelo tells of a HELO. What filters refuse there is the reply to MAIL, but for an end of the session.
func (s *session) milterHelo(ctx context.Context, name string) *dsn.Error {
	m := &s.milters
	if m.session == nil {
		return nil
	}
	tls := s.c.TLS() != nil
	if m.helo && tls != m.tls { // the session began anew with STARTTLS
		m.session.Abort()
		m.helo, m.began = false, false
	}
	e := s.took(m.session.Helo(ctx, name))
	if m.helo {
		m.session.Abort()
		m.began = false
	}
	if m.helo, m.tls = true, tls; e != nil && e.Reply() == 421 {
		return e
	}
	return nil
}

// milterMail tells of MAIL.
func (s *session) milterMail(ctx context.Context, m smtpserver.Mail) *dsn.Error {
	f := &s.milters
	if f.session == nil {
		return nil
	}
	f.hold, f.discard = false, false
	if e := s.took(f.session.Standing()); e != nil {
		return e
	}
	f.began, f.atMail, f.sender = true, true, m.From
	return s.took(f.session.Mail(ctx, arguments(m.Raw)))
}

// arguments are those of MAIL or RCPT: the path as it was written, and parameters.
func arguments(raw string) []string {
	_, rest, err := addr.ParsePath(raw, true)
	if err != nil {
		return []string{raw}
	}
	path := strings.TrimSpace(strings.TrimSuffix(raw, rest))
	return append([]string{path}, strings.Fields(rest)...)
}

// milterRcpt tells of RCPT; refused is the answer that it has already.
func (s *session) milterRcpt(ctx context.Context, r smtpserver.Rcpt, refused *dsn.Error) *dsn.Error {
	f := &s.milters
	if f.session == nil || f.discard {
		return nil
	}
	f.atRcpt, f.rcpt, f.refused = true, r.To, refused
	e := s.took(f.session.Rcpt(ctx, arguments(r.Raw), refused != nil))
	f.atRcpt = false
	if e == nil && refused == nil && s.env.ID == "" && s.d.o.NewID != nil {
		s.env.ID = s.d.o.NewID()
	}
	return e
}

// milterData tells of DATA.
func (s *session) milterData(ctx context.Context) *dsn.Error {
	f := &s.milters
	if f.session == nil || f.discard {
		return nil
	}
	return s.took(f.session.Data(ctx))
}

// Unknown tells of a command that there is not. Filters may only say that it is refused for now.
func (s *session) Unknown(ctx context.Context, line string) *dsn.Error {
	f := &s.milters
	if f.session == nil || f.discard {
		return nil
	}
	if e := f.session.Unknown(ctx, line).Err; e != nil && e.Temporary() {
		return e
	}
	return nil
}

// macro is what filters are told, by the name of it.
func (s *session) macro(ctx context.Context, name string) (string, bool) {
	peer := s.d.env.Peer(ctx, &s.known)
	client := s.c.ClientAddr().Unmap()
	address := "127.0.0.1" // a unix socket is of this host
	if client.Is6() {
		address = "IPv6:" + client.String()
	} else if client.IsValid() {
		address = client.String()
	}
	switch name {
	case "_":
		text := peer.Reverse + " [" + strings.TrimPrefix(address, "IPv6:") + "]"
		if !strings.EqualFold(peer.Name, peer.Reverse) {
			text += " (may be forged)"
		}
		return text, true
	case "client_addr":
		return address, true
	case "client_port":
		return strconv.Itoa(int(s.known.Conn.ClientPort)), true
	case "client_connections":
		return strconv.Itoa(s.openConnections()), true
	case "client_name":
		return peer.Name, true
	case "client_ptr":
		return peer.Reverse, true
	case "client_resolve":
		return resolved(peer), true
	case "daemon_name":
		return s.d.o.MacroDaemonName, s.d.o.MacroDaemonName != ""
	case "daemon_addr", "if_addr":
		if a := s.known.Conn.Server; a.IsValid() {
			return a.Addr().Unmap().String(), true
		}
		return "", false
	case "daemon_port":
		if a := s.known.Conn.Server; a.IsValid() {
			return strconv.Itoa(int(a.Port())), true
		}
		return "", false
	}
	if value, ok := s.tlsMacro(name); ok {
		return value, true
	}
	return s.mailMacro(ctx, name)
}

// resolved is what is known of a client's name, in the words of Sendmail.
func resolved(p *policy.Peer) string {
	switch {
	case p.Name != policy.Unknown:
		return "OK"
	case p.NameOutcome == dns.NoAnswer:
		return "TEMP"
	case p.Reverse != policy.Unknown:
		return "FORGED"
	}
	return "FAIL"
}

// openConnections is how many connections the client has on this kind of port, with this one.
func (s *session) openConnections() int {
	ip := s.c.ClientAddr()
	if s.d.o.Counter == nil || !ip.IsValid() {
		return 1
	}
	who := anvil.Name(s.service()).From(s.d.o.Counter.AnyClient(ip))
	return max(s.d.o.Counter.Open(anvil.Connect, who), 1)
}

// tlsMacro are the macros of TLS.
func (s *session) tlsMacro(name string) (string, bool) {
	t := s.c.TLS()
	if t == nil {
		return "", false
	}
	version, cipher, bits := policy.Encryption(&s.known)
	switch name {
	case "tls_version":
		return version, true
	case "cipher":
		return cipher, true
	case "cipher_bits":
		return strconv.Itoa(bits), true
	case "tls_sni":
		return t.ServerName, t.ServerName != ""
	case "cert_subject":
		cert := s.certificate()
		return cert.Subject, cert.Trusted
	case "cert_issuer":
		cert := s.certificate()
		return cert.Issuer, cert.Trusted
	}
	return "", false
}

// mailMacro are the macros of user and message.
func (s *session) mailMacro(ctx context.Context, name string) (string, bool) {
	f := &s.milters
	switch name {
	case "i":
		if s.env == nil {
			return "", false
		}
		return string(s.env.ID), s.env.ID != ""
	case "auth_type":
		return s.login.Mechanism(), s.authenticated()
	case "auth_authen":
		return s.known.User.Address.String(), s.authenticated()
	case "auth_author":
		if s.env != nil && s.env.Auth != nil && s.authenticated() {
			return s.env.Auth.String(), true
		}
		return "", false
	case "mail_addr":
		return s.d.qualify(f.sender).String(), f.atMail
	case "mail_host", "mail_mailer":
		return s.routeMacro(ctx, s.d.qualify(f.sender), name == "mail_host", f.atMail)
	}
	if !f.atRcpt {
		return "", false
	}
	to := s.d.qualify(f.rcpt)
	switch name {
	case "rcpt_addr":
		if f.refused != nil {
			_, text, _ := strings.Cut(f.refused.Text, " ") // without the address, as in Postfix
			return text, true
		}
		return to.String(), true
	case "rcpt_host":
		if f.refused != nil {
			return f.refused.Status.String(), true
		}
		return s.routeMacro(ctx, to, true, true)
	case "rcpt_mailer":
		if f.refused != nil {
			return "error", true
		}
		return s.routeMacro(ctx, to, false, true)
	}
	return "", false
}

// routeMacro is where mail for an address goes.
func (s *session) routeMacro(ctx context.Context, a addr.Address, host, known bool) (string, bool) {
	if !known || s.d.o.Route == nil {
		return "", false
	}
	transport, nexthop := s.d.o.Route(ctx, a)
	if host {
		return nexthop, true
	}
	return transport, true
}
