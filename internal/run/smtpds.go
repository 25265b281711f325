package run

import (
	"context"
	"crypto/tls"
	"net/netip"
	"slices"

	"toastmaster/configs"
	"toastmaster/directory/tables/keys"
	"toastmaster/internal/dsn"
	"toastmaster/internal/run/check"
	"toastmaster/internal/service"
	"toastmaster/internal/smtpserver"
	"toastmaster/mta/smtpd"
)

// smtpdSection is the section of the ports that need no table.
const smtpdSection = "smtpd"

// smtpdOf is smtpd with a section of parameters, as one pipeline has it.
type smtpdOf struct {
	*smtpd.Daemon
	params                      configs.SMTPD
	trusted                     []netip.Prefix
	mx, submission, submissions *smtpserver.Server
	// admit and admitTLS say, by the name of a service, whether a client may connect, or begin TLS.
	admit, admitTLS map[string]func(netip.Addr) *dsn.Error
}

func mxOf(s *smtpdOf) service.Handler          { return s.mx }
func submissionOf(s *smtpdOf) service.Handler  { return s.submission }
func submissionsOf(s *smtpdOf) service.Handler { return s.submissions }

// openSMTPDs makes smtpd for the ports that need no table, and for each [[listener]] of the start; another one is a port.
func (p *pipeline) openSMTPDs(ctx context.Context) error {
	p.smtpds = map[string]*smtpdOf{}
	err := p.openSMTPD(ctx, smtpd.Options{Section: smtpdSection, Params: p.config.SMTPD, Trusted: p.trusted}, "smtpd", "submission", "submissions")
	for _, l := range p.opened.config.SMTPDListeners {
		if err != nil {
			break
		}
		for _, now := range p.config.SMTPDListeners {
			if now.Name == l.Name {
				l = now // else it was taken out of the file, and ends with the program
			}
		}
		err = p.openSMTPD(ctx, smtpd.Options{
			Section: l.Section(), Params: l.Params, Trusted: configs.Prefixes(l.TrustedNetworks), LogService: l.LogService(), Service: l.ServiceName(), MacroDaemonName: l.MacroDaemonName,
		}, l.ServiceName())
	}
	return err
}

// openSMTPD makes one; o has what is its own, services are those that it serves.
func (p *pipeline) openSMTPD(ctx context.Context, o smtpd.Options, services ...string) error {
	d, err := newSMTPD(ctx, p, o)
	if err != nil {
		return check.Restriction(p.config, err)
	}
	s := &smtpdOf{
		Daemon: d, params: o.Params, trusted: o.Trusted, mx: d.MX(), submission: d.Submission(), submissions: d.Submissions(),
		admit: map[string]func(netip.Addr) *dsn.Error{}, admitTLS: map[string]func(netip.Addr) *dsn.Error{},
	}
	for _, name := range services {
		s.admit[name], s.admitTLS[name] = smtpd.Admission(name, o.Params, p.anvil), smtpd.AdmissionTLS(name, o.Params, p.anvil)
	}
	p.smtpds[o.Section] = s
	return nil
}

// newSMTPD makes the daemon of a section of parameters; o has what is its own.
func newSMTPD(ctx context.Context, p *pipeline, own smtpd.Options) (*smtpd.Daemon, error) {
	c := p.config
	replies, err := p.rblReplies(ctx, own.Section, own.Params.RBLReplyMaps)
	if err != nil {
		return nil, err
	}
	o := smtpd.Options{
		Params: own.Params, Section: own.Section, Hostname: c.Main.Hostname, Trusted: own.Trusted, LogService: own.LogService, Service: own.Service, MacroDaemonName: own.MacroDaemonName, SoftBounce: c.Main.SoftBounce,
		Directory: p.directory, Aliases: p.aliases, Authenticate: p.auth.Authenticate,
		Logins: p.sessions, Counter: p.anvil, Classes: c.ClassLists(),
		Services: p.policies, Path: c.Path, Tables: p.tables, Keys: keys.Options{
			Delimiters: c.Main.RecipientDelimiter, ParentMatches: slices.Contains(c.Main.ParentMatches, configs.ParentSMTPDAccess),
		},
		OwnMX: p.host.Has, OwnAddress: func(a netip.Addr) bool { return p.host.Has(a) && !p.host.Proxied(a) }, Ours: p.host.HasLiteral,
		Refused:            p.resolver.Refused,
		Mapped:             p.cleanup.Maps,
		Class:              p.class,
		Fits:               p.fits,
		OverQuotaTemporary: c.Qmgr.OverQuotaTemporary,
		Room:               p.queue.Room, Submitter: p.cleanup, CheckAuthor: p.cleanup.CheckAuthor, Spool: p.queue.Spool(), TLS: p.tls, HandshakeTimeout: c.TLS.HandshakeTimeout,
		Log: p.log, Clock: p.clock,
		Verify: p.verified, RBLReplies: replies, Flush: p.etrn,
	}
	if err := p.clientsOf(ctx, &o); err != nil {
		return nil, err
	}
	if err := p.filtersOf(ctx, &o); err != nil {
		return nil, err
	}
	return smtpd.New(o)
}

// smtpdAsk asks the present smtpd of a section.
type smtpdAsk struct {
	present *present
	section string
}

func (a smtpdAsk) get() *smtpdOf { return a.present.get().smtpds[a.section] }

// handler serves each connection by the present server of a kind.
func (a smtpdAsk) handler(kind func(*smtpdOf) service.Handler) service.Handler {
	return a.present.handler(func(p *pipeline) service.Handler { return kind(p.smtpds[a.section]) })
}

// admit asks whether a client may connect to a service, and whether it may begin TLS there.
func (a smtpdAsk) admit(name string) (admit, admitTLS func(netip.Addr) *dsn.Error) {
	return func(client netip.Addr) *dsn.Error { return a.get().admit[name](client) },
		func(client netip.Addr) *dsn.Error {
			if ask := a.get().admitTLS[name]; ask != nil {
				return ask(client)
			}
			return nil
		}
}

// tls is for listeners that make the handshake: as smtpd has it now.
func (a smtpdAsk) tls() *tls.Config {
	first := a.get().TLS()
	if first == nil {
		return nil
	}
	outer := first.Clone()
	outer.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		now := a.get().TLS()
		if now.GetConfigForClient != nil {
			return now.GetConfigForClient(hello)
		}
		return now, nil
	}
	return outer
}
