package smtpd

import (
	"net/netip"

	"toastmaster/configs"
	"toastmaster/internal/anvil"
	"toastmaster/internal/dsn"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
)

// Admission says whether a client may connect to a kind of port now, for
// service.Server.Admit: its rate of connections, and whether it has probed too
// many addresses. name is that of the service.
func Admission(name string, p configs.SMTPD, counter *anvil.Counter) func(client netip.Addr) *dsn.Error {
	exempt, rate := configs.Prefixes(p.EventExceptions), service.ConnectRate(name, counter, p.ConnectionRate)
	return func(client netip.Addr) *dsn.Error {
		if service.InNetworks(exempt, client) {
			return nil
		}
		if p.RefusedRate > 0 && counter.Rate(anvil.Refused, counter.Client(client)) >= p.RefusedRate {
			return dsn.New(dsn.TooManyConnections, "too many refused recipients from this client")
		}
		return rate(client)
	}
}

// AdmissionTLS says whether a client may begin TLS on an implicit-TLS port of a service, for service.Server.AdmitTLS.
func AdmissionTLS(name string, p configs.SMTPD, counter *anvil.Counter) func(client netip.Addr) *dsn.Error {
	if p.HandshakeRate == 0 {
		return nil
	}
	exempt := configs.Prefixes(p.EventExceptions)
	return func(client netip.Addr) *dsn.Error {
		n := counter.Rate(anvil.Handshake, anvil.Name(name).From(counter.Client(client)))
		if n <= p.HandshakeRate || service.InNetworks(exempt, client) {
			return nil
		}
		return tooManyHandshakes(name, client, n)
	}
}

// tooManyHandshakes is the answer to n TLS sessions, or with 0 to one that is refused before it begins.
func tooManyHandshakes(name string, client netip.Addr, n int) *dsn.Error {
	over := &msglog.Exceeded{What: "New TLS session rate limit", Count: n, Service: name}
	if n == 0 {
		over.What = "Refusing STARTTLS request"
	}
	return dsn.Wrap(dsn.TooManyConnections, "Error: too many new TLS sessions from "+service.ClientText(client), over).WithCode(421)
}

// limitRates begins to count what the client does.
func (s *session) limitRates() {
	ip := s.c.ClientAddr()
	if s.d.o.Counter == nil || s.known.Trusted || !ip.IsValid() || service.InNetworks(s.d.exempt, ip) {
		return
	}
	s.host = s.d.o.Counter.Client(ip)
	s.client = anvil.Name(s.service()).From(s.host)
	if s.client.IsZero() || s.d.o.Params.CommandRate == 0 {
		return
	}
	s.c.OnCommand(func() *dsn.Error {
		if s.within(anvil.Command, s.d.o.Params.CommandRate) {
			return nil
		}
		return dsn.New(dsn.TooManyErrors, "Too many commands from "+service.ClientText(ip)).WithCode(421)
	})
}

// within counts an event of the client, if it is within its rate.
func (s *session) within(kind anvil.Kind, most int) bool {
	return s.client.IsZero() || s.d.o.Counter.Take(kind, s.client, 1, most)
}

// over is the answer over a limit: later, with Postfix's words. what is the limit's name for the log.
func (s *session) over(text, what string, most int) *dsn.Error {
	e := dsn.Wrap(dsn.PolicyLater, "Error: "+text+" from "+service.ClientText(s.c.ClientAddr()), &msglog.Exceeded{
		What: what + " rate limit", Count: most + 1, Service: s.service(),
	})
	return e.WithCode(450)
}

// mayMail counts a message.
func (s *session) mayMail() *dsn.Error {
	if most := s.d.o.Params.MessageRate; !s.within(anvil.Message, most) {
		return s.over("too much mail", "Message delivery request", most)
	}
	return nil
}

// mayAuth counts an AUTH command, whatever comes of it.
func (s *session) mayAuth() *dsn.Error {
	if most := s.d.o.Params.AuthRate; !s.within(anvil.AuthCommand, most) {
		return s.over("too many AUTH commands", "AUTH command", most)
	}
	return nil
}

// mayRcpt counts a recipient. A client that had too many refused gets the same
// answer for everybody: it must not go on to learn who is here.
func (s *session) mayRcpt() *dsn.Error {
	p := &s.d.o.Params
	switch {
	case s.client.IsZero():
		return nil
	case p.RefusedRate > 0 && !s.authenticated() && s.d.o.Counter.Rate(anvil.Refused, s.host) >= p.RefusedRate:
		return tooMuch("Too many refused recipients from " + service.ClientText(s.c.ClientAddr()))
	case !s.within(anvil.Recipient, p.RecipientRate):
		return s.over("too many recipients", "Recipient address", p.RecipientRate)
	}
	return nil
}

// refusedRcpt counts a recipient that was refused for good. A user who logged in
// may see who is here: that is what a hoster's users write to.
func (s *session) refusedRcpt(e *dsn.Error) {
	if !s.client.IsZero() && !s.authenticated() && !e.Temporary() {
		s.d.o.Counter.Add(anvil.Refused, s.host, 1)
	}
}

// tooMuch is the answer over a limit: later.
func tooMuch(text string) *dsn.Error { return dsn.New(dsn.PolicyLater, text).WithCode(450) }
