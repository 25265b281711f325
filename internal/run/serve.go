package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/clock"
	"toastmaster/internal/run/check"
	"toastmaster/internal/run/listeners"
	"toastmaster/internal/run/usage"
	"toastmaster/internal/service"
)

// stopGrace is what the stop of a stage may take beyond the drain of its
// connections: closing what does not end, reports that are being queued. It is no
// parameter: it is for what should take no time; drain_timeout and qmgr.end_timeout
// are an operator's.
const stopGrace = time.Minute

// StopTimeout bounds the stop of one stage. It is longer than any drain and
// than the end of the deliveries under way (qmgr.end_timeout), or a
// drain_timeout that somebody raised would end in a store closed under the
// sessions that still use it.
func StopTimeout(c *configs.Config) time.Duration {
	drain := time.Duration(0)
	for _, l := range c.SMTPDListeners {
		drain = max(drain, l.Params.DrainTimeout)
	}
	for _, s := range c.Spawns {
		drain = max(drain, s.DrainTimeout)
	}
	return stopGrace + max(drain, c.SMTPD.DrainTimeout, c.LMTPD.DrainTimeout, c.IMAPD.DrainTimeout, c.POP3D.DrainTimeout, c.Admin.DrainTimeout, c.Proxymap.DrainTimeout, c.Pickup.DrainTimeout, c.QMQPD.DrainTimeout,
		c.Qmgr.EndTimeout)
}

// stopTimeoutOf is StopTimeout with what sessions of a role may linger.
func stopTimeoutOf(i *Instance) time.Duration {
	if i.role == "" {
		return StopTimeout(i.config)
	}
	return StopTimeout(i.config) + max(i.config.Master.Linger, i.config.Master.StoreLinger)
}

// Options are what an instance is served with.
type Options struct {
	Config *configs.Config
	// Version is what the program calls itself, in the API and the panel.
	Version string
	// Stderr hears that the instance is ready. Getenv is what the service manager
	// says.
	Stderr io.Writer
	Getenv func(string) string
	// Role is which services the process has; "" is all.
	Role Role
	// Linger, which may be nil, is how long sessions go on at a stop.
	Linger *Linger
	// Prepared, which may be nil, is called when only what another process may have open is
	// not open yet: the queue.
	Prepared func(context.Context) error
	// OnReady, which may be nil, is called when every listener is open; an error from
	// it stops the instance.
	OnReady func(context.Context) error
}

// Serve runs an instance until ctx ends, which is a stop in order and no error.
func Serve(ctx context.Context, o Options) (err error) {
	c := o.Config
	// From the first moment: a log rotation during a long recovery must not
	// end the process, as a SIGHUP that nobody waits for does.
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	// A reader of standard error that ends must not end the service, as a
	// SIGPIPE does; the log counts what it cannot write.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	if o.Role == "" && len(c.Master.RoleUsers) > 0 {
		return usage.New(c.Mistake("master.role_users", errors.New("the files are those of the users of several roles: `toastmaster master` serves them, not serve; for one process take it out, and give all files back with `toastmaster master set-permissions`")))
	}
	if err := check.DescriptorsFor(c).Refusal(); err != nil { // config check has another limit
		return usage.New(err)
	}
	in, err := listeners.Inherit(c, o.Getenv)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	if o.Role == "" { // else master has looked, and has all listeners
		if _, err := check.All(ctx, c, in); err != nil {
			return err
		}
	}
	e, err := openEarly(c, in, o.Role)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.listeners.Close()) }()
	if o.Prepared != nil {
		if err := o.Prepared(ctx); err != nil {
			return err
		}
	}
	i, err := openInstance(ctx, o, e)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, i.Close()) }()
	i.group, err = assemble(ctx, i)
	if err != nil {
		return err
	}
	i.group.Stopping = i.noteStopping
	if i.has(RoleAdmin) {
		i.warn(ctx)
	}
	notify := service.NewNotifier(o.Getenv)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	watcher := make(chan struct{})
	go func() {
		defer close(watcher)
		i.watch(ctx, o, notify, hangup, cancel)
	}()
	err = i.group.Run(ctx)
	cancel(nil)
	<-watcher
	if cause := context.Cause(ctx); err == nil && cause != nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	return err
}

