package run

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"toastmaster/admin/store"
	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/cache"
	"toastmaster/directory/literal"
	"toastmaster/directory/logins"
	"toastmaster/directory/password"
	"toastmaster/directory/tables"
	"toastmaster/directory/tables/keys"
	"toastmaster/internal/anvil"
	"toastmaster/internal/clock"
	"toastmaster/internal/diskcache"
	"toastmaster/internal/hostaddr"
	"toastmaster/internal/identity"
	"toastmaster/internal/msglog"
	"toastmaster/internal/policyclient"
	"toastmaster/internal/run/adapter"
	"toastmaster/internal/run/check"
	"toastmaster/internal/run/control"
	"toastmaster/internal/run/listeners"
	"toastmaster/internal/run/metrics"
	"toastmaster/internal/run/parts"
	"toastmaster/internal/run/rights"
	"toastmaster/internal/service"
	"toastmaster/internal/tlsconf"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore"
	"toastmaster/mailstore/plan"
	"toastmaster/mta/flush"
	"toastmaster/mta/queue"
	"toastmaster/mta/verify"
)

// opened is what a process opens once, at its start, and closes at its stop: files, the database, ports, and what counts and
// remembers beyond a reload. Nothing in it is made anew. Its configuration is that of the start.
type opened struct {
	config *configs.Config
	log    *msglog.Log
	clock  clock.Clock
	// fs is the file system of all but the mail, which has storeFS.
	fs, storeFS vfs.FS
	trusted     []netip.Prefix
	// version is what the program calls itself.
	version string
	// role is which services this process has, "" all.
	role Role
	// control is where other roles ask this one, and roles are those; see others.
	control net.Listener
	// roleUsers are the users of the roles; nil where all are main.user.
	roleUsers *rights.Roles
	roles     control.Roles
	// linger is how long sessions go on at a stop.
	linger *Linger
	// startup says which instance this is.
	startup parts.Startup
	// listeners is where the services get theirs from.
	listeners *listeners.Set

	// anvil counts clients and users for every service.
	anvil *anvil.Counter
	// files are the descriptors that connections may take.
	files *service.Files

	certificates *tlsconf.Certificates // loaded by root, or by openTLS
	tls          *tls.Config

	host       *hostaddr.Host
	adminStore *store.Store
	answers    *cache.Cache
	directory  *directory.Directory
	auth       *password.Authenticator
	sessions   *logins.Watch
	metrics    *prometheus.Registry

	// tables are the lookup tables of all services, each open once, and policies the clients of policy services. A reload
	// opens what is new in them.
	tables   *tables.Set
	policies *policyclient.Set
	// clientCerts know the certificates of clients, by how they are looked at, and resolvers ask name servers.
	clientCerts map[tlsconf.ClientOptions]*tlsconf.Clients
	resolvers   []resolverOf

	mail  *mailstore.Store
	queue *queue.Queue
	// flush knows which deferred messages wait for which destination.
	flush *flush.Index
	// verify probes addresses, and screened is what postscreen remembers; nil when that is not enabled.
	verify   *verify.Verifier
	screened *diskcache.Cache

	// present is where the pipeline of now is; deliverer is by which lmtpd and virtual deliver.
	present   *present
	deliverer *plan.Executor

	// stopping is when the stop began.
	stopping time.Time
	closers  []func() error
}

// newOpened has nothing open yet.
func newOpened(c *configs.Config) *opened {
	o := &opened{config: c, clock: clock.System{}, fs: rights.QueueFS(c), storeFS: rights.StoreFS(c), trusted: configs.Prefixes(c.Main.TrustedNetworks), present: &present{}}
	count := anvil.Options{
		Unit: c.Anvil.RateTimeUnit, Keys: c.Anvil.Keys, IPv4Bits: c.Anvil.IPv4Bits, IPv6Bits: c.Anvil.IPv6Bits, Exempt: o.trusted, Clock: o.clock,
		Units: map[anvil.Kind]time.Duration{anvil.UserMessage: time.Hour, anvil.UserRecipient: time.Hour},
	}
	password.Count(&count, c.Auth)
	o.anvil = anvil.New(count)
	o.listeners = listeners.NewSet(c, nil)
	o.files = service.NewFiles(check.DescriptorsFor(c).Connections())
	return o
}

// Close closes what was opened, last first.
func (o *opened) Close() error {
	var errs []error
	for n := len(o.closers) - 1; n >= 0; n-- {
		errs = append(errs, o.closers[n]())
	}
	o.closers = nil
	return errors.Join(errs...)
}

