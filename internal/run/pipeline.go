package run

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/tables/keys"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/mailstore"
	"toastmaster/mta/agent"
	"toastmaster/mta/bounce"
	"toastmaster/mta/cleanup"
	"toastmaster/mta/flush"
	"toastmaster/mta/local"
	"toastmaster/mta/milter"
	"toastmaster/mta/pickup"
	"toastmaster/mta/postscreen"
	"toastmaster/mta/proxymap"
	"toastmaster/mta/qmgr"
	"toastmaster/mta/qmqpd"
	"toastmaster/mta/rewrite"
	"toastmaster/mta/smtpd"
	"toastmaster/mta/spawn"
)

// pipeline is the way of mail as one configuration has it: from the ports through cleanup and the resolver to the agents. A
// start makes one, and each reload another beside it, which takes its place at once (renew.go). A session, a message or a delivery
// that has begun goes on with the one it began with.
//
// It stands on what was opened, and has no goroutine, file or port of its own, so nobody counts who uses it; what
// it keeps are connections to others, which retire ends.
type pipeline struct {
	*opened
	// config is what it is made of, and not the one of the start, which opened has.
	config  *configs.Config
	trusted []netip.Prefix // main.trusted_networks

	// routes are the tables that say where mail goes, resolver says it; aliases bound an expansion, with the tables of virtual aliases.
	routes   rewrite.Tables
	resolver *rewrite.Resolver
	aliases  directory.Limits

	milters *milter.Filters
	cleanup *cleanup.Cleanup
	// reporter makes reports about mail that is refused or cannot be delivered.
	reporter agent.Reporter

	// locals are the agents for the users of this host; agents are those of all transports, by name, and transports
	// what qmgr knows of them.
	locals     map[string]*local.Agent
	agents     map[string]agent.Agent
	transports []qmgr.Transport

	// smtpds are smtpd with the parameters of a section, [smtpd] or a [[listener]], by its name.
	smtpds map[string]*smtpdOf
	// screen stands before smtpd; nil when postscreen is not enabled.
	screen *postscreen.Screen
	// qmqpd and proxymap are nil when they listen nowhere; spawns are by the names of their tables.
	qmqpd    *qmqpd.Daemon
	proxymap *proxymap.Daemon
	spawns   map[string]*spawn.Daemon

	// flushed are the domains that flush serves, submitters who may hand in mail on this host.
	flushed    keys.Domains
	submitters *pickup.Settings

	// retired is what retire does.
	retired []func() error
}

// newPipeline makes one in the order of the mail's way, from its end. It changes nothing that others use. Its error is a
// mistake in the configuration, or in what that names.
func newPipeline(ctx context.Context, o *opened, c *configs.Config) (*pipeline, error) {
	p := &pipeline{opened: o, config: c, trusted: configs.Prefixes(c.Main.TrustedNetworks)}
	for _, step := range []func(context.Context) error{
		p.openRoutes, p.openCleanup, p.openReporter, p.openTransports, p.openSMTPDs, p.openScreen, p.openOtherDoors,
	} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, p.retire())
		}
	}
	return p, nil
}

