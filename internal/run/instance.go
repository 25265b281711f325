package run

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"toastmaster/admin/api"
	"toastmaster/admin/model"
	"toastmaster/admin/store"
	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/cache"
	"toastmaster/directory/literal"
	"toastmaster/directory/logins"
	"toastmaster/directory/password"
	"toastmaster/directory/tables"
	"toastmaster/internal/anvil"
	"toastmaster/internal/clock"
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
	"toastmaster/mta/agent"
	"toastmaster/mta/cleanup"
	"toastmaster/mta/flush"
	"toastmaster/mta/local"
	"toastmaster/mta/milter"
	"toastmaster/mta/postscreen"
	"toastmaster/mta/queue"
	"toastmaster/mta/rewrite"
	"toastmaster/mta/verify"
)

// Instance is what the services of one configuration share. Everything in it
// is opened before the first service starts and closed after the last stopped.
type Instance struct {
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
	// clientCerts know the certificates of clients, by how they are looked at.
	clientCerts map[tlsconf.ClientOptions]*tlsconf.Clients
	tls         *tls.Config

	host       *hostaddr.Host
	resolvers  []resolverOf // see nameServers
	adminStore *store.Store
	answers    *cache.Cache
	directory  *directory.Directory
	// tables are the lookup tables of all services, each open once.
	tables *tables.Set
	// routes are those of its tables that say where mail goes.
	routes rewrite.Tables
	// resolver says where mail goes, and aliases bound an expansion, with the tables of virtual aliases.
	resolver *rewrite.Resolver
	aliases  directory.Limits
	// policies has the clients of policy services.
	policies *policyclient.Set
	// milters knows the mail filters.
	milters  *milter.Filters
	auth     *password.Authenticator
	sessions *logins.Watch
	metrics  *prometheus.Registry

	mail  *mailstore.Store
	queue *queue.Queue
	// cleanup and smtpd are made once for all who hand in mail.
	cleanup *cleanup.Cleanup
	// locals are the agents for the users of this host, by transport.
	locals map[string]*local.Agent
	smtpd  *smtpdOf
	// smtpds are all of smtpd: i.smtpd, and one for each [[listener]].
	smtpds []*smtpdOf
	// flush knows which deferred messages wait for which destination.
	flush *flush.Index
	// verify probes addresses, with the agents of transports by their names.
	verify *verify.Verifier
	// reporter makes reports about mail that is refused or cannot be delivered.
	reporter agent.Reporter
	agents   map[string]agent.Agent
	// postscreen stands before smtpd; nil when it is not enabled.
	postscreen *postscreen.Screen
	// deliverer is by which lmtpd and virtual deliver.
	deliverer *plan.Executor
	group     *service.Group

	// reloads are asked for by the API; watch answers.
	reloads chan chan<- reloaded
	// stopping is when the stop began.
	stopping time.Time
	closers  []func() error
}

// bareInstance has nothing open.
func bareInstance(c *configs.Config) *Instance {
	i := &Instance{config: c, clock: clock.System{}, fs: rights.QueueFS(c), storeFS: rights.StoreFS(c), trusted: configs.Prefixes(c.Main.TrustedNetworks), reloads: make(chan chan<- reloaded)}
	count := anvil.Options{
		Unit: c.Anvil.RateTimeUnit, Keys: c.Anvil.Keys, IPv4Bits: c.Anvil.IPv4Bits, IPv6Bits: c.Anvil.IPv6Bits, Exempt: i.trusted, Clock: i.clock,
		Units: map[anvil.Kind]time.Duration{anvil.UserMessage: time.Hour, anvil.UserRecipient: time.Hour},
	}
	password.Count(&count, c.Auth)
	i.anvil = anvil.New(count)
	i.listeners = listeners.NewSet(c, nil)
	i.files = service.NewFiles(check.DescriptorsFor(c).Connections())
	return i
}

// openInstance opens everything in order of dependency. On error what was
// opened is closed again. early is what was opened before, and remains the caller's; it
// may be nil.
func openInstance(ctx context.Context, o Options, early *early) (*Instance, error) {
	c := o.Config
	i := bareInstance(c)
	i.version, i.role, i.linger = o.Version, o.Role, o.Linger
	if o.Role != "" {
		var err error
		if i.roleUsers, err = rights.RolesOf(c); err != nil {
			return nil, err
		}
	}
	if early != nil {
		i.listeners, i.certificates, i.control = early.listeners, early.certificates, early.control
	}
	for _, step := range []struct {
		name string
		open func(context.Context) error
	}{
		{"log", i.openLog},
		{"instance", i.identify},
		{"tls", i.openTLS},
		{"directory", i.openDirectory},
		{"fence", i.enterFence},
		{"tables", i.openTables},
		{"store", i.openStore},
		{"queue", i.openQueue},
		{"pipeline", i.openPipeline},
	} {
		if err := step.open(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", step.name, rights.WithOwner(c, err)), i.Close())
		}
	}
	return i, nil
}

