package run

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/mta/agent"
	"toastmaster/mta/agent/remote"
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
	open func(context.Context, *pipeline, configs.Transport) (agent.Agent, error)
}

func agentTable() []agentRow {
	return []agentRow{
		{"virtual", openVirtual},
		{"smtp", openSMTP},
		{"lmtp", openSMTP},
		{"error", func(context.Context, *pipeline, configs.Transport) (agent.Agent, error) {
			return errormail.Bounces(), nil
		}},
		{"retry", func(context.Context, *pipeline, configs.Transport) (agent.Agent, error) {
			return errormail.Defers(), nil
		}},
		{"discard", func(context.Context, *pipeline, configs.Transport) (agent.Agent, error) { return discard.Agent{}, nil }},
		{"pipe", openPipe},
		{"local", openLocal},
	}
}

func openVirtual(_ context.Context, p *pipeline, _ configs.Transport) (agent.Agent, error) {
	return virtual.New(virtual.Options{Directory: p.directory, Deliverer: p.deliverer, Clock: p.clock, OverQuotaTemporary: p.config.Qmgr.OverQuotaTemporary}), nil
}

// openSMTP makes an agent for each transport: it has connections of its own.
func openSMTP(ctx context.Context, p *pipeline, t configs.Transport) (agent.Agent, error) {
	c := p.config.SMTPOf(t)
	if c.PasswordFile != "" {
		c.PasswordFile = p.config.Path(c.PasswordFile)
	}
	if c.TLSCAFile != "" {
		c.TLSCAFile = p.config.Path(c.TLSCAFile)
	}
	if cert, key := configs.CertificateFiles(c.TLSCertificate); cert != "" {
		c.TLSCertificate = p.config.Path(cert) + "," + p.config.Path(key)
	}
	servers, err := p.filteredServers(ctx, c.Resolver, "smtp.dns_reply_filter", c.DNSReplyFilter)
	if err != nil {
		return nil, err
	}
	a, err := smtp.New(ctx, smtp.Options{Params: c, LMTP: t.Agent == "lmtp", Tables: p.tables, Cleanup: p.config.Cleanup, Own: p.config.OwnDomain, Hostname: p.config.Main.Hostname, Host: p.host, Log: p.log, Clock: p.clock, DNS: servers, Delimiters: p.config.Main.RecipientDelimiter})
	if err != nil {
		return nil, err
	}
	p.onRetire(a.Close)
	return a, nil
}

func openPipe(_ context.Context, p *pipeline, t configs.Transport) (agent.Agent, error) {
	return pipe.New(pipe.Options{Params: t, Export: p.config.Main.ExportEnvironment, Delimiters: p.config.Main.RecipientDelimiter, Clock: p.clock})
}

// openLocal gives the agent that smtpd asks, too.
func openLocal(_ context.Context, p *pipeline, t configs.Transport) (agent.Agent, error) {
	return p.locals[t.Name], nil
}

// openLocals makes the agents for the users of this host: smtpd asks them before it takes mail.
func openLocals(ctx context.Context, p *pipeline) error {
	p.locals = map[string]*local.Agent{}
	for _, t := range p.config.Transports() {
		if t.Agent != "local" {
			continue
		}
		a, err := local.Open(ctx, local.Options{
			Params: p.config.Local, Domains: p.localDomains(t), Hostname: p.config.Main.Hostname, Delimiters: p.config.Main.RecipientDelimiter, Export: p.config.Main.ExportEnvironment,
			Dir: p.config.Dir(), Tables: p.tables, Submit: p.submitsTo(), Agent: p.passedTo, FS: p.fs, Log: p.log, Clock: p.clock,
		})
		if err != nil {
			return fmt.Errorf("transport %s: %w", t.Name, err)
		}
		p.locals[t.Name] = a
	}
	return nil
}

// localDomains are those of a transport of the agent local.
func (p *pipeline) localDomains(t configs.Transport) []string {
	if way, _, _ := strings.Cut(p.config.Rewrite.LocalTransport, ":"); way == t.Name {
		return slices.Concat(t.Domains, p.config.Rewrite.MyDestination)
	}
	return t.Domains
}

// passedTo is the agent of a transport that local hands mail to, nil for one that it may not.
func (p *pipeline) passedTo(transport string) agent.Agent {
	switch {
	case !p.config.PassTo(transport):
		return nil
	case p.role == RolePrivileged:
		return remote.Passed{Transport: transport}
	}
	return p.agents[transport]
}

// agentOf makes the agent of a transport that the configuration names.
func agentOf(ctx context.Context, p *pipeline, t configs.Transport) (agent.Agent, error) {
	for _, row := range agentTable() {
		if row.name != t.Agent {
			continue
		}
		a, err := p.opensAgent(ctx, row, t)
		if err != nil {
			return nil, fmt.Errorf("transport %s: %w", t.Name, err)
		}
		return restated(ctx, p, t, a)
	}
	return nil, fmt.Errorf("transport %s: no agent %q", t.Name, t.Agent)
}

// restated is an agent with the tables behind it that say what is told of its deliveries.
func restated(ctx context.Context, p *pipeline, t configs.Transport, a agent.Agent) (agent.Agent, error) {
	param, names := "qmgr.default_delivery_status_filter", p.config.Qmgr.StatusFilter
	if len(t.StatusFilter) > 0 {
		param, names = "transport."+t.Name+".delivery_status_filter", t.StatusFilter
	}
	if len(names) == 0 {
		return a, nil
	}
	maps, item, err := p.tables.OpenAll(ctx, names)
	if err != nil {
		return nil, p.config.MistakeIn(param, item, err)
	}
	f := &agent.StatusFilter{Transport: t.Name, Log: p.log, Lookup: func(ctx context.Context, result string) (string, bool, error) {
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

// newResolver makes what says where mail goes.
func newResolver(p *pipeline) *rewrite.Resolver {
	o := rewrite.Options{Directory: p.directory, Hostname: p.config.Main.Hostname, Relayhost: p.config.SMTP.Relayhost, Ours: p.host.HasLiteral,
		Params: p.config.Rewrite, Agents: map[string]string{}, Tables: p.routes, Log: p.log}
	for _, t := range p.config.Transports() {
		o.Agents[t.Name] = t.Agent
		if len(t.Domains) > 0 {
			o.Routes = append(o.Routes, rewrite.Row{Transport: t.Name, Nexthop: nexthopOf(t), Domains: t.Domains, Refused: rewrite.RefusedBy(t.Agent, nexthopOf(t))})
		}
	}
	return rewrite.New(o)
}

// nexthopOf is what the resolver hands on: a domain would be no reason to refuse mail.
func nexthopOf(t configs.Transport) string {
	if t.Nexthop == "" && (t.Agent == "error" || t.Agent == "retry") {
		return agent.Undeliverable
	}
	return t.Nexthop
}
