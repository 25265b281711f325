package run

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"toastmaster/admin/api"
	"toastmaster/admin/store"
	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/cache"
	"toastmaster/directory/literal"
	"toastmaster/directory/logins"
	"toastmaster/directory/password"
	"toastmaster/internal/anvil"
	"toastmaster/internal/clock"
	"toastmaster/internal/hostaddr"
	"toastmaster/internal/identity"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
	"toastmaster/internal/tlsconf"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore"
	"toastmaster/mta/cleanup"
	"toastmaster/mta/queue"
	"toastmaster/mta/smtpd"
)

// QueueDir is the queue's folder below data_dir.
const QueueDir = "queue"

// Instance is what the services of one configuration share. Everything in it
// is opened before the first service starts and closed after the last stopped.
type Instance struct {
	config  *configs.Config
	log     *msglog.Log
	clock   clock.Clock
	fs      vfs.FS
	trusted []netip.Prefix
	// version is what the program calls itself.
	version string
	// plan says which instance this is.
	plan StartPlan
	// inherited is what the service manager has opened; nil for nothing.
	inherited *Inherited
	// privileged is what was opened before root was given up; nil if it was not.
	privileged *privileged

	// anvil counts clients and users for every service.
	anvil *anvil.Counter
	// files are the descriptors that connections may take.
	files *service.Files

	certificates *tlsconf.Certificates
	tls          *tls.Config

	host       *hostaddr.Host
	adminStore *store.Store
	answers    *cache.Cache
	directory  *directory.Directory
	auth       *password.Authenticator
	sessions   *logins.Watch
	metrics    *prometheus.Registry

	mail  *mailstore.Store
	queue *queue.Queue
	// cleanup and smtpd are made once for all who hand in mail.
	cleanup *cleanup.Cleanup
	smtpd   *smtpd.Daemon
	group   *service.Group

	// reloads are asked for by the API; watch answers.
	reloads chan chan<- reloaded
	// stopping is when the stop began.
	stopping time.Time
	closers  []func() error
}

// bareInstance has nothing open.
func bareInstance(c *configs.Config) *Instance {
	i := &Instance{config: c, clock: clock.System{}, fs: vfs.OS{}, trusted: configs.Prefixes(c.Main.TrustedNetworks), reloads: make(chan chan<- reloaded)}
	count := anvil.Options{
		Unit: c.Anvil.RateTimeUnit, Keys: c.Anvil.Keys, Exempt: i.trusted, Clock: i.clock,
		Units: map[anvil.Kind]time.Duration{anvil.UserMessage: time.Hour, anvil.UserRecipient: time.Hour},
	}
	password.Count(&count, c.Auth)
	i.anvil = anvil.New(count)
	i.files = service.NewFiles(descriptorsFor(c).connections())
	return i
}

// Open opens everything that the services of an instance share, for who works on it
// without serving it. The caller closes it.
func Open(ctx context.Context, c *configs.Config) (*Instance, error) {
	return openInstance(ctx, Options{Config: c}, nil, nil)
}

