package master

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"toastmaster/configs"
	"toastmaster/internal/clock"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
)

// Options are what a Master is made of.
type Options struct {
	Params configs.Master
	// Roles are started in this order, each when the one before serves.
	Roles []Role
	// Adopt are processes that an earlier program has left to this one; they are replaced.
	Adopt *State
	// Check says whether the program that is installed now would serve this
	// configuration. Exec becomes it, and returns only with an error.
	Check func(context.Context) error
	Exec  func(State) error
	// Reload makes the roles, and what master has itself, read files again; it names the parameters
	// that wait for an upgrade.
	Reload func(context.Context) ([]string, error)
	// Ready is called when all roles serve for the first time.
	Ready func()
	// Held are files that every process keeps open, and is not told of: a lock that ends with the last one.
	Held []*os.File
	// StopTimeout is how long a role may take to stop; then it is killed.
	StopTimeout time.Duration
	// Stderr is what the roles print to.
	Stderr *os.File
	Notify *service.Notifier
	// Watchdog is how often Notify is told that this loop turns; 0 never.
	Watchdog time.Duration
	Log      *msglog.Log
	Clock    clock.Clock
}

// role is a Role in its life.
type role struct {
	Role
	// current serves, or is to; next is to replace it; old are on their way out.
	current, next *child
	old           []*child
	// delay is the last wait before a restart, restart when it ends.
	delay    time.Duration
	restart  time.Time
	restarts int
	why      string
}

// Master supervises. Its state belongs to the goroutine of Run.
type Master struct {
	o     Options
	roles []*role
	// gone are those of the program before that the configuration has no more.
	gone       []*role
	events     chan event
	commands   chan command
	children   sync.WaitGroup
	generation int
	// replacing are the roles that an upgrade has not replaced yet, the first one under way.
	replacing []*role
	upgradeOf error
	checking  bool
	serving   bool
	stopping  bool
	failed    error
	// planned is when the loop wanted to turn at the latest.
	planned time.Time
}

// command is what somebody asks of the loop.
type command struct {
	do    func() error
	reply chan error
}

const (
	firstDelay   = 100 * time.Millisecond
	servedDelay  = 5 * time.Second
	servedEnough = 10 * time.Second
)

// usageExit is the exit code of a mistake that no restart mends.
const usageExit = 2

// New makes a Master. Run owns it.
func New(o Options) *Master {
	m := &Master{o: o, events: make(chan event), commands: make(chan command)}
	for _, r := range o.Roles {
		m.roles = append(m.roles, &role{Role: r})
	}
	return m
}

// Run supervises until ctx ends, then stops all roles. It returns an error when the first start
// of a role was a mistake of usage, or a role had to be killed.
func (m *Master) Run(ctx context.Context) error {
	if err := m.adopt(); err != nil {
		return err
	}
	m.step()
	beat := m.o.Clock.NewTimer(m.beat())
	defer beat.Stop()
	for m.failed == nil {
		wait := m.untilRestart()
		m.planned = m.o.Clock.Now().Add(wait)
		wake := m.o.Clock.NewTimer(wait)
		select {
		case <-ctx.Done():
			wake.Stop()
			return m.stop(context.Cause(ctx))
		case e := <-m.events:
			m.hear(e)
		case c := <-m.commands:
			c.reply <- c.do()
		case <-wake.C():
		case <-beat.C():
			m.note(m.o.Notify.Watchdog())
			beat = m.o.Clock.NewTimer(m.beat())
		}
		wake.Stop()
		m.step()
	}
	return m.stop(m.failed)
}

// beat is half of what the service manager waits for, or long.
func (m *Master) beat() time.Duration {
	if m.o.Watchdog <= 0 {
		return time.Hour
	}
	return m.o.Watchdog / 2
}

func (m *Master) note(err error) {
	if err != nil {
		m.o.Log.Warn("sd_notify", "cause", err)
	}
}

