package smtp

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"toastmaster/configs"
	"toastmaster/directory/tables"
	"toastmaster/internal/clock"
	"toastmaster/internal/dns"
	"toastmaster/internal/dsn"
	"toastmaster/internal/hostaddr"
	"toastmaster/internal/idle"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
	"toastmaster/internal/wire"
	"toastmaster/mta/agent"
)

// Options are what an Agent is made of.
type Options struct {
	Params configs.SMTP
	// Hostname is main.hostname: what an MX must not be, and what EHLO says without
	// smtp.helo_name.
	Hostname string
	// Delimiters are main.recipient_delimiter.
	Delimiters string
	// DNS asks the name servers.
	DNS *dns.Resolver
	// LMTP makes it the agent lmtp: it speaks LMTP (RFC 2033) to the host or socket that
	// the nexthop names.
	LMTP bool
	// Tables opens the lookup tables of Params; nil when they name none.
	Tables *tables.Set
	// Cleanup has the limits of the checks and propagate_unmatched_extensions;
	// Own says that a domain is one of this machine, whose users smtp.generic_maps may have without it.
	Cleanup configs.Cleanup
	Own     func(domain string) bool
	// TLS is the base of the TLS configurations, for its RootCAs and client
	// certificates. May be nil.
	TLS *tls.Config
	// Host knows the addresses that are ourselves.
	Host  *hostaddr.Host
	Log   *msglog.Log
	Clock clock.Clock
}

// Agent delivers by SMTP. Safe for concurrent use. Close it after the last
// Deliver.
type Agent struct {
	config   configs.SMTP
	hostname string
	dns      *dns.Resolver
	tls      *tls.Config
	rules    tlsRules
	lmtp     bool
	// rewriting is what becomes of mail that leaves.
	rewriting rewriting
	log       *msglog.Log
	clock     clock.Clock
	host      *hostaddr.Host
	private   []netip.Prefix
	// relay is smtp.relayhost, the zero Nexthop without one.
	relay configs.Nexthop
	// fallback is smtp.fallback_relay, as written and as read.
	fallback  []site
	passwords passwords
	logins    logins
	// delimiters are main.recipient_delimiter.
	delimiters string
	// replies and discards are smtp.reply_filter and smtp.discard_ehlo_keyword_address_maps.
	replies, discards tables.Maps
	cache             *idle.Pool[*session]
	pool              *wire.Pool
	// interrupted, which may be nil, is called when the end of a request has
	// reached its connection: what tests wait for.
	interrupted func()
	// timeout bounds a delivery: context.WithTimeout, but in tests of its end.
	timeout func(context.Context, time.Duration) (context.Context, context.CancelFunc)
}

// New makes an Agent. It fails when a file or table that Params name cannot be used.
func New(ctx context.Context, o Options) (*Agent, error) {
	c := o.Params
	p, err := readPasswords(c.PasswordFile)
	if err != nil {
		return nil, fmt.Errorf("smtp.password_file: %w", err)
	}
	a := &Agent{
		config: c, hostname: strings.ToLower(o.Hostname), dns: o.DNS, lmtp: o.LMTP, log: o.Log, clock: o.Clock,
		host: o.Host, private: configs.Prefixes(c.PrivateNetworks), passwords: p, pool: &wire.Pool{},
		timeout: context.WithTimeout, delimiters: o.Delimiters,
	}
	a.cache = idle.New(idle.Options[*session]{Limit: c.CacheLimit, Clock: o.Clock, End: a.leave})
	if a.replies, err = openMaps(ctx, o.Tables, "smtp.reply_filter", c.ReplyFilter); err != nil {
		return nil, err
	}
	if a.discards, err = openMaps(ctx, o.Tables, "smtp.discard_ehlo_keyword_address_maps", c.DiscardMaps); err != nil {
		return nil, err
	}
	if a.tls, err = baseTLS(c, o.TLS); err != nil {
		return nil, err
	}
	if a.rules, err = newTLSRules(ctx, c, o.Tables); err != nil {
		return nil, err
	}
	if a.rewriting, err = newRewriting(ctx, o); err != nil {
		return nil, err
	}
	if a.lmtp {
		return a, nil
	}
	if c.Relayhost != "" {
		if a.relay, err = configs.ParseNexthop(c.Relayhost); err != nil {
			return nil, err
		}
	}
	for _, key := range c.FallbackRelay {
		n, err := configs.ParseNexthop(key)
		if err != nil {
			return nil, fmt.Errorf("smtp.fallback_relay: %w", err)
		}
		a.fallback = append(a.fallback, site{key: key, nexthop: n, idle: "fallback " + key})
	}
	return a, nil
}

// nexthop reads the nexthop of a request.
func (a *Agent) nexthop(s string) (configs.Nexthop, error) {
	if a.lmtp {
		return configs.ParseLMTPNexthop(s)
	}
	return configs.ParseNexthop(s)
}

// helo is the name that EHLO says.
func (a *Agent) helo() string { return cmp.Or(a.config.HeloName, a.hostname) }

// named says that the operator has named n himself.
func (a *Agent) named(n configs.Nexthop) bool {
	return n.Chosen || n == a.relay || slices.ContainsFunc(a.fallback, func(s site) bool { return s.nexthop == n })
}

// Close ends the idle connections.
func (a *Agent) Close() error {
	a.cache.Close()
	return nil
}

// leave ends an idle session. Who it belonged to has his result; a panic loses only the QUIT.
func (a *Agent) leave(s *session) {
	_ = service.Fenced(a.log, func() error {
		s.quit()
		return nil
	}, "service", "smtp")
}

// Deliver implements agent.Agent.
func (a *Agent) Deliver(ctx context.Context, r *agent.Request, report func(agent.Result)) {
	a.deliver(ctx, &delivery{agent: a, request: r, report: report, todo: append([]int(nil), r.Recipients...)})
}

// Probe implements agent.Prober: the transaction ends after RCPT, with RSET or QUIT.
func (a *Agent) Probe(ctx context.Context, r *agent.Request, report func(agent.Result)) {
	a.deliver(ctx, &delivery{agent: a, request: r, report: report, todo: append([]int(nil), r.Recipients...), probe: true})
}

func (a *Agent) deliver(ctx context.Context, d *delivery) {
	within, cancel := a.timeout(ctx, a.config.DeliveryTimeout)
	defer cancel()
	last := d.run(within)
	if ctx.Err() != nil {
		return // shutdown: what is left stays in the queue as it is
	}
	if last.err == nil {
		last.err = dsn.New(dsn.MailSystem, "Temporary failure in the mail system")
	}
	for _, i := range d.todo {
		d.report(agent.Result{Recipient: i, Err: last.err, Site: last.site, Relay: last.relay})
	}
}
