package service

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"toastmaster/internal/clock"
	"toastmaster/internal/msglog"
)

// Group runs several services as one: what `toastmaster serve` runs. It is a
// Service itself, so a role can be a Group in a Group.
//
// It starts stage after stage, each when all services of the one before are
// ready. It stops when ctx ends or when any service returns: the last stage
// first, a whole stage at once, so that connections drain in parallel and what
// they need (the queue, the store) is still there.
type Group struct {
	GroupName string
	// Stages are in order of dependency: a service may use all of the stages
	// before its own.
	Stages [][]Service
	// StopTimeout bounds the wait for one stage to stop. It should be longer
	// than the drain time of its servers. Zero waits without a limit.
	StopTimeout time.Duration
	// Stopping is called once, before the first service is stopped, with why:
	// the failure of a service, or the cause of the end of ctx. It may be nil.
	Stopping func(why error)
	Log      *msglog.Log
	Clock    clock.Clock

	mu      sync.Mutex
	members []*member
	ready   chan struct{}
}

// member is a service in its life.
type member struct {
	service Service
	cancel  context.CancelFunc
	done    chan struct{} // closed when Run has returned

	mu       sync.Mutex
	state    State
	since    time.Time // of Run
	err      error
	reported bool // failure was called
}

// Name is GroupName.
func (g *Group) Name() string { return g.GroupName }

// Ready is closed when every service is ready.
func (g *Group) Ready() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.readyLocked()
}

func (g *Group) readyLocked() chan struct{} {
	if g.ready == nil {
		g.ready = make(chan struct{})
	}
	return g.ready
}

// Run starts everything, waits for the end of ctx or the first service that
// returns, and stops everything. It returns nil only when ctx ended it and all
// services stopped in order and in time. It can be called once.
func (g *Group) Run(ctx context.Context) error {
	stages := g.enlist()
	failed := make(chan *member, g.size())
	reached, err := g.start(ctx, stages, failed)
	if err == nil && ctx.Err() == nil {
		g.announce()
		select {
		case <-ctx.Done():
		case m := <-failed:
			err = m.failure()
		}
	}
	if g.Stopping != nil {
		why := err
		if why == nil {
			why = context.Cause(ctx)
		}
		g.Stopping(why)
	}
	for i := reached - 1; i >= 0; i-- {
		err = errors.Join(err, g.stop(stages[i]))
	}
	return errors.Join(err, closeUnstarted(stages[reached:]))
}

func (g *Group) announce() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.readyLocked())
}

func (g *Group) size() int {
	n := 0
	for _, s := range g.Stages {
		n += len(s)
	}
	return n
}

// enlist makes the members, in the state of not being started.
func (g *Group) enlist() [][]*member {
	stages := make([][]*member, len(g.Stages))
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, stage := range g.Stages {
		for _, s := range stage {
			m := &member{service: s, state: Waiting, done: make(chan struct{})}
			stages[i] = append(stages[i], m)
			g.members = append(g.members, m)
		}
	}
	return stages
}

// start starts stage after stage; it returns how many were started, the last
// of them perhaps not ready. err is nil when ctx ended it.
func (g *Group) start(ctx context.Context, stages [][]*member, failed chan *member) (int, error) {
	for i, stage := range stages {
		if ctx.Err() != nil {
			return i, nil
		}
		for _, m := range stage {
			g.launch(ctx, m, failed)
		}
		for _, m := range stage {
			if err := m.waitReady(ctx, failed); err != nil {
				return i + 1, err
			}
		}
	}
	return len(stages), nil
}

// launch runs one service in its goroutine. Its context does not end with
// ctx, because the order of the stop is ours.
func (g *Group) launch(ctx context.Context, m *member, failed chan<- *member) {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	m.cancel = cancel
	m.enter(Starting, nil)
	m.mu.Lock()
	m.since = g.Clock.Now()
	m.mu.Unlock()
	go func() {
		defer close(m.done)
		// The group stops after a panic: whatever the service held is in no
		// state to go on with.
		err := Fenced(g.Log, func() error { return m.service.Run(own) }, "service", m.service.Name())
		unasked := own.Err() == nil
		if unasked && err == nil {
			err = errReturned
		}
		if err == nil {
			m.enter(Stopped, nil)
			return
		}
		m.enter(Failed, err)
		if unasked {
			failed <- m
		}
	}()
}

// stop cancels one stage and waits for it.
func (g *Group) stop(stage []*member) error {
	for _, m := range stage {
		m.enter(Stopping, nil)
		m.cancel()
	}
	var deadline <-chan time.Time
	if g.StopTimeout > 0 {
		timer := g.Clock.NewTimer(g.StopTimeout)
		defer timer.Stop()
		deadline = timer.C()
	}
	var errs []error
	late := false
	for _, m := range stage {
		if !late {
			select {
			case <-m.done:
			case <-deadline:
				late = true
			}
		}
		errs = append(errs, m.stopped())
	}
	return errors.Join(errs...)
}

// closeUnstarted gives back the listeners of services that never ran.
func closeUnstarted(stages [][]*member) error {
	var errs []error
	for _, stage := range stages {
		for _, m := range stage {
			if c, ok := m.service.(io.Closer); ok {
				errs = append(errs, c.Close())
			}
		}
	}
	return errors.Join(errs...)
}
