package service

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// State is where a service stands in its life.
type State string

// The states.
const (
	Waiting  State = "waiting" // for a stage before its own
	Starting State = "starting"
	Running  State = "running"
	Stopping State = "stopping"
	Stopped  State = "stopped"
	Failed   State = "failed"
)

// Status is what the admin API shows of a service.
type Status struct {
	Name      string
	State     State
	Listeners []string
	Sessions  int
	// Uptime is the time since Run was called, zero before.
	Uptime time.Duration
	// Err is why it failed.
	Err error
}

// Status reports every service, in the order of the stages.
func (g *Group) Status() []Status {
	g.mu.Lock()
	members := g.members
	g.mu.Unlock()
	out := make([]Status, 0, len(members))
	for _, m := range members {
		out = append(out, m.status(g.Clock.Now()))
	}
	return out
}

func (m *member) status(now time.Time) Status {
	m.mu.Lock()
	s := Status{Name: m.service.Name(), State: m.state, Err: m.err}
	if !m.since.IsZero() {
		s.Uptime = now.Sub(m.since)
	}
	m.mu.Unlock()
	if a, ok := m.service.(interface{ Addrs() []string }); ok {
		s.Listeners = a.Addrs()
	}
	if n, ok := m.service.(interface{ Sessions() int }); ok {
		s.Sessions = n.Sessions()
	}
	return s
}

// enter changes the state; what has ended does not change any more.
func (m *member) enter(s State, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state == Stopped || m.state == Failed {
		return
	}
	m.state, m.err = s, err
}

// waitReady returns nil when the service is ready or ctx has ended, and the
// failure of whichever service fails meanwhile.
func (m *member) waitReady(ctx context.Context, failed <-chan *member) error {
	if r, ok := m.service.(interface{ Ready() <-chan struct{} }); ok {
		select {
		case <-r.Ready():
		case <-ctx.Done():
			return nil
		case f := <-failed:
			return f.failure()
		}
	}
	m.enter(Running, nil)
	return nil
}

var errReturned = errors.New("returned without being told to")

// failure is the error of a service that returned by itself.
func (m *member) failure() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reported = true
	return fmt.Errorf("service %s: %w", m.service.Name(), m.err)
}

// stopped is the result of a stop: nil, the error of Run, or that it did not
// return. What failure has reported is not reported again.
func (m *member) stopped() error {
	select {
	case <-m.done:
	default:
		return fmt.Errorf("service %s: did not stop in time", m.service.Name())
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err == nil || m.reported {
		return nil
	}
	return fmt.Errorf("service %s: %w", m.service.Name(), m.err)
}
