package run

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/tables"
	"toastmaster/directory/tables/keys"
	"toastmaster/internal/diskcache"
	"toastmaster/internal/dsn"
	"toastmaster/internal/run/check"
	"toastmaster/internal/service"
	"toastmaster/mailstore"
	"toastmaster/mailstore/lmtpd"
	"toastmaster/mailstore/plan"
	"toastmaster/mta/cleanup"
	"toastmaster/mta/flush"
	"toastmaster/mta/postscreen"
	"toastmaster/mta/smtpd"
)

// openPipeline makes what all mail comes in by: one cleanup, and one smtpd for
// its three kinds of port.
func (i *Instance) openPipeline(ctx context.Context) error {
	if !i.has(RoleMTA) {
		i.openLocalDelivery()
		return nil
	}
	checks, err := cleanup.OpenChecks(ctx, i.config, i.tables)
	if err != nil {
		return err
	}
	copies, err := cleanup.OpenCopies(ctx, i.config, i.tables)
	if err != nil {
		return err
	}
	addresses, err := cleanup.OpenAddresses(ctx, i.config, i.tables)
	if err != nil {
		return err
	}
	i.aliases = addresses.Limits(i.config.Cleanup)
	i.openMilters()
	without, err := i.filtersWithout()
	if err != nil {
		return err
	}
	i.cleanup = cleanup.New(cleanup.Options{
		Params: i.config.Cleanup, Hostname: i.config.Main.Hostname, Directory: i.directory,
		Queue: i.queue, Log: i.log, Clock: i.clock, OverQuotaTemporary: i.config.Qmgr.OverQuotaTemporary,
		ForeignAuthors: i.config.SMTPD.ForeignHeaderFrom, Ours: i.host.HasLiteral, Checks: checks, Copies: copies, Addresses: addresses, Filters: without,
		Reserve: func(ctx context.Context, m directory.Mailbox, id string, size int64) *dsn.Error {
			if !i.config.MailboxesHere() {
				return nil
			}
			return mailstore.DSN(i.mail.Reserve(ctx, mailstore.AccountOf(m), id, size))
		},
		Unreserve: func(m directory.Mailbox, id string) { i.mail.Unreserve(mailstore.AccountOf(m), id) },
	})
	i.deliverer = plan.New(plan.Options{
		Store: i.mail, Plan: plan.ToInbox, Params: i.config.Store, Submit: i.cleanup, Spool: i.queue.Spool(), Log: i.log,
	})
	i.flush, err = flush.New(flush.Options{
		Params: i.config.Flush, Dir: i.config.MTAPath(configs.FlushDir), Tables: i.tables, Keys: keys.Options{
			ParentMatches: slices.Contains(i.config.Main.ParentMatches, configs.ParentFastFlush),
		},
		Queue: i.queue, FS: i.fs, Clock: i.clock, Log: i.log,
	})
	if err != nil {
		return fmt.Errorf("fast flush: %w", err)
	}
	if err := openLocals(ctx, i); err != nil {
		return err
	}
	if err := i.openVerify(); err != nil {
		return err
	}
	i.smtpd, err = openSMTPDOf(ctx, i, smtpd.Options{Section: "smtpd", Trusted: i.trusted}, func(c *configs.Config) (configs.SMTPD, bool) { return c.SMTPD, true })
	return err
}