// retire ends the connections that it keeps. Who uses it still goes on, and keeps none any more.
func (p *pipeline) retire() error {
	var errs []error
	for _, f := range p.retired {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}

func (p *pipeline) onRetire(f func() error) { p.retired = append(p.retired, f) }

// openRoutes makes what says where mail goes.
func (p *pipeline) openRoutes(ctx context.Context) (err error) {
	if p.routes, err = rewrite.OpenTables(ctx, p.config, p.tables); err != nil {
		return err
	}
	p.resolver = newResolver(p)
	return nil
}

// openCleanup makes what all mail comes in by.
func (p *pipeline) openCleanup(ctx context.Context) error {
	c := p.config
	checks, err := cleanup.OpenChecks(ctx, c, p.tables)
	if err != nil {
		return err
	}
	copies, err := cleanup.OpenCopies(ctx, c, p.tables)
	if err != nil {
		return err
	}
	addresses, err := cleanup.OpenAddresses(ctx, c, p.tables)
	if err != nil {
		return err
	}
	p.aliases = addresses.Limits(c.Cleanup)
	p.openMilters()
	without, err := p.filtersWithout()
	if err != nil {
		return err
	}
	p.cleanup = cleanup.New(cleanup.Options{
		Params: c.Cleanup, Hostname: c.Main.Hostname, Directory: p.directory,
		Queue: p.queue, Log: p.log, Clock: p.clock, OverQuotaTemporary: c.Qmgr.OverQuotaTemporary,
		ForeignAuthors: c.SMTPD.ForeignHeaderFrom, Ours: p.host.HasLiteral, Checks: checks, Copies: copies, Addresses: addresses, Filters: without,
		Reserve: func(ctx context.Context, m directory.Mailbox, id string, size int64) *dsn.Error {
			if !c.MailboxesHere() {
				return nil
			}
			return mailstore.DSN(p.mail.Reserve(ctx, mailstore.AccountOf(m), id, size))
		},
		Unreserve: func(m directory.Mailbox, id string) { p.mail.Unreserve(mailstore.AccountOf(m), id) },
	})
	return nil
}

// openReporter makes what reports.
func (p *pipeline) openReporter(context.Context) error {
	params := p.config.Bounce
	if params.TemplateFile != "" {
		params.TemplateFile = p.config.Path(params.TemplateFile)
	}
	reporter, err := bounce.New(bounce.Options{
		Params: params, Values: bounce.ValuesOf(p.config), Hostname: p.config.Main.Hostname, Submit: p.cleanup, Log: p.log, Clock: p.clock,
	})
	p.reporter = reporter
	return err
}

// openTransports makes the agents of all transports.
func (p *pipeline) openTransports(ctx context.Context) error {
	if err := openLocals(ctx, p); err != nil {
		return err
	}
	p.agents, p.transports = map[string]agent.Agent{}, nil
	for _, t := range p.config.Transports() {
		a, err := agentOf(ctx, p, t)
		if err != nil {
			return err
		}
		p.agents[t.Name] = a
		p.transports = append(p.transports, qmgr.Transport{
			Name: t.Name, Agent: a, AgentName: t.Agent, Limits: limitsOf(t, p.config.Qmgr, configs.IsLocal(t.Agent)),
		})
	}
	return nil
}

// openOtherDoors makes what mail and questions come in by beside smtpd, and what flush serves at ETRN.
func (p *pipeline) openOtherDoors(ctx context.Context) (err error) {
	if len(p.config.QMQPD.Listen) > 0 {
		p.qmqpd = newQMQPD(p)
	}
	if len(p.config.Proxymap.Listen) > 0 {
		if p.proxymap, err = proxymap.New(proxymap.Options{Params: p.config.Proxymap, Tables: p.tables, Log: p.log, Clock: p.clock}); err != nil {
			return fmt.Errorf("proxymap: %w", err)
		}
	}
	var item int
	if p.flushed, item, err = keys.OpenDomains(ctx, p.tables, p.config.Flush.Domains); err != nil {
		return p.config.MistakeIn("flush.fast_flush_domains", item, err)
	}
	if p.submitters, err = pickup.Prepare(ctx, pickup.Options{
		Params: p.config.Pickup, Tables: p.tables, MaxMessage: p.config.SMTPD.MessageSizeLimit,
		Lifetime: p.config.Qmgr.QueueLifetime, MaximalBackoff: p.config.Qmgr.MaximalBackoffTime,
	}); err != nil {
		return err
	}
	return p.openSpawns()
}

// openSpawns makes the services of the [[spawn]] of the start, whose commands this process runs; another one is a port.
func (p *pipeline) openSpawns() (err error) {
	p.spawns = map[string]*spawn.Daemon{}
	for _, t := range p.opened.config.Spawns {
		if !p.serves("spawn/" + t.Name) {
			continue
		}
		if p.spawns[t.Name], err = newSpawn(p, t.Name); err != nil {
			return err
		}
	}
	return nil
}

// etrn is what smtpd does at ETRN.
func (p *pipeline) etrn(ctx context.Context, domain string) error {
	err := p.flush.Request(ctx, domain)
	switch {
	case errors.Is(err, flush.ErrDenied):
		return smtpd.ErrNotFlushed
	case err != nil:
		return fmt.Errorf("%w: %w", smtpd.ErrUnqueued, err)
	}
	return nil
}

// fits says whether a message has room in a mailbox; of those in another store nobody here knows.
func (p *pipeline) fits(ctx context.Context, m directory.Mailbox, size int64) *dsn.Error {
	if !p.config.MailboxesHere() {
		return nil
	}
	return mailstore.DSN(p.mail.Fits(ctx, mailstore.AccountOf(m), size))
}

// class is the class of an address that is not in the directory, and why nobody there has it: of the users of this
// host the agent that delivers to them knows who they are.
func (p *pipeline) class(ctx context.Context, a addr.Address) (directory.Class, *dsn.Error, error) {
	for _, l := range p.locals {
		if l.Here(a.Domain) {
			return directory.LocalClass, l.Refused(ctx, a), nil
		}
	}
	return p.resolver.Class(ctx, a)
}