// untilRestart is when the next role is to be started.
func (m *Master) untilRestart() time.Duration {
	wait := time.Hour
	for _, r := range m.roles {
		if !r.restart.IsZero() {
			wait = min(wait, max(r.restart.Sub(m.o.Clock.Now()), 0))
		}
	}
	for _, c := range m.all() {
		if until := m.overdue(c); !until.IsZero() {
			wait = min(wait, max(until.Sub(m.o.Clock.Now()), 0))
		}
	}
	return wait
}

// dumpTime is how long a process may take to say what its goroutines do, before it is killed.
const dumpTime = 10 * time.Second

// overdue is when a process is to be ended that says nothing until then, or has not done what it was asked, zero for never.
func (m *Master) overdue(c *child) time.Time {
	switch {
	case !c.dumped.IsZero():
		return c.dumped.Add(dumpTime)
	case c.heard.IsZero():
		return c.deadline
	}
	if silent := m.silent(c); c.deadline.IsZero() || silent.Before(c.deadline) {
		return silent
	}
	return c.deadline
}

// silent is when a process has said nothing for too long. One of an earlier configuration may say it more seldom.
func (m *Master) silent(c *child) time.Time {
	return c.heard.Add(max(m.o.Params.DaemonTimeout, 3*c.every))
}

// watchOver ends processes that have said nothing for too long, or do not start or finish in time: SIGQUIT, by which they print what
// they do, and SIGKILL for one that is stopped. What this process has not read, because it was stopped itself, is not the roles' silence.
func (m *Master) watchOver() {
	now := m.o.Clock.Now()
	stopped := time.Duration(0)
	if late := now.Sub(m.planned); !m.planned.IsZero() && late > m.o.Params.DaemonTimeout/2 {
		stopped = late
	}
	for _, c := range m.all() {
		until := m.overdue(c)
		switch {
		case until.IsZero() || now.Before(until):
		case !c.dumped.IsZero():
			_ = c.process.Kill()
			c.heard, c.dumped, c.deadline = time.Time{}, time.Time{}, time.Time{} // its end is all that is waited for
		case stopped > 0:
			if !c.heard.IsZero() {
				c.heard = now
			}
			if !c.deadline.IsZero() {
				c.deadline = c.deadline.Add(stopped)
			}
		default:
			status := "silent"
			if c.blamed = fmt.Sprintf("it has said nothing for %v (master.daemon_timeout)", m.o.Params.DaemonTimeout); until.Equal(c.deadline) {
				status, c.blamed = "late", c.late
			}
			m.o.Log.Error("role", "role", c.role.Name, "status", status, "pid", c.process.Pid, "cause", errors.New(c.blamed))
			c.dumped = now
			_ = c.process.Signal(unix.SIGQUIT)
		}
	}
}

// step does what is due: the first start in order, restarts, the next replacement.
func (m *Master) step() {
	m.watchOver()
	now := m.o.Clock.Now()
	for _, r := range m.roles {
		if r.current == nil && r.next == nil && (r.restart.IsZero() || !now.Before(r.restart)) {
			r.restart = time.Time{}
			m.start(r)
		}
		// The first start is one role after the other: the first one may have to bring the
		// database up to date.
		if !m.serving && (r.current == nil || !r.current.ready) && r.restarts == 0 {
			return
		}
	}
	if !m.serving && !slices.ContainsFunc(m.roles, func(r *role) bool { return r.current == nil || !r.current.ready }) {
		m.serving = true
		if m.o.Adopt == nil {
			m.note(m.o.Notify.Ready())
			m.o.Ready()
		}
	}
	for len(m.replacing) > 0 && m.replacing[0].next == nil {
		r := m.replacing[0]
		if r.current != nil {
			m.replace(r)
			continue
		}
		// The next start is of the new program anyway, and may not come to serve for long.
		m.replaced(r, fmt.Errorf("it has ended meanwhile, and is started again: %s", r.why))
	}
}

// start begins a process of a role that has none.
func (m *Master) start(r *role) {
	c, err := m.spawn(r)
	if err != nil {
		m.later(r, err.Error(), false)
		return
	}
	r.current = c
}