func (o *opened) onClose(f func() error) { o.closers = append(o.closers, f) }

// openLog opens the log with the metrics of its events.
func (o *opened) openLog(context.Context) error {
	o.metrics = prometheus.NewRegistry()
	o.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	c := o.config.Log
	file := c.File
	if file != "stderr" {
		file = o.config.Path(file)
	}
	log, err := msglog.Open(msglog.Options{
		Format: logFormat(c.Format), ISO: c.ISO, Hostname: o.config.Main.Hostname, Level: c.Level, File: file, Buffer: int(c.Buffer), Flush: c.Flush, CloseTimeout: c.CloseTimeout,
		Registry: o.metrics, Clock: o.clock, Shared: len(o.config.Master.RoleUsers) > 0,
	})
	if err != nil {
		return err
	}
	o.log = log
	o.onClose(log.Close)
	o.onClose(o.noteStopped)
	return metrics.Register(o.metrics, log, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "toastmaster_log_degraded", Help: "1 while the log cannot be written or whoever reads it has stalled.",
	}, func() float64 {
		if log.Health() != nil {
			return 1
		}
		return 0
	}))
}

func logFormat(f configs.LogFormat) msglog.Format {
	switch f {
	case configs.LogJSON:
		return msglog.JSON
	case configs.LogPostfix:
		return msglog.Postfix
	}
	return msglog.Text
}

// identify finds out which instance this is and, for one that is older than
// ids, notes that all its parts are to have one. Each gets it when it is opened.
func (o *opened) identify(ctx context.Context) error {
	other := ""
	if !o.has(RoleMTA) {
		other = parts.Queue // it may be another user's
	}
	plan, err := parts.LookWithout(ctx, o.config, other)
	if err != nil {
		return err
	}
	o.startup = plan
	if plan.Adopted() == "" {
		return nil
	}
	o.log.Warn("instance", "status", "adopted", "id", string(plan.ID), "parts", plan.Adopted(),
		"cause", "what was here had no instance id; main.instance may name it now")
	if plan.Adopts(parts.Queue) {
		return identity.Intend(o.fs, o.config.Path(configs.QueueDir), plan.ID)
	}
	return nil
}

func (o *opened) openTLS(context.Context) error {
	if o.certificates != nil {
		o.certificates.Use(o.log)
		o.tls = o.certificates.Config()
		return nil
	}
	certificates, err := tlsconf.Load(listeners.TLS(o.config, o.log, o.clock))
	if err != nil {
		return err
	}
	o.certificates, o.tls = certificates, certificates.Config()
	return nil
}

// openDirectory opens the side of the database that is written first, because that
// brings the schema up to date, then the side that mail asks with its cache.
func (o *opened) openDirectory(ctx context.Context) error {
	c := o.config
	base, err := parts.OpenHosted(ctx, c, o.startup)
	if err != nil {
		return err
	}
	o.onClose(base.Close)
	answers, closeAnswers, err := parts.Answers(c)
	if err != nil {
		return err
	}
	o.onClose(closeAnswers)
	o.host = listeners.Host(c, o.listeners.Inherited(), o.clock)
	literals := literal.New(literal.Options{Under: answers, Hostname: c.Main.Hostname, Ours: o.host.HasLiteral})
	o.answers = cache.New(cache.Options{Under: literals, Params: c.Directory, Clock: o.clock})
	o.directory = directory.New(o.answers, c.Main.RecipientDelimiter)
	if o.adminStore, err = base.Store(c, o.directoryChanged, o.log, o.clock); err != nil {
		return err
	}
	kept := adapter.Logins{Store: o.adminStore}
	o.auth = password.New(password.Options{
		Directory: o.directory, Params: c.Auth, Counter: o.anvil, Log: o.log, Clock: o.clock,
		Rehash: o.adminStore.ReplaceHash, LastLogins: kept.Last,
	})
	o.sessions = logins.NewWatch(logins.WatchOptions{
		Recheck: o.auth.Recheck, Interval: c.Directory.CacheTTL, Keep: kept.Keep, Log: o.log, Clock: o.clock,
	})
	return nil
}

// directoryKnown makes a change known in this process: first to the cache, because the
// sessions ask it.
func (o *opened) directoryKnown() {
	o.answers.Invalidate()
	o.sessions.Changed()
}

