package smtpd

import (
	"net/netip"

	"toastmaster/configs"
	"toastmaster/internal/anvil"
	"toastmaster/internal/dsn"
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

// limitRates begins to count what the client does.
func (s *session) limitRates() {
	ip := s.c.ClientAddr()
	if s.d.o.Counter == nil || s.known.Trusted || !ip.IsValid() || service.InNetworks(s.d.exempt, ip) {
		return
	}
	s.client = s.d.o.Counter.Client(ip)
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

// mayMail counts a message.
func (s *session) mayMail() *dsn.Error {
	if s.within(anvil.Message, s.d.o.Params.MessageRate) {
		return nil
	}
	return tooMuch("Too much mail from " + service.ClientText(s.c.ClientAddr()))
}

// mayRcpt counts a recipient. A client that had too many refused gets the same
// answer for everybody: it must not go on to learn who is here.
func (s *session) mayRcpt() *dsn.Error {
	most := s.d.o.Params.RefusedRate
	switch {
	case s.client.IsZero():
		return nil
	case most > 0 && !s.authenticated() && s.d.o.Counter.Rate(anvil.Refused, s.client) >= most:
		return tooMuch("Too many refused recipients from " + service.ClientText(s.c.ClientAddr()))
	case !s.within(anvil.Recipient, s.d.o.Params.RecipientRate):
		return tooMuch("Too many recipients from " + service.ClientText(s.c.ClientAddr()))
	}
	return nil
}

// refusedRcpt counts a recipient that was refused for good. A user who logged in
// may see who is here: that is what a hoster's users write to.
func (s *session) refusedRcpt(e *dsn.Error) {
	if !s.client.IsZero() && !s.authenticated() && !e.Temporary() {
		s.d.o.Counter.Add(anvil.Refused, s.client, 1)
	}
}

// tooMuch is the answer over a limit: later.
func tooMuch(text string) *dsn.Error { return dsn.New(dsn.PolicyLater, text).WithCode(450) }