// later plans a restart.
func (m *Master) later(r *role, why string, served bool) {
	most := m.o.Params.ThrottleTime
	if served {
		most = min(most, servedDelay)
	}
	r.delay = min(max(2*r.delay, firstDelay), most)
	r.restart = m.o.Clock.Now().Add(r.delay)
	r.restarts++
	r.why = why
	m.o.Log.Error("role", "role", r.Name, "status", "ended", "cause", why, "restart_in", r.delay)
}

// hear takes what a child says, or its end.
func (m *Master) hear(e event) {
	c := e.from
	switch {
	case e.line == "prepared":
		c.prepared = true
		m.prepared(c)
	case strings.HasPrefix(e.line, "alive "):
		c.heard = m.o.Clock.Now()
		c.every, _ = time.ParseDuration(strings.TrimPrefix(e.line, "alive "))
	case strings.HasPrefix(e.line, FailedWord):
		c.failed = strings.TrimPrefix(e.line, FailedWord)
	case e.line == "ready":
		c.ready, c.readyAt = true, m.o.Clock.Now()
		if !c.asked {
			c.by(time.Time{}, "")
		}
		m.o.Log.Info("role", "role", c.role.Name, "status", "serves", "pid", c.process.Pid, "after", c.readyAt.Sub(c.started).Round(time.Millisecond))
		m.nowReady(c)
	case e.line == "":
		_ = c.conn.Close()
		m.ended(c, e)
	}
}

// prepared lets a child open the rest, or makes room for it first.
func (m *Master) prepared(c *child) {
	r := c.role
	if c != r.next || r.Overlap || r.current == nil {
		m.goOn(c)
		return
	}
	c.by(time.Time{}, "") // it waits for another one, who has a deadline
	m.finish(r.current)
}

// goOn has a child open the rest.
func (m *Master) goOn(c *child) {
	m.awaitStart(c)
	c.tell("go")
}

// awaitStart gives a child master.start_timeout until it says more.
func (m *Master) awaitStart(c *child) {
	if limit := m.o.Params.StartTimeout; limit > 0 && !c.asked {
		c.by(m.o.Clock.Now().Add(limit), fmt.Sprintf("it did not get to serve in %v (master.start_timeout)", limit))
	}
}

// finish asks a child to end and to let its sessions go on for a while. One that does not end is ended: others wait for what
// it has.
func (m *Master) finish(c *child) {
	c.tell("finish " + c.role.Linger.String())
	if !c.asked {
		m.awaitEnd(c)
	}
}

// awaitEnd gives a child that was told to finish the time that it may take.
func (m *Master) awaitEnd(c *child) {
	c.asked = true
	limit := c.role.Linger + m.o.StopTimeout
	c.by(m.o.Clock.Now().Add(limit), fmt.Sprintf("it was told to finish, and did not in %v", limit))
}

// nowReady puts a replacement in its place.
func (m *Master) nowReady(c *child) {
	r := c.role
	if c != r.next {
		return
	}
	if r.current != nil {
		r.old = append(r.old, r.current)
		m.finish(r.current)
	}
	r.current, r.next = c, nil
	m.replaced(r, nil)
}

// replace begins to replace the process of a role.
func (m *Master) replace(r *role) {
	c, err := m.spawn(r)
	if err != nil {
		m.replaced(r, err)
		return
	}
	r.next = c
}

// replaced goes on to the next role of an upgrade; with an error the old process stays.
func (m *Master) replaced(r *role, err error) {
	if len(m.replacing) == 0 || m.replacing[0] != r {
		return
	}
	m.replacing = m.replacing[1:]
	if err != nil {
		m.upgradeOf = errors.Join(m.upgradeOf, fmt.Errorf("role %s: %w", r.Name, err))
	}
	if len(m.replacing) > 0 {
		return
	}
	m.note(m.o.Notify.Ready())
	if m.upgradeOf != nil {
		m.o.Log.Error("upgrade", "status", "failed", "generation", m.generation, "cause", m.upgradeOf)
		return
	}
	m.o.Log.Info("upgrade", "status", "ok", "generation", m.generation)
}