// openInstance opens everything in order of dependency. On error what was
// opened is closed again. in is what the service manager
// has opened, p what was opened before root was given up; each may be nil.
func openInstance(ctx context.Context, o Options, in *Inherited, p *privileged) (*Instance, error) {
	c := o.Config
	i := bareInstance(c)
	i.inherited, i.privileged, i.version = in, p, o.Version
	for _, step := range []struct {
		name string
		open func(context.Context) error
	}{
		{"log", i.openLog},
		{"instance", i.identify},
		{"tls", i.openTLS},
		{"directory", i.openDirectory},
		{"store", i.openStore},
		{"queue", i.openQueue},
		{"pipeline", i.openPipeline},
	} {
		if err := step.open(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", step.name, withOwner(c, err)), i.Close())
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
	err = AsOwner(c, func() error {
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
	if i.privileged != nil {
		i.certificates = i.privileged.certificates
		i.certificates.Use(i.log)
		i.tls = i.certificates.Config()
		return nil
	}
	certificates, err := tlsconf.Load(tlsOptions(i.config, i.log, i.clock))
	if err != nil {
		return err
	}
	i.certificates, i.tls = certificates, certificates.Config()
	return nil
}

func tlsOptions(c *configs.Config, log *msglog.Log, clk clock.Clock) tlsconf.Options {
	o := tlsconf.Options{Check: c.TLS.Check, Log: log, Clock: clk, MinVersion: c.TLS.MinVersion}
	for _, entry := range c.TLS.Certificates {
		cert, key := configs.CertificateFiles(entry)
		o.Pairs = append(o.Pairs, tlsconf.Pair{Cert: c.Path(cert), Key: c.Path(key)})
	}
	return o
}

// errDatabase is the database that is not the one that was asked for.
var errDatabase = errors.New("the database is another one")

// openDirectory opens the side of the database that is written first, because that
// brings the schema up to date, then the side that mail asks with its cache.
func (i *Instance) openDirectory(ctx context.Context) error {
	c := i.config
	row, err := directoryOf(c)
	if err != nil {
		return err
	}
	base, err := row.open(ctx, c)
	if err != nil {
		return err
	}
	i.onClose(base.close)
	if err := i.adopt(ctx, "database"); err != nil {
		return err
	}
	id, err := base.id(ctx)
	if err != nil {
		return err
	}
	if err := identity.Verify(errDatabase, row.place(c), identity.Found{State: identity.Marked, ID: id}, i.plan.ID); err != nil {
		return err
	}
	answers, closeAnswers, err := openAnswers(c)
	if err != nil {
		return err
	}
	i.onClose(closeAnswers)
	i.host = newHost(c, i.clock)
	i.answers = cache.New(literal.New(answers, c.Main.Hostname, i.host.HasLiteral), c.Directory, i.clock)
	i.directory = directory.New(i.answers, c.Main.RecipientDelimiter)
	i.adminStore, err = store.New(store.Options{
		Writer: base.writer, Reader: base.reader, Dialect: base.dialect, Hasher: password.NewHasher(c.Auth),
		Changed: i.directoryChanged, Clock: i.clock, Workers: c.Admin.BulkWorkers,
		Aliases: aliasLimits(c.Cleanup), Delimiters: c.Main.RecipientDelimiter, Log: i.log,
		Root: absolute(c.Path(c.Store.Path)), Home: c.Store.Home,
	})
	if err != nil {
		return err
	}
	i.auth = password.New(password.Options{
		Directory: i.directory, Params: c.Auth, Counter: i.anvil, Log: i.log, Clock: i.clock,
		Rehash: i.adminStore.ReplaceHash, LastLogins: i.lastLogins,
	})
	i.sessions = logins.NewWatch(logins.WatchOptions{
		Recheck: i.auth.Recheck, Interval: c.Directory.CacheTTL, Keep: i.keepLogins, Log: i.log, Clock: i.clock,
	})
	return nil
}

// directoryChanged makes a change known before whoever made it is answered:
// first to the cache, because the sessions ask it.
func (i *Instance) directoryChanged() {
	i.answers.Invalidate()
	i.sessions.Changed()
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
		Registry: i.metrics, Clock: i.clock,
	})
	if err != nil {
		return err
	}
	i.log = log
	i.onClose(log.Close)
	i.onClose(i.noteStopped)
	return i.register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "toastmaster_log_degraded", Help: "1 while the log cannot be written or whoever reads it has stalled.",
	}, func() float64 {
		if log.Health() != nil {
			return 1
		}
		return 0
	}))
}

func (i *Instance) openStore(ctx context.Context) error {
	if err := i.adopt(ctx, "store"); err != nil {
		return err
	}
	mail, err := mailstore.Open(ctx, mailstore.Options{
		Root: i.config.Path(i.config.Store.Path), FS: i.fs, Clock: i.clock, Log: i.log,
		Hostname: i.config.Main.Hostname, Store: i.config.Store, Instance: i.plan.ID,
	})
	if err != nil {
		return err
	}
	i.mail = mail
	i.onClose(mail.Close)
	return nil
}

func (i *Instance) openQueue(ctx context.Context) error {
	if err := i.adopt(ctx, "queue"); err != nil {
		return err
	}
	q, err := queue.Open(ctx, queue.Options{
		Dir: i.config.Path(QueueDir), Instance: i.plan.ID, FS: i.fs, Clock: i.clock, Log: i.log,
		Checkpoint: i.mail.Checkpoint, Config: i.config.Queue, MaximalBackoff: i.config.Qmgr.MaximalBackoffTime,
	})
	if errors.Is(err, queue.ErrInUse) {
		return fmt.Errorf("%s is in use by another process: stop the toastmaster that serves it first", i.config.Path(QueueDir))
	}
	if err != nil {
		return err
	}
	i.queue = q
	i.onClose(q.Close)
	return errors.Join(i.register(newQueueMetrics(q)), i.register(newInstanceMetrics(i)))
}

// Queue is the mail queue, for a backup of an instance that nobody serves.
func (i *Instance) Queue() api.Queue { return queueAPI{i.queue} }