// newSMTPD makes the daemon of a section of parameters; o has what is its own.
func newSMTPD(ctx context.Context, i *Instance, o smtpd.Options) (*smtpd.Daemon, error) {
	replies, err := i.rblReplies(ctx, o.Section, o.Params.RBLReplyMaps)
	if err != nil {
		return nil, err
	}
	own := o
	o = smtpd.Options{
		Params: own.Params, Section: own.Section, Hostname: i.config.Main.Hostname, Trusted: own.Trusted, LogService: own.LogService, Service: own.Service, MacroDaemonName: own.MacroDaemonName, SoftBounce: i.config.Main.SoftBounce,
		Directory: i.directory, Aliases: i.aliases, Authenticate: i.auth.Authenticate,
		Logins: i.sessions, Counter: i.anvil, DNS: i.nameServers(i.config.SMTP.Resolver), Classes: own.Classes,
		Services: i.policies, Path: i.config.Path, Tables: i.tables, Keys: keys.Options{
			Delimiters: i.config.Main.RecipientDelimiter, ParentMatches: slices.Contains(i.config.Main.ParentMatches, configs.ParentSMTPDAccess),
		},
		OwnMX: i.host.Has, OwnAddress: func(a netip.Addr) bool { return i.host.Has(a) && !i.host.Proxied(a) }, Ours: i.host.HasLiteral,
		Refused:            newResolver(i).Refused,
		Mapped:             i.cleanup.Maps,
		Class:              i.class,
		Fits:               i.fits,
		OverQuotaTemporary: i.config.Qmgr.OverQuotaTemporary,
		Room:               i.queue.Room, Submitter: i.cleanup, CheckAuthor: i.cleanup.CheckAuthor, Spool: i.queue.Spool(), TLS: i.tls, HandshakeTimeout: i.config.TLS.HandshakeTimeout,
		Log: i.log, Clock: i.clock,
		Verify: i.verified, RBLReplies: replies,
	}
	o.Flush = i.etrn
	if err := i.clientsOf(&o); err != nil {
		return nil, err
	}
	if err := i.filtersOf(&o); err != nil {
		return nil, err
	}
	return smtpd.New(o)
}

// etrn is what smtpd does at ETRN.
func (i *Instance) etrn(ctx context.Context, domain string) error {
	err := i.flush.Request(ctx, domain)
	switch {
	case errors.Is(err, flush.ErrDenied):
		return smtpd.ErrNotFlushed
	case err != nil:
		return fmt.Errorf("%w: %w", smtpd.ErrUnqueued, err)
	}
	return nil
}

// fits says whether a message has room in a mailbox; of those in another store nobody here knows.
func (i *Instance) fits(ctx context.Context, m directory.Mailbox, size int64) *dsn.Error {
	if !i.config.MailboxesHere() {
		return nil
	}
	return mailstore.DSN(i.mail.Fits(ctx, mailstore.AccountOf(m), size))
}

// openPostscreen makes what stands before smtpd; the service is its cache. It is nil when
// postscreen is not enabled.
func openPostscreen(i *Instance) (service.Service, error) {
	c := i.config
	if !c.Postscreen.Enable {
		return nil, nil
	}
	cache, err := diskcache.Open(diskcache.Options{
		Path: c.MTAPath(configs.PostscreenCache), Limit: c.Postscreen.CacheLimit, FS: i.fs, Clock: i.clock, Log: i.log,
	})
	if err != nil {
		return nil, err
	}
	i.postscreen, err = postscreen.New(postscreen.Options{
		Params: c.Postscreen, Hostname: c.Main.Hostname, Trusted: i.trusted,
		Table: func(name string) (tables.Table, error) { return i.tables.Open(context.Background(), name) },
		DNS:   i.nameServers(c.SMTP.Resolver), Cache: cache, Next: i.smtpd.handler(mxOf),
		TLS: i.tls, HandshakeTimeout: c.TLS.HandshakeTimeout, MaxMessageBytes: c.SMTPD.MessageSizeLimit, Footer: i.smtpd.footer, SoftBounce: c.Main.SoftBounce, Log: i.log, Clock: i.clock,
	})
	if err != nil {
		return nil, err
	}
	return background{"postscreen", cache.Run}, nil
}

func openSMTPD(i *Instance) (service.Service, error) {
	p := smtpPorts{name: "smtpd", smtpd: i.smtpd, params: i.config.SMTPD, handler: i.smtpd.handler(mxOf), plain: i.config.SMTPD.Listen, trusted: i.trusted}
	if i.postscreen != nil {
		p.handler, p.params.UpstreamProxy = i.postscreen, i.config.Postscreen.UpstreamProxy
	}
	return smtpServer(i, p)
}

