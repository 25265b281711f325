package run

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/mta/agent"
	"toastmaster/mta/bounce"
	"toastmaster/mta/discard"
	"toastmaster/mta/errormail"
	"toastmaster/mta/local"
	"toastmaster/mta/pipe"
	"toastmaster/mta/qmgr"
	"toastmaster/mta/rewrite"
	"toastmaster/mta/smtp"
	"toastmaster/mta/virtual"
)

// agentRow is one delivery agent, by the name that transport.agent calls it. A new one is
// a row here and one in configs/agents.go.
type agentRow struct {
	name string
	open func(*Instance, configs.Transport) (agent.Agent, error)
}

func agentTable() []agentRow {
	return []agentRow{
		{"virtual", openVirtual},
		{"smtp", openSMTP},
		{"lmtp", openSMTP},
		{"error", func(*Instance, configs.Transport) (agent.Agent, error) { return errormail.Bounces(), nil }},
		{"retry", func(*Instance, configs.Transport) (agent.Agent, error) { return errormail.Defers(), nil }},
		{"discard", func(*Instance, configs.Transport) (agent.Agent, error) { return discard.Agent{}, nil }},
		{"pipe", openPipe},
		{"local", openLocal},
	}
}

func openVirtual(i *Instance, _ configs.Transport) (agent.Agent, error) {
	return virtual.New(virtual.Options{Directory: i.directory, Deliverer: i.deliverer, Clock: i.clock, OverQuotaTemporary: i.config.Qmgr.OverQuotaTemporary}), nil
}

// openSMTP makes an agent for each transport: it has connections of its own.
func openSMTP(i *Instance, t configs.Transport) (agent.Agent, error) {
	c := i.config.SMTPOf(t)
	if c.PasswordFile != "" {
		c.PasswordFile = i.config.Path(c.PasswordFile)
	}
	if c.TLSCAFile != "" {
		c.TLSCAFile = i.config.Path(c.TLSCAFile)
	}
	if cert, key := configs.CertificateFiles(c.TLSCertificate); cert != "" {
		c.TLSCertificate = i.config.Path(cert) + "," + i.config.Path(key)
	}
	servers, err := i.filteredServers(context.Background(), c.Resolver, "smtp.dns_reply_filter", c.DNSReplyFilter)
	if err != nil {
		return nil, err
	}
	a, err := smtp.New(context.Background(), smtp.Options{Params: c, LMTP: t.Agent == "lmtp", Tables: i.tables, Cleanup: i.config.Cleanup, Own: i.ownDomain, Hostname: i.config.Main.Hostname, Host: i.host, Log: i.log, Clock: i.clock, DNS: servers, Delimiters: i.config.Main.RecipientDelimiter})
	if err != nil {
		return nil, err
	}
	i.onClose(a.Close)
	return a, nil
}

// ownDomain says that a domain is one of this machine's users.
func (i *Instance) ownDomain(domain string) bool {
	return domain == i.config.Main.Hostname || slices.ContainsFunc(i.config.Rewrite.MyDestination, func(d string) bool { return strings.EqualFold(d, domain) })
}

func openPipe(i *Instance, t configs.Transport) (agent.Agent, error) {
	return pipe.New(pipe.Options{Params: t, Export: i.config.Main.ExportEnvironment, Delimiters: i.config.Main.RecipientDelimiter, Clock: i.clock})
}

// openLocal gives the agent that smtpd asks, too.
func openLocal(i *Instance, t configs.Transport) (agent.Agent, error) { return i.locals[t.Name], nil }

// openLocals makes the agents for the users of this host: smtpd asks them before it takes mail.
func openLocals(ctx context.Context, i *Instance) error {
	i.locals = map[string]*local.Agent{}
	for _, t := range i.config.Transports() {
		if t.Agent != "local" {
			continue
		}
		a, err := local.Open(ctx, local.Options{
			Params: i.config.Local, Domains: i.localDomains(t), Hostname: i.config.Main.Hostname, Delimiters: i.config.Main.RecipientDelimiter, Export: i.config.Main.ExportEnvironment,
			Dir: i.config.Dir(), Tables: i.tables, Submit: i.cleanup, Agent: i.passedTo, FS: i.fs, Log: i.log, Clock: i.clock,
		})
		if err != nil {
			return fmt.Errorf("transport %s: %w", t.Name, err)
		}
		i.locals[t.Name] = a
	}
	return nil
}

// localDomains are those of a transport of the agent local.
func (i *Instance) localDomains(t configs.Transport) []string {
	if way, _, _ := strings.Cut(i.config.Rewrite.LocalTransport, ":"); way == t.Name {
		return slices.Concat(t.Domains, i.config.Rewrite.MyDestination)
	}
	return t.Domains
}

// passedTo is the agent of a transport that local hands mail to, nil for one that it may not.
func (i *Instance) passedTo(transport string) agent.Agent {
	if !i.config.PassTo(transport) {
		return nil
	}
	return i.agents[transport]
}

// class is the class of an address that is not in the directory, and why nobody there has it: of the users of this
// host the agent that delivers to them knows who they are.
func (i *Instance) class(ctx context.Context, a addr.Address) (directory.Class, *dsn.Error, error) {
	for _, l := range i.locals {
		if l.Here(a.Domain) {
			return directory.LocalClass, l.Refused(ctx, a), nil
		}
	}
	return newResolver(i).Class(ctx, a)
}

