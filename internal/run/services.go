package run

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"toastmaster/configs"
	"toastmaster/directory/gate"
	"toastmaster/internal/dsn"
	"toastmaster/internal/run/check"
	"toastmaster/internal/service"
	"toastmaster/mailstore/imapd"
	"toastmaster/mailstore/login"
	"toastmaster/mailstore/pop3d"
	"toastmaster/mta/qmgr"
)

// serviceRow is one service of the project's master.cf. A service may use all
// services of lower stages; they are stopped after it. open may return nil: there is none.
type serviceRow struct {
	name  string
	stage int
	open  func(*Instance) (service.Service, error)
}

// serviceTable lists every service. A new one is a row here.
func serviceTable() []serviceRow {
	return []serviceRow{
		{"store", 0, openStoreService},
		{"sessions", 0, openSessionsService},
		{"anvil", 0, openAnvil},
		{"queue", 1, openQueueService},
		{"qmgr", 2, openQmgr},
		{"imapd", 3, openIMAPD},
		{"pop3d", 3, openPOP3D},
		{"lmtpd", 3, openLMTPD},
		{"flush", 2, openFlush},
		{"verify", 2, openVerify},
		{"postscreen", 2, openPostscreen},
		{"smtpd", 3, openSMTPD},
		{"submission", 3, openSubmission},
		{"submissions", 3, openSubmissions},
		{"proxymap", 3, openProxymap},
		{"pickup", 3, openPickup},
		{"qmqpd", 3, openQMQPD},
		{"admin", 4, openAdmin},
	}
}

// assemble makes the services and opens their listeners.
func assemble(ctx context.Context, i *Instance) (*service.Group, error) {
	g := &service.Group{GroupName: "toastmaster", StopTimeout: stopTimeoutOf(i), Log: i.log, Clock: i.clock}
	// Known before the rows are opened: the admin service shows its status.
	i.group = g
	for _, row := range append(append(serviceTable(), spawnRows(i.config)...), serviceRow{"control", 4, openControl}) {
		if row.name != "control" && !i.serves(row.name) {
			continue
		}
		s, err := row.open(i)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", row.name, err)
		}
		if s == nil {
			continue // it is not enabled
		}
		for len(g.Stages) <= row.stage {
			g.Stages = append(g.Stages, nil)
		}
		g.Stages[row.stage] = append(g.Stages[row.stage], s)
	}
	if !i.has(RoleMTA) {
		return g, nil
	}
	for _, l := range i.config.SMTPDListeners {
		s, err := openListener(i, l)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", l.ServiceName(), err)
		}
		g.Stages[listenerStage] = append(g.Stages[listenerStage], s)
	}
	return g, nil
}

// listenerStage is that of the services of [[listener]], smtpd's.
const listenerStage = 3

// background is a part that was opened before and now gets its goroutine.
type background struct {
	name string
	run  func(context.Context) error
}

func (b background) Name() string                  { return b.name }
func (b background) Run(ctx context.Context) error { return b.run(ctx) }

func openStoreService(i *Instance) (service.Service, error) {
	return background{"store", i.mail.Run}, nil
}

// openSessionsService ends sessions whose log-in is not good any more.
func openSessionsService(i *Instance) (service.Service, error) {
	return background{"sessions", i.sessions.Run}, nil
}

func openQueueService(i *Instance) (service.Service, error) {
	return background{"queue", i.queue.Run}, nil
}

// openQmgr makes the queue manager: what it has of a message, a destination and a delivery that runs goes on through a reload.
func openQmgr(i *Instance) (service.Service, error) {
	p := i.present.get()
	m := qmgr.New(qmgr.Options{Queue: i.queue, Renewal: p.toQmgr(), Deferred: i.flush.Add, Log: i.log, Clock: i.clock})
	i.onRenew(func(c *configs.Config) {
		before := p
		p = i.present.get()
		now := p.toQmgr()
		now.Routes = len(before.config.Changed(p.config)) > 0
		i.queue.AllowBackoff(c.Qmgr.MaximalBackoffTime)
		m.Renew(now)
	})
	return m, nil
}

// toQmgr is what the queue manager has of a pipeline.
func (p *pipeline) toQmgr() qmgr.Renewal {
	return qmgr.Renewal{
		Params: p.config.Qmgr, Resolver: p.resolver, Reporter: p.reporter, Transports: p.transports,
		ContentFilters: p.config.ContentFilters(), SoftBounce: p.config.Main.SoftBounce,
	}
}

func openFlush(i *Instance) (service.Service, error)  { return i.flush, nil }
func openVerify(i *Instance) (service.Service, error) { return i.verify, nil }

// serverOptions is what the server of a protocol needs beside its handler.
type serverOptions struct {
	name                   string
	plain, tls             []string
	handler                service.Handler
	connections, perClient int
	drain                  time.Duration
	// bound, which may be nil, sets those, and reserved, stress, uncounted, allowed and trusted, as they are now.
	bound func(*serverOptions)
	busy  string
	// allowed and denied are service.Server's.
	allowed []netip.Prefix
	denied  string
	// trusted takes the place of main.trusted_networks; nil does not.
	trusted []netip.Prefix
	// limitTrusted counts clients in main.trusted_networks, too.
	limitTrusted     bool
	reserved, stress int
	// files is how many descriptors a connection takes, its own included.
	files           int
	admit, admitTLS func(netip.Addr) *dsn.Error
	// tlsConfig takes the place of the instance's on the addresses of tls; nil does not.
	tlsConfig *tls.Config
	// uncounted have no limit perClient.
	uncounted []netip.Prefix
	// proxied are the addresses where a proxy speaks first, whose header may take proxyTimeout.
	proxied      []string
	proxyTimeout time.Duration
}