// OpenMail opens store and queue of an instance for a backup, which finishes what was
// accepted and is not in its place yet. What that writes is of the user whose
// service reads it later, though root makes the backup: it is done and closed as
// that user, and opened once more, so that nothing is left to be written while
// the process is root again, who alone may write the archive.
func OpenMail(ctx context.Context, c *configs.Config) (i *Instance, err error) {
	err = rights.AsOwner(c, func() error {
		if i, err = openParts(ctx, c); err != nil {
			return err
		}
		if err := i.Close(); err != nil {
			return err
		}
		i, err = openParts(ctx, c)
		return err
	})
	return i, err
}

// openParts opens them.
func openParts(ctx context.Context, c *configs.Config) (*Instance, error) {
	i := bareInstance(c)
	for _, open := range []func(context.Context) error{i.openLog, i.identify, i.openStore, i.openQueue} {
		if err := open(ctx); err != nil {
			return nil, errors.Join(err, i.Close())
		}
	}
	return i, nil
}

// Close closes what was opened, last first.
func (i *Instance) Close() error {
	var errs []error
	for n := len(i.closers) - 1; n >= 0; n-- {
		errs = append(errs, i.closers[n]())
	}
	i.closers = nil
	return errors.Join(errs...)
}

func (i *Instance) onClose(f func() error) { i.closers = append(i.closers, f) }

func (i *Instance) openTLS(context.Context) error {
	if i.certificates != nil {
		i.certificates.Use(i.log)
		i.tls = i.certificates.Config()
		return nil
	}
	certificates, err := tlsconf.Load(listeners.TLS(i.config, i.log, i.clock))
	if err != nil {
		return err
	}
	i.certificates, i.tls = certificates, certificates.Config()
	return nil
}

// openDirectory opens the side of the database that is written first, because that
// brings the schema up to date, then the side that mail asks with its cache.
func (i *Instance) openDirectory(ctx context.Context) error {
	c := i.config
	base, err := parts.OpenHosted(ctx, c, i.startup)
	if err != nil {
		return err
	}
	i.onClose(base.Close)
	answers, closeAnswers, err := parts.Answers(c)
	if err != nil {
		return err
	}
	i.onClose(closeAnswers)
	i.host = listeners.Host(c, i.listeners.Inherited(), i.clock)
	literals := literal.New(literal.Options{Under: answers, Hostname: c.Main.Hostname, Ours: i.host.HasLiteral})
	i.answers = cache.New(cache.Options{Under: literals, Params: c.Directory, Clock: i.clock})
	i.directory = directory.New(i.answers, c.Main.RecipientDelimiter)
	if i.adminStore, err = base.Store(c, i.directoryChanged, i.log, i.clock); err != nil {
		return err
	}
	kept := adapter.Logins{Store: i.adminStore}
	i.auth = password.New(password.Options{
		Directory: i.directory, Params: c.Auth, Counter: i.anvil, Log: i.log, Clock: i.clock,
		Rehash: i.adminStore.ReplaceHash, LastLogins: kept.Last,
	})
	i.sessions = logins.NewWatch(logins.WatchOptions{
		Recheck: i.auth.Recheck, Interval: c.Directory.CacheTTL, Keep: kept.Keep, Log: i.log, Clock: i.clock,
	})
	return nil
}

// directoryKnown makes a change known in this process: first to the cache, because the
// sessions ask it.
func (i *Instance) directoryKnown() {
	i.answers.Invalidate()
	i.sessions.Changed()
}

// openTables opens the lookup tables of all lists, as the user who reads them again when
// they change. Who needs one asks the set for it by its name.
func (i *Instance) openTables(ctx context.Context) error {
	i.tables = tables.NewSet(tables.Options{
		Params: i.config.Lookup, Dir: i.config.Dir(), Clock: i.clock, Log: i.log, Directory: i.directory, Aliases: directory.LimitsOf(i.config.Cleanup),
	})
	i.onClose(i.tables.Close)
	i.policies = &policyclient.Set{}
	i.onClose(i.policies.Close)
	for param, names := range i.config.TableLists() {
		if _, item, err := i.tables.OpenAll(ctx, names); err != nil {
			return i.config.MistakeIn(param, item, err)
		}
	}
	var err error
	i.routes, err = rewrite.OpenTables(ctx, i.config, i.tables)
	return err
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

// openLog opens the log with the metrics of its events.
func (i *Instance) openLog(context.Context) error {
	i.metrics = prometheus.NewRegistry()
	i.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	c := i.config.Log
	file := c.File
	if file != "stderr" {
		file = i.config.Path(file)
	}
	log, err := msglog.Open(msglog.Options{
		Format: logFormat(c.Format), ISO: c.ISO, Hostname: i.config.Main.Hostname, Level: c.Level, File: file, Buffer: int(c.Buffer), Flush: c.Flush, CloseTimeout: c.CloseTimeout,
		Registry: i.metrics, Clock: i.clock, Shared: len(i.config.Master.RoleUsers) > 0,
	})
	if err != nil {
		return err
	}
	i.log = log
	i.onClose(log.Close)
	i.onClose(i.noteStopped)
	return metrics.Register(i.metrics, log, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "toastmaster_log_degraded", Help: "1 while the log cannot be written or whoever reads it has stalled.",
	}, func() float64 {
		if log.Health() != nil {
			return 1
		}
		return 0
	}))
}