// transport makes one that the configuration names.
func transport(i *Instance, t configs.Transport) (qmgr.Transport, error) {
	for _, row := range agentTable() {
		if row.name != t.Agent {
			continue
		}
		a, err := row.open(i, t)
		if err != nil {
			return qmgr.Transport{}, fmt.Errorf("transport %s: %w", t.Name, err)
		}
		if a, err = restated(i, t, a); err != nil {
			return qmgr.Transport{}, err
		}
		return qmgr.Transport{Name: t.Name, Agent: a, AgentName: t.Agent, Limits: limitsOf(t, i.config.Qmgr, configs.IsLocal(t.Agent))}, nil
	}
	return qmgr.Transport{}, fmt.Errorf("transport %s: no agent %q", t.Name, t.Agent)
}

// restated is an agent with the tables behind it that say what is told of its deliveries.
func restated(i *Instance, t configs.Transport, a agent.Agent) (agent.Agent, error) {
	param, names := "qmgr.default_delivery_status_filter", i.config.Qmgr.StatusFilter
	if len(t.StatusFilter) > 0 {
		param, names = "transport."+t.Name+".delivery_status_filter", t.StatusFilter
	}
	if len(names) == 0 {
		return a, nil
	}
	maps, item, err := i.tables.OpenAll(context.Background(), names)
	if err != nil {
		return nil, i.config.MistakeIn(param, item, err)
	}
	f := &agent.StatusFilter{Transport: t.Name, Log: i.log, Lookup: func(ctx context.Context, result string) (string, bool, error) {
		text, err := maps.Lookup(ctx, result)
		switch directory.OutcomeOf(err) {
		case directory.Found:
			return text, true, nil
		case directory.NotFound:
			return "", false, nil
		}
		return "", false, err
	}}
	return f.Of(a), nil
}

// limitsOf are those of a transport: what its table says, else what [qmgr] says for its
// agent.
func limitsOf(t configs.Transport, c configs.Qmgr, local bool) qmgr.Limits {
	l := qmgr.RemoteLimits(c)
	if local {
		l = qmgr.LocalLimits(c)
	}
	l.Concurrency = cmp.Or(t.ProcessLimit, l.Concurrency)
	l.Initial = cmp.Or(t.InitialDestination, l.Initial)
	l.Destination = cmp.Or(t.DestinationLimit, l.Destination)
	l.Recipients = cmp.Or(t.DestinationRecipients, l.Recipients)
	if t.Agent == "local" {
		l.Recipients = cmp.Or(t.DestinationRecipients, 1)
	}
	l.Initial = min(l.Initial, l.Destination)
	l.Mailbox = min(l.Mailbox, l.Destination)
	l.Cohorts = cmp.Or(t.DestinationCohorts, l.Cohorts)
	l.DestinationDelay = cmp.Or(t.DestinationRateDelay, l.DestinationDelay)
	l.TransportDelay = cmp.Or(t.TransportRateDelay, l.TransportDelay)
	if f, err := configs.ParseFeedback(t.PositiveFeedback); err == nil {
		l.Positive = f
	}
	if f, err := configs.ParseFeedback(t.NegativeFeedback); err == nil {
		l.Negative = f
	}
	return l
}

// qmgrOptions makes what the queue manager works with.
func qmgrOptions(i *Instance) (qmgr.Options, error) {
	params := i.config.Bounce
	if params.TemplateFile != "" {
		params.TemplateFile = i.config.Path(params.TemplateFile)
	}
	reporter, err := bounce.New(bounce.Options{
		Params: params, Values: bounce.ValuesOf(i.config), Hostname: i.config.Main.Hostname, Submit: i.cleanup, Log: i.log, Clock: i.clock,
	})
	i.reporter = reporter
	o := qmgr.Options{Params: i.config.Qmgr, Queue: i.queue, Log: i.log, Clock: i.clock, Reporter: reporter, Deferred: i.flush.Add, ContentFilters: i.config.ContentFilters(), SoftBounce: i.config.Main.SoftBounce}
	if err != nil {
		return o, err
	}
	for _, t := range i.config.Transports() {
		made, err := transport(i, t)
		if err != nil {
			return o, err
		}
		o.Transports = append(o.Transports, made)
	}
	i.agents = agentsOf(o.Transports)
	o.Resolver = newResolver(i)
	return o, nil
}

// newResolver makes what says where mail goes, once.
func newResolver(i *Instance) *rewrite.Resolver {
	if i.resolver != nil {
		return i.resolver
	}
	o := rewrite.Options{Directory: i.directory, Hostname: i.config.Main.Hostname, Relayhost: i.config.SMTP.Relayhost, Ours: i.host.HasLiteral,
		Params: i.config.Rewrite, Agents: map[string]string{}, Tables: i.routes, Log: i.log}
	for _, t := range i.config.Transports() {
		o.Agents[t.Name] = t.Agent
		if len(t.Domains) > 0 {
			o.Routes = append(o.Routes, rewrite.Row{Transport: t.Name, Nexthop: nexthopOf(t), Domains: t.Domains, Refused: rewrite.RefusedBy(t.Agent, nexthopOf(t))})
		}
	}
	i.resolver = rewrite.New(o)
	return i.resolver
}

// nexthopOf is what the resolver hands on: a domain would be no reason to refuse mail.
func nexthopOf(t configs.Transport) string {
	if t.Nexthop == "" && (t.Agent == "error" || t.Agent == "retry") {
		return errormail.Undeliverable
	}
	return t.Nexthop
}