// ended is the end of a child.
func (m *Master) ended(c *child, e event) {
	r, why := c.role, reason(e)
	if c.failed != "" {
		why += ": " + c.failed
	}
	if c.blamed != "" {
		why = c.blamed + ": " + why
	}
	if n := slices.Index(r.old, c); n >= 0 {
		r.old = slices.Delete(r.old, n, n+1)
		m.o.Log.Info("role", "role", r.Name, "status", "replaced", "pid", c.process.Pid, "cause", why)
		return
	}
	if c == r.next {
		m.nextEnded(r, why)
		return
	}
	if c != r.current {
		return
	}
	r.current = nil
	if c.asked && r.next != nil { // it has made room
		m.o.Log.Info("role", "role", r.Name, "status", "replaced", "pid", c.process.Pid, "cause", why)
		m.goOn(r.next)
		return
	}
	if r.next != nil { // it takes the place as soon as it can
		if r.next.prepared {
			m.goOn(r.next)
		}
		return
	}
	if m.stopping {
		return
	}
	if !m.serving && r.restarts == 0 && e.state != nil && e.state.ExitCode() == usageExit && c.blamed == "" {
		m.failed = &UsageError{r.Name}
		return
	}
	if c.ready && m.o.Clock.Now().Sub(c.readyAt) >= servedEnough {
		r.delay = 0
	}
	m.later(r, fmt.Sprintf("pid %d: %s", c.process.Pid, why), c.ready)
}

// nextEnded is the end of a replacement that did not get to serve.
func (m *Master) nextEnded(r *role, why string) {
	r.next = nil
	err := fmt.Errorf("the new process ended before it served: %s", why)
	if r.current == nil { // the old one is gone: from now on it is a restart
		m.later(r, err.Error(), false)
	}
	m.replaced(r, err)
}

// reason says how a process ended.
func reason(e event) string {
	if e.state != nil {
		return e.state.String()
	}
	return fmt.Sprint(e.err)
}

// UsageError is that a role refuses the configuration; it has said why itself.
type UsageError struct{ Role string }

func (e *UsageError) Error() string {
	return "the role " + e.Role + " does not start: see its error above"
}

// stop ends all roles.
func (m *Master) stop(why error) error {
	m.stopping = true
	m.o.Log.Info("stopping", "reason", why)
	m.note(m.o.Notify.Stopping())
	for _, c := range m.all() {
		c.asked = true
		c.tell("stop")
	}
	timer := m.o.Clock.NewTimer(m.o.StopTimeout)
	defer timer.Stop()
	var killed error
	for len(m.all()) > 0 {
		select {
		case e := <-m.events:
			if e.line == "" {
				_ = e.from.conn.Close()
				m.forget(e.from)
			}
		case c := <-m.commands:
			c.reply <- errors.New("master is stopping")
		case <-timer.C():
			for _, c := range m.all() {
				killed = errors.Join(killed, fmt.Errorf("role %s: did not stop in time: killed", c.role.Name))
				_ = c.process.Kill()
			}
		}
	}
	m.children.Wait()
	m.o.Log.Info("stopped")
	var usage *UsageError
	if errors.As(why, &usage) {
		return errors.Join(why, killed)
	}
	return killed
}

// all are the children that live.
func (m *Master) all() []*child {
	var all []*child
	for _, r := range slices.Concat(m.roles, m.gone) {
		for _, c := range append([]*child{r.current, r.next}, r.old...) {
			if c != nil {
				all = append(all, c)
			}
		}
	}
	return all
}

func (m *Master) forget(c *child) {
	r := c.role
	switch c {
	case r.current:
		r.current = nil
	case r.next:
		r.next = nil
	default:
		r.old = slices.DeleteFunc(r.old, func(o *child) bool { return o == c })
	}
}
