package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
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
	"toastmaster/directory/sql"
	"toastmaster/internal/anvil"
	"toastmaster/internal/clock"
	"toastmaster/internal/hostaddr"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
	"toastmaster/internal/tlsconf"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore"
	"toastmaster/migrations"
	"toastmaster/mta/cleanup"
	"toastmaster/mta/queue"
	"toastmaster/mta/smtpd"
)

// queueDir is the queue's folder below data_dir.
const queueDir = "queue"

// instance is what the services of one configuration share. Everything in it
// is opened before the first service starts and closed after the last stopped.
type instance struct {
	config  *configs.Config
	log     *msglog.Log
	clock   clock.Clock
	fs      vfs.FS
	trusted []netip.Prefix
	// plan says which instance this is.
	plan startPlan
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
func bareInstance(c *configs.Config) *instance {
	i := &instance{config: c, clock: clock.System{}, fs: vfs.OS{}, trusted: configs.Prefixes(c.Main.TrustedNetworks), reloads: make(chan chan<- reloaded)}
	i.anvil = anvil.New(anvil.Options{
		Unit: c.Anvil.RateTimeUnit, Keys: c.Anvil.Keys, Exempt: i.trusted, Clock: i.clock,
		Units: map[anvil.Kind]time.Duration{anvil.UserMessage: time.Hour, anvil.UserRecipient: time.Hour},
	})
	i.files = service.NewFiles(descriptorsFor(c).connections())
	return i
}

// openInstance opens everything in order of dependency. On error what was
// opened is closed again. p is what was opened before root was given up, or nil.
func openInstance(ctx context.Context, c *configs.Config, p *privileged) (*instance, error) {
	i := bareInstance(c)
	i.privileged = p
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
			return nil, errors.Join(fmt.Errorf("%s: %w", step.name, withOwner(c, err)), i.close())
		}
	}
	return i, nil
}

// close closes what was opened, last first.
func (i *instance) close() error {
	var errs []error
	for n := len(i.closers) - 1; n >= 0; n-- {
		errs = append(errs, i.closers[n]())
	}
	i.closers = nil
	return errors.Join(errs...)
}

func (i *instance) onClose(f func() error) { i.closers = append(i.closers, f) }

func (i *instance) openTLS(context.Context) error {
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
	o := tlsconf.Options{Check: c.TLS.Check, Log: log, Clock: clk, MinVersion: tls.VersionTLS12}
	if c.TLS.MinVersion == "1.3" {
		o.MinVersion = tls.VersionTLS13
	}
	for _, entry := range c.TLS.Certificates {
		cert, key := configs.CertificateFiles(entry)
		o.Pairs = append(o.Pairs, tlsconf.Pair{Cert: c.Path(cert), Key: c.Path(key)})
	}
	return o
}

// openDirectory opens the write side first, because it brings the schema up to
// date, then the read side with its cache.
func (i *instance) openDirectory(ctx context.Context) error {
	c := i.config
	path := c.Path(c.Directory.Path)
	writer, err := sql.OpenWriter(ctx, path, c.Directory)
	if err != nil {
		return err
	}
	i.onClose(writer.Close)
	if err := migrations.Up(ctx, writer); err != nil {
		return err
	}
	if err := i.adopt(ctx, "database"); err != nil {
		return err
	}
	if id, err := sql.Instance(ctx, writer); err != nil || id != i.plan.id {
		return errors.Join(err, fmt.Errorf("database %s: its instance id is %q, not %q", path, id, i.plan.id))
	}
	reader, err := sql.OpenReader(path, c.Directory)
	if err != nil {
		return err
	}
	i.onClose(reader.Close)
	answers, closeAnswers, err := openAnswers(c)
	if err != nil {
		return err
	}
	i.onClose(closeAnswers)
	i.host = newHost(c, i.clock)
	i.answers = cache.New(literal.New(answers, c.Main.Hostname, i.host.HasLiteral), c.Directory, i.clock)
	i.directory = directory.New(i.answers, c.Main.RecipientDelimiter)
	i.adminStore = store.New(store.Options{
		Writer: writer, Reader: reader, Hasher: password.NewHasher(c.Auth),
		Changed: i.directoryChanged, Clock: i.clock, Workers: c.Admin.BulkWorkers,
		Aliases: aliasLimits(c.Cleanup), Delimiters: c.Main.RecipientDelimiter, Log: i.log,
		Root: absolute(c.Path(c.Store.Path)), Home: c.Store.Home,
	})
	i.auth = password.New(password.Options{
		Directory: i.directory, Params: c.Auth, Trusted: i.trusted, Log: i.log, Clock: i.clock,
		Rehash: i.adminStore.ReplaceHash, LastLogins: i.lastLogins,
	})
	i.sessions = logins.NewWatch(logins.WatchOptions{
		Recheck: i.auth.Recheck, Interval: c.Directory.CacheTTL, Keep: i.keepLogins, Log: i.log, Clock: i.clock,
	})
	return nil
}

// directoryChanged makes a change known before whoever made it is answered:
// first to the cache, because the sessions ask it.
func (i *instance) directoryChanged() {
	i.answers.Invalidate()
	i.sessions.Changed()
}

// openLog opens the log with the metrics of its events.
func (i *instance) openLog(context.Context) error {
	i.metrics = prometheus.NewRegistry()
	i.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	c := i.config.Log
	file := c.File
	if file != "stderr" {
		file = i.config.Path(file)
	}
	log, err := msglog.Open(msglog.Options{
		Format: c.Format, Timestamps: c.Timestamps, Hostname: i.config.Main.Hostname, Level: c.Level, File: file, Buffer: int(c.Buffer), Flush: c.Flush,
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

func (i *instance) openStore(ctx context.Context) error {
	if err := i.adopt(ctx, "store"); err != nil {
		return err
	}
	mail, err := mailstore.Open(ctx, mailstore.Options{
		Root: i.config.Path(i.config.Store.Path), FS: i.fs, Clock: i.clock, Log: i.log,
		Hostname: i.config.Main.Hostname, Store: i.config.Store, Instance: i.plan.id,
	})
	if err != nil {
		return err
	}
	i.mail = mail
	i.onClose(mail.Close)
	return nil
}

func (i *instance) openQueue(ctx context.Context) error {
	if err := i.adopt(ctx, "queue"); err != nil {
		return err
	}
	q, err := queue.Open(ctx, queue.Options{
		Dir: i.config.Path(queueDir), Instance: i.plan.id, FS: i.fs, Clock: i.clock, Log: i.log,
		Checkpoint: i.mail.Checkpoint, Config: i.config.Queue, MaximalBackoff: i.config.Qmgr.MaximalBackoffTime,
	})
	if errors.Is(err, queue.ErrInUse) {
		return fmt.Errorf("%s is in use by another process: stop the toastmaster that serves it first", i.config.Path(queueDir))
	}
	if err != nil {
		return err
	}
	i.queue = q
	i.onClose(q.Close)
	return errors.Join(i.register(newQueueMetrics(q)), i.register(newInstanceMetrics(i)))
}