// noteStopping logs why the stop begins: a signal, or what failed.
func (i *Instance) noteStopping(why error) {
	i.stopping = i.clock.Now()
	if errors.Is(why, context.Canceled) {
		i.log.Info("stopping", "reason", why.Error())
		return
	}
	i.log.Error("stopping", "reason", "failure", "cause", why)
}

// noteStopped logs that all is closed but the log.
func (o *opened) noteStopped() error {
	if !o.stopping.IsZero() {
		o.log.Info("stopped", "duration", o.clock.Now().Sub(o.stopping).Round(time.Millisecond))
	}
	return nil
}

// watch announces readiness, serves SIGHUP and announces the stop. Each step has a
// fence of its own: none may end the mail service, or the watch.
func (i *Instance) watch(ctx context.Context, o Options, notify *service.Notifier, hangup <-chan os.Signal, cancel context.CancelCauseFunc) {
	ready := i.group.Ready()
	for {
		select {
		case <-ready:
			ready = nil
			_ = i.fenced("start", func() error {
				if i.role != "" {
					return nil // master says it
				}
				Say(i.clock, o.Stderr, fmt.Sprintf("toastmaster: ready, %s\n", i.summary()))
				i.noteError("sd_notify", notify.Ready())
				return nil
			})
			if o.OnReady == nil {
				continue
			}
			if err := i.fenced("start", func() error { return o.OnReady(ctx) }); err != nil {
				cancel(err)
				return
			}
		case <-hangup:
			i.announceReload(notify)
		case answer := <-i.reloads:
			answer <- i.announceReload(notify) // has room
		case <-ctx.Done():
			_ = i.fenced("stop", func() error {
				i.noteError("sd_notify", notify.Stopping())
				return nil
			})
			return
		}
	}
}

// announceReload reloads, and tells the service manager. A panic is a reload that
// failed: what it was about to take over may be taken over in part, and mail goes on.
func (i *Instance) announceReload(notify *service.Notifier) (done reloaded) {
	err := i.fenced("reload", func() error {
		i.noteError("sd_notify", notify.Reloading())
		defer func() { i.noteError("sd_notify", notify.Ready()) }()
		done = i.reload()
		return nil
	})
	if err != nil {
		return reloaded{err: errors.New("internal error, see the log")}
	}
	return done
}

// fenced runs a step of the process's own.
func (i *Instance) fenced(step string, f func() error) error {
	return service.Fenced(i.log, f, "service", "toastmaster", "step", step)
}

// sayTimeout is how long the service waits for a reader of standard error or output.
// It is no parameter: a terminal or a service manager that reads takes microseconds.
const sayTimeout = time.Second

// Say writes to standard error or output, and goes on when nobody reads there; the
// writer then ends with the process.
func Say(clk clock.Clock, w io.Writer, text string) {
	done := make(chan struct{})
	go func() {
		// No fence: a write to a file is all there is.
		defer close(done)
		_, _ = io.WriteString(w, text)
	}()
	timer := clk.NewTimer(sayTimeout)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C():
	}
}

func (i *Instance) noteError(what string, err error) {
	if err != nil {
		i.log.Warn(what, "cause", err)
	}
}

// summary counts what listens.
func (i *Instance) summary() string {
	services, listeners := 0, 0
	for _, s := range i.group.Status() {
		services++
		listeners += len(s.Listeners)
	}
	one := func(n int, what string) string {
		if n == 1 {
			return "1 " + what
		}
		return fmt.Sprintf("%d %ss", n, what)
	}
	return one(services, "service") + " on " + one(listeners, "listener")
}