// openTables opens the lookup tables of all lists, as the user who reads them again when
// they change. Who needs one asks the set for it by its name.
func (o *opened) openTables(ctx context.Context) error {
	o.tables = tables.NewSet(tables.Options{
		Params: o.config.Lookup, Dir: o.config.Dir(), Clock: o.clock, Log: o.log, Directory: o.directory, Aliases: directory.LimitsOf(o.config.Cleanup),
	})
	o.onClose(o.tables.Close)
	o.policies = &policyclient.Set{}
	o.onClose(o.policies.Close)
	for param, names := range o.config.TableLists() {
		if _, item, err := o.tables.OpenAll(ctx, names); err != nil {
			return o.config.MistakeIn(param, item, err)
		}
	}
	return nil
}

func (o *opened) openStore(ctx context.Context) error {
	if o.role == RolePrivileged {
		return nil // it has no mail
	}
	if err := o.startup.Adopt(ctx, parts.Store); err != nil {
		return err
	}
	mail, err := mailstore.Open(ctx, mailstore.Options{
		Root: o.config.Path(o.config.Store.Path), FS: o.storeFS, Clock: o.clock, Log: o.log,
		Hostname: o.config.Main.Hostname, Store: o.config.Store, Instance: o.startup.ID,
	})
	if err != nil {
		return err
	}
	o.mail = mail
	o.onClose(mail.Close)
	return nil
}

func (o *opened) openQueue(ctx context.Context) error {
	if !o.has(RoleMTA) {
		return nil
	}
	if err := o.startup.Adopt(ctx, parts.Queue); err != nil {
		return err
	}
	q, err := waitForQueue(ctx, o.clock, func() (*queue.Queue, error) {
		return queue.Open(ctx, queue.Options{
			Dir: o.config.Path(configs.QueueDir), Instance: o.startup.ID, FS: o.fs, Clock: o.clock, Log: o.log,
			Checkpoint: o.mail.Checkpoint, Config: o.config.Queue, MaximalBackoff: o.config.Qmgr.MaximalBackoffTime,
			Window: queue.Window{Messages: o.config.Qmgr.ActiveLimit, Recipients: o.config.Qmgr.MessageRecipientLimit},
		})
	})
	if errors.Is(err, queue.ErrInUse) {
		return fmt.Errorf("%s is in use by another process: stop the toastmaster that serves it first", o.config.Path(configs.QueueDir))
	}
	if err != nil {
		return err
	}
	o.queue = q
	o.onClose(q.Close)
	return nil
}

// certificateLeaves are those in use, none for who opened the parts only.
func (o *opened) certificateLeaves() []*x509.Certificate {
	if o.certificates == nil {
		return nil
	}
	return o.certificates.Leaves()
}

// openMemories opens the logs of destinations, and what verify and postscreen remember.
func (o *opened) openMemories(context.Context) (err error) {
	if !o.has(RoleMTA) {
		return nil
	}
	c := o.config
	if o.flush, err = flush.New(flush.Options{
		Params: c.Flush, Dir: c.MTAPath(configs.FlushDir), Tables: o.tables, Keys: flushKeys(c), Queue: o.queue, FS: o.fs, Clock: o.clock, Log: o.log,
	}); err != nil {
		return fmt.Errorf("fast flush: %w", err)
	}
	probed, err := diskcache.Open(diskcache.Options{
		Path: c.MTAPath(configs.VerifyCache), Limit: c.Verify.CacheLimit, FS: o.fs, Clock: o.clock, Log: o.log,
	})
	if err != nil {
		return err
	}
	o.verify = verify.New(verify.Options{
		Params: c.Verify, Directory: o.directory, Resolver: o.present, Agent: o.present.agent, Cache: probed, Log: o.log, Clock: o.clock,
	})
	if !c.Postscreen.Enable {
		return nil
	}
	o.screened, err = diskcache.Open(diskcache.Options{
		Path: c.MTAPath(configs.PostscreenCache), Limit: c.Postscreen.CacheLimit, FS: o.fs, Clock: o.clock, Log: o.log,
	})
	return err
}

// flushKeys is how flush looks a domain up.
func flushKeys(c *configs.Config) keys.Options {
	return keys.Options{ParentMatches: slices.Contains(c.Main.ParentMatches, configs.ParentFastFlush)}
}

// openDeliverer makes what delivers into the store. What it sends goes through the present pipeline, or to the role that
// has one; while that does not answer, whoever delivers is told to come again.
func (o *opened) openDeliverer() {
	p := plan.Options{Store: o.mail, Plan: plan.ToInbox, Params: o.config.Store, Log: o.log}
	if o.has(RoleMTA) {
		p.Submit, p.Spool = o.present, o.queue.Spool()
	} else {
		p.Submit, p.Spool = o.mtaRole().Submitter(), o.mail.Spool()
	}
	o.deliverer = plan.New(p)
}
