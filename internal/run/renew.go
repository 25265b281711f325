package run

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"sync/atomic"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/run/check"
	"toastmaster/internal/service"
	"toastmaster/internal/smtpserver"
	"toastmaster/mta/smtpd"
)

// smtpdOf is smtpd with a section of parameters, [smtpd] or a [[listener]]. A reload makes it anew: who connects then has the new one, and
// sessions go on with the one that they began with.
type smtpdOf struct {
	now atomic.Pointer[smtpdNow]
	// options are what does not change.
	options smtpd.Options
	// params are those of the section in a configuration; false: it is not there any more.
	params func(c *configs.Config) (configs.SMTPD, bool)
}

// smtpdNow is one made of the parameters of one time.
type smtpdNow struct {
	*smtpd.Daemon
	params                      configs.SMTPD
	mx, submission, submissions *smtpserver.Server
}

// openSMTPDOf makes the first one.
func openSMTPDOf(ctx context.Context, i *Instance, o smtpd.Options, params func(c *configs.Config) (configs.SMTPD, bool)) (*smtpdOf, error) {
	s := &smtpdOf{options: o, params: params}
	now, err := s.make(ctx, i, i.config)
	if err != nil {
		return nil, check.Restriction(i.config, err)
	}
	s.now.Store(now)
	i.smtpds = append(i.smtpds, s)
	return s, nil
}

// make makes one of a configuration. What a service or another part has taken from the section when it was made is as it was then.
func (s *smtpdOf) make(ctx context.Context, i *Instance, c *configs.Config) (*smtpdNow, error) {
	o := s.options
	var ok bool
	if o.Params, ok = s.params(c); !ok {
		return s.now.Load(), nil
	}
	if before := s.now.Load(); before != nil {
		o.Params.MessageSizeLimit, o.Params.EventExceptions = before.params.MessageSizeLimit, before.params.EventExceptions
	}
	o.Classes = c.ClassLists()
	d, err := newSMTPD(ctx, i, o)
	if err != nil {
		return nil, err
	}
	return &smtpdNow{d, o.Params, d.MX(), d.Submission(), d.Submissions()}, nil
}

// Decide is what RCPT would know of an address.
func (s *smtpdOf) Decide(ctx context.Context, a addr.Address) directory.Decision {
	return s.now.Load().Decide(ctx, a)
}

// handler serves each connection by the present server of a kind.
func (s *smtpdOf) handler(kind func(*smtpdNow) *smtpserver.Server) service.Handler {
	return handlerFunc(func(ctx context.Context, c net.Conn) { kind(s.now.Load()).ServeConn(ctx, c) })
}

// footer is what stands behind a refusal of postscreen, smtpd's of now.
func (s *smtpdOf) footer(c *smtpserver.Conn, e *dsn.Error) string {
	if f := s.now.Load().mx.Footer; f != nil {
		return f(c, e)
	}
	return e.Text
}

func mxOf(n *smtpdNow) *smtpserver.Server          { return n.mx }
func submissionOf(n *smtpdNow) *smtpserver.Server  { return n.submission }
func submissionsOf(n *smtpdNow) *smtpserver.Server { return n.submissions }

// handlerFunc is a function as service.Handler.
type handlerFunc func(ctx context.Context, c net.Conn)

// ServeConn calls f.
func (f handlerFunc) ServeConn(ctx context.Context, c net.Conn) { f(ctx, c) }

// admit asks by the present parameters whether a client may connect, or begin TLS.
func (s *smtpdOf) admit(i *Instance, name string) (admit, admitTLS func(netip.Addr) *dsn.Error) {
	return func(client netip.Addr) *dsn.Error { return smtpd.Admission(name, s.now.Load().params, i.anvil)(client) },
		func(client netip.Addr) *dsn.Error {
			if ask := smtpd.AdmissionTLS(name, s.now.Load().params, i.anvil); ask != nil {
				return ask(client)
			}
			return nil
		}
}

// tls is for listeners that make the handshake: as smtpd has it now.
func (s *smtpdOf) tls() *tls.Config {
	first := s.now.Load().TLS()
	if first == nil {
		return nil
	}
	outer := first.Clone()
	outer.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		present := s.now.Load().TLS()
		if present.GetConfigForClient != nil {
			return present.GetConfigForClient(hello)
		}
		return present, nil
	}
	return outer
}

// renew makes all of smtpd anew. Nothing is changed before commit, nor after an error.
func (i *Instance) renew(ctx context.Context, c *configs.Config) (commit func(), err error) {
	made := make([]*smtpdNow, len(i.smtpds))
	for n, s := range i.smtpds {
		if made[n], err = s.make(ctx, i, c); err != nil {
			return nil, check.Restriction(c, err)
		}
	}
	return func() {
		for n, s := range i.smtpds {
			s.now.Store(made[n])
		}
	}, nil
}