func (i *Instance) openStore(ctx context.Context) error {
	if err := i.startup.Adopt(ctx, parts.Store); err != nil {
		return err
	}
	mail, err := mailstore.Open(ctx, mailstore.Options{
		Root: i.config.Path(i.config.Store.Path), FS: i.storeFS, Clock: i.clock, Log: i.log,
		Hostname: i.config.Main.Hostname, Store: i.config.Store, Instance: i.startup.ID,
	})
	if err != nil {
		return err
	}
	i.mail = mail
	i.onClose(mail.Close)
	return nil
}

func (i *Instance) openQueue(ctx context.Context) error {
	if !i.has(RoleMTA) {
		return metrics.Register(i.metrics, i.log, metrics.Of(i.measured(map[string]string{"mail": i.config.Path(i.config.Store.Path)})))
	}
	if err := i.startup.Adopt(ctx, parts.Queue); err != nil {
		return err
	}
	q, err := waitForQueue(ctx, i.clock, func() (*queue.Queue, error) {
		return queue.Open(ctx, queue.Options{
			Dir: i.config.Path(configs.QueueDir), Instance: i.startup.ID, FS: i.fs, Clock: i.clock, Log: i.log,
			Checkpoint: i.mail.Checkpoint, Config: i.config.Queue, MaximalBackoff: i.config.Qmgr.MaximalBackoffTime,
			Window: queue.Window{Messages: i.config.Qmgr.ActiveLimit, Recipients: i.config.Qmgr.MessageRecipientLimit},
		})
	})
	if errors.Is(err, queue.ErrInUse) {
		return fmt.Errorf("%s is in use by another process: stop the toastmaster that serves it first", i.config.Path(configs.QueueDir))
	}
	if err != nil {
		return err
	}
	i.queue = q
	i.onClose(q.Close)
	return metrics.Register(i.metrics, i.log, metrics.Queue(q), metrics.Of(i.measured(
		map[string]string{"queue": i.config.Path(configs.QueueDir), "mail": i.config.Path(i.config.Store.Path)})))
}

// measured is what is measured of this process.
func (i *Instance) measured(folders map[string]string) metrics.Instance {
	return metrics.Instance{Services: i.ownStatus, FS: i.fs, Certificates: i.certificateLeaves, Folders: folders}
}

// Queue is the mail queue, for a backup of an instance that nobody serves.
func (i *Instance) Queue() api.Queue { return adapter.Queue{Q: i.queue} }

// ownStatus is that of the services and parts of this process, none before there are services.
func (i *Instance) ownStatus() []model.Service {
	if i.group == nil {
		return nil
	}
	return adapter.Status{Group: i.group, Log: i.log, Mail: i.mail, Queue: i.queue, Admin: i.adminStore}.Services()
}

// certificateLeaves are those in use, none for who opened the parts only.
func (i *Instance) certificateLeaves() []*x509.Certificate {
	if i.certificates == nil {
		return nil
	}
	return i.certificates.Leaves()
}

// identify finds out which instance this is and, for one that is older than
// ids, notes that all its parts are to have one. Each gets it when it is opened.
func (i *Instance) identify(ctx context.Context) error {
	other := ""
	if !i.has(RoleMTA) {
		other = parts.Queue // it may be another user's
	}
	plan, err := parts.LookWithout(ctx, i.config, other)
	if err != nil {
		return err
	}
	i.startup = plan
	if plan.Adopted() == "" {
		return nil
	}
	i.log.Warn("instance", "status", "adopted", "id", string(plan.ID), "parts", plan.Adopted(),
		"cause", "what was here had no instance id; main.instance may name it now")
	if plan.Adopts(parts.Queue) {
		return identity.Intend(i.fs, i.config.Path(configs.QueueDir), plan.ID)
	}
	return nil
}