// proxy is who stands before an address, nil for nobody.
func (o *serverOptions) proxy(i *Instance, address string) *service.Proxy {
	if !slices.Contains(o.proxied, address) {
		return nil
	}
	return &service.Proxy{Networks: configs.Prefixes(i.config.Main.HaproxyNetworks), Timeout: o.proxyTimeout}
}

// listen is the listener of an address, which is closed with the instance, whatever
// became of its service.
func listen(i *Instance, address string) (net.Listener, error) {
	l, err := i.listeners.Listen(address)
	if err != nil {
		return nil, err
	}
	i.onClose(func() error {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	return l, nil
}

// limits are what bounds the server now; trusted are main.trusted_networks.
func (o serverOptions) limits(i *Instance, trusted []netip.Prefix) service.Limits {
	if o.bound != nil {
		o.bound(&o)
	}
	l := service.Limits{
		Connections: o.connections, PerClient: o.perClient, Trusted: trusted, Allowed: o.allowed, Uncounted: o.uncounted,
		Reserved: o.reserved, Stress: o.stress, Files: i.files, Cost: o.files,
		HandshakeTimeout: i.config.TLS.HandshakeTimeout, DrainTimeout: o.drain,
	}
	if o.trusted != nil {
		l.Trusted = o.trusted
	}
	if o.limitTrusted {
		l.Trusted = nil
	}
	return l
}

// serverOf makes the server of a protocol and opens its listeners.
func serverOf(i *Instance, o serverOptions) (service.Service, error) {
	s := &service.Server{
		ServiceName: o.name, Handler: o.handler, Busy: o.busy, Denied: o.denied, Log: i.log, Clock: i.clock,
		Admit: o.admit, AdmitTLS: o.admitTLS, Counter: i.anvil, Linger: i.linger.Get, Limits: o.limits(i, i.trusted),
	}
	i.onRenew(func(*configs.Config) { s.Renew(o.limits(i, i.trustedNow())) })
	for _, address := range o.plain {
		l, err := listen(i, address)
		if err != nil {
			return nil, err
		}
		s.Listeners = append(s.Listeners, service.Listener{Listener: l, Proxy: o.proxy(i, address)})
	}
	for _, address := range o.tls {
		l, err := listen(i, address)
		if err != nil {
			return nil, err
		}
		s.Listeners = append(s.Listeners, service.Listener{Listener: l, TLS: cmp.Or(o.tlsConfig, i.tls), Proxy: o.proxy(i, address)})
	}
	return s, nil
}

func openIMAPD(i *Instance) (service.Service, error) {
	c := i.config.IMAPD
	handler := imapd.New(imapd.Options{
		Config: c, Store: i.mail, Auth: i.auth, TLS: i.tls, HandshakeTimeout: i.config.TLS.HandshakeTimeout,
		Hostname: i.config.Main.Hostname, Counter: i.anvil, Watch: i.sessions, Log: i.log, Clock: i.clock,
	})
	return serverOf(i, serverOptions{
		name: "imapd", plain: c.Listen, tls: c.ListenTLS, handler: handler,
		connections: c.MaxConnections, perClient: c.MaxClient, drain: c.DrainTimeout, busy: imapd.Busy,
		reserved: c.Reserved, stress: c.StressAt(), files: check.FilesMailbox, admit: service.ConnectRate("imapd", i.anvil, c.ConnectionRate),
		proxied: c.Haproxy, proxyTimeout: i.config.Main.HaproxyTimeout,
	})
}

func openPOP3D(i *Instance) (service.Service, error) {
	c := i.config.POP3D
	way := &login.Gate{
		Gate: gate.Gate{
			Service: "pop3d", Authenticate: i.auth.Authenticate, SecureNetworks: gate.Loopback(),
			MaxFailures: c.MaxLoginFailures, PerUser: c.MaxUserIP, Counter: i.anvil, Watch: i.sessions, Log: i.log,
		},
		Open: i.mail.Session, TLS: i.tls,
		Timeout: c.LoginTimeout, StressTimeout: c.StressTimeout, HandshakeTimeout: i.config.TLS.HandshakeTimeout,
	}
	handler, err := pop3d.New(pop3d.Options{Config: c, Hostname: i.config.Main.Hostname, Gate: way, Log: i.log})
	if err != nil {
		return nil, err
	}
	return serverOf(i, serverOptions{
		name: "pop3d", plain: c.Listen, tls: c.ListenTLS, handler: handler,
		connections: c.MaxConnections, perClient: c.MaxClient, drain: c.DrainTimeout, busy: pop3d.Busy,
		reserved: c.Reserved, stress: c.StressAt(), files: check.FilesMailbox, admit: service.ConnectRate("pop3d", i.anvil, c.ConnectionRate),
		proxied: c.Haproxy, proxyTimeout: i.config.Main.HaproxyTimeout,
	})
}