func openSubmission(i *Instance) (service.Service, error) {
	return smtpServer(i, smtpPorts{name: "submission", smtpd: i.smtpd, params: i.config.SMTPD, handler: i.smtpd.handler(submissionOf), plain: i.config.SMTPD.SubmissionListen, trusted: i.trusted})
}

func openSubmissions(i *Instance) (service.Service, error) {
	return smtpServer(i, smtpPorts{name: "submissions", smtpd: i.smtpd, params: i.config.SMTPD, handler: i.smtpd.handler(submissionsOf), tls: i.config.SMTPD.SubmissionsListen, trusted: i.trusted})
}

// openListener is one of [[listener]], with a daemon that has its parameters.
func openListener(ctx context.Context, i *Instance, l *configs.Listener) (service.Service, error) {
	trusted := configs.Prefixes(l.TrustedNetworks)
	d, err := openSMTPDOf(ctx, i, smtpd.Options{
		Section: l.Section(), Trusted: trusted, LogService: l.LogService(), Service: l.ServiceName(), MacroDaemonName: l.MacroDaemonName,
	}, func(c *configs.Config) (configs.SMTPD, bool) {
		for _, other := range c.SMTPDListeners {
			if other.Name == l.Name {
				return other.Params, true
			}
		}
		return configs.SMTPD{}, false
	})
	if err != nil {
		return nil, err
	}
	handler := d.handler(mxOf)
	if l.Submission {
		handler = d.handler(submissionOf)
	}
	return smtpServer(i, smtpPorts{name: l.ServiceName(), smtpd: d, params: l.Params, handler: handler, plain: l.Listen, tls: l.ListenTLS, trusted: trusted})
}

// smtpPorts are some ports of smtpd.
type smtpPorts struct {
	name       string
	smtpd      *smtpdOf
	params     configs.SMTPD
	handler    service.Handler
	plain, tls []string
	trusted    []netip.Prefix
}

// smtpServer is what all ports of smtpd share.
func smtpServer(i *Instance, p smtpPorts) (service.Service, error) {
	c, name, plain, tls := p.params, p.name, p.plain, p.tls
	admit, admitTLS := p.smtpd.admit(i, name)
	before, proxied := c.UpstreamProxy, []string(nil)
	if before.On() {
		proxied = slices.Concat(plain, tls)
	}
	return serverOf(i, serverOptions{
		name: name, plain: plain, tls: tls, handler: p.handler, busy: p.smtpd.now.Load().mx.BusyReply(),
		connections: c.MaxConnections, perClient: c.MaxClient, drain: c.DrainTimeout,
		reserved: c.Reserved, stress: c.StressAt(), files: check.FilesMail, admit: admit,
		proxied: proxied, proxyTimeout: before.Timeout, trusted: p.trusted,
		tlsConfig: p.smtpd.tls(), admitTLS: admitTLS, uncounted: configs.Prefixes(c.EventExceptions),
	})
}

func openLMTPD(i *Instance) (service.Service, error) {
	c := i.config.LMTPD
	d := lmtpd.New(lmtpd.Options{
		Params: c, Hostname: i.config.Main.Hostname, Directory: i.directory, Store: i.mail, Plan: i.deliverer,
		TLS: i.tls, HandshakeTimeout: i.config.TLS.HandshakeTimeout, Log: i.log, Clock: i.clock,
	})
	handler := d.Handler()
	return serverOf(i, serverOptions{
		name: "lmtpd", plain: c.Listen, handler: handler, busy: handler.BusyReply(),
		connections: c.MaxConnections, perClient: c.MaxClient, limitTrusted: true, drain: c.DrainTimeout,
		stress: c.StressAt(), files: check.FilesMail,
		allowed: configs.Prefixes(c.TrustedNetworks), denied: handler.DeniedReply(),
		proxied: c.Haproxy, proxyTimeout: i.config.Main.HaproxyTimeout,
	})
}
