package qmgr

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/mta/agent"
	"toastmaster/mta/queue"
)

// stalling delivers at once, but for destinations that are slow: there a delivery takes until
// it is let go, and a value is sent on begun.
type stalling struct {
	begun chan string // "recipient"
	one   chan struct{}
}

func newStalling() *stalling {
	return &stalling{begun: make(chan string, 100_000), one: make(chan struct{})}
}

func (s *stalling) deliver(ctx context.Context, r *agent.Request, report func(agent.Result)) {
	if strings.HasPrefix(r.Nexthop, "slow") {
		s.begun <- r.Envelope.Sender.String() + " " + r.Envelope.Recipients[r.Recipients[0]].Address.String()
		select {
		case <-s.one:
		case <-ctx.Done():
			return
		}
	}
	all(nil, false)(ctx, r, report)
}

// TestAnotherTenantsMailLeaves while one has far more messages for a site that stalls than the
// active window takes: whoever sends to another site, and the same tenant, too.
func TestAnotherTenantsMailLeaves(t *testing.T) {
	t.Parallel()
	s := newStalling()
	r := start(t, setup{config: func(c *configs.Qmgr) { c.ActiveLimit = 200 }, deliver: s.deliver})
	for range 1500 {
		r.add("news@big.test", "a@slow.test")
	}
	<-s.begun
	for range 10 {
		r.add("s@small.test", "b@quick.test")
	}
	r.log.await(t, 10, "attempt", "to=<b@quick.test>", "status=sent")
	for range 10 {
		r.add("s@big.test", "c@quick.test")
	}
	r.log.await(t, 10, "attempt", "to=<c@quick.test>", "status=sent")
	for range 10 {
		r.add("s@small.test", "d@slow.test")
	}
	// The site takes one after the other, five at once at first. Each tenant has every second of
	// those that are begun from then on.
	for range 30 {
		s.one <- struct{}{}
	}
	r.log.await(t, 5, "attempt", "to=<d@slow.test>", "status=sent")
}

// TestSlowSitesDoNotTakeAllDeliveries: a tenant with more sites that stall than the transport
// has room for leaves some of it to others.
func TestSlowSitesDoNotTakeAllDeliveries(t *testing.T) {
	t.Parallel()
	s := newStalling()
	r := start(t, setup{
		config:  func(c *configs.Qmgr) { c.ActiveLimit, c.TransportConcurrency = 400, 20 },
		deliver: s.deliver,
	})
	for i := range 300 {
		r.add("news@big.test", fmt.Sprintf("a@slow%d.test", i%100))
	}
	for range 16 {
		<-s.begun
	}
	for range 10 {
		r.add("s@small.test", "b@quick.test")
	}
	r.log.await(t, 10, "attempt", "to=<b@quick.test>", "status=sent")
	if n := len(s.begun); n > 0 {
		t.Errorf("%d deliveries more than four fifths", n)
	}
}

// TestAMailboxDoesNotTakeAllDeliveries: one that is locked keeps a few of them waiting, also
// when its mail comes from many domains.
func TestAMailboxDoesNotTakeAllDeliveries(t *testing.T) {
	t.Parallel()
	s := newStalling()
	r := start(t, setup{
		config: func(c *configs.Qmgr) { c.ActiveLimit = 400 },
		limits: func(l *Limits) { *l = LocalLimits(configs.Default().Qmgr) },
		deliver: func(ctx context.Context, r *agent.Request, report func(agent.Result)) {
			if r.Envelope.Recipients[r.Recipients[0]].Address.Local == "locked" {
				q := *r
				q.Nexthop = "slow"
				r = &q
			}
			s.deliver(ctx, r, report)
		},
	})
	for i := range 200 {
		r.add(fmt.Sprintf("s@d%d.test", i), "locked@here.test")
	}
	for range 4 {
		<-s.begun
	}
	for i := range 100 {
		r.add("s@d1.test", fmt.Sprintf("b%d@here.test", i))
	}
	r.log.await(t, 100, "attempt", "to=<b", "status=sent")
	if n := len(s.begun); n > 0 {
		t.Errorf("%d deliveries more into the mailbox than its limit", n)
	}
}

// TestTheWindowCountsRecipients: no more messages come in than have the recipients that it
// takes, and one that has more than all comes in by itself.
func TestTheWindowCountsRecipients(t *testing.T) {
	t.Parallel()
	s := newStalling()
	r := start(t, setup{
		config: func(c *configs.Qmgr) {
			c.MessageRecipientLimit, c.InitialDestination, c.DestinationLimit = 40, 100, 100
		},
		deliver: s.deliver,
	})
	var many []string
	for i := range 100 {
		many = append(many, fmt.Sprintf("a%d@slow.test", i))
	}
	r.add("s@one.test", many...)
	<-s.begun
	<-s.begun // in two jobs of 50
	r.add("s@two.test", "b@quick.test")
	r.clock.Advance(time.Second)
	if got := r.counts(); got[queue.Active] != 1 || got[queue.Incoming] != 1 {
		t.Errorf("%v", got)
	}
	s.one <- struct{}{}
	s.one <- struct{}{}
	r.log.await(t, 2, "removed")
}

// TestDeferredMailOfATenantDoesNotHoldUpAnother: more of it is due than the window takes, and
// than are known in memory, for a site that stalls; what another has due is tried, and new mail.
func TestDeferredMailOfATenantDoesNotHoldUpAnother(t *testing.T) {
	t.Parallel()
	s := newStalling()
	var mu sync.Mutex
	down := true
	r := start(t, setup{
		config: func(c *configs.Qmgr) { c.ActiveLimit = 50 },
		queue:  func(c *configs.Queue) { c.DueLimit = 100 },
		deliver: func(ctx context.Context, q *agent.Request, report func(agent.Result)) {
			mu.Lock()
			was := down
			mu.Unlock()
			if was {
				all(dsn.New(dsn.MailSystem, "later"), false)(ctx, q, report)
				return
			}
			s.deliver(ctx, q, report)
		},
	})
	for range 300 {
		r.add("news@big.test", "a@slow.test")
	}
	for range 10 {
		r.add("s@small.test", "b@quick.test")
	}
	r.awaitPlace(queue.Deferred, 310)
	mu.Lock()
	down = false
	mu.Unlock()
	// Each move of the clock is a scan, and a look at what was put off.
	r.clock.Advance(301 * time.Second)
	r.advanceUntil(time.Second, 10, "attempt", "to=<b@quick.test>", "status=sent")
	for range 10 {
		r.add("s@other.test", "c@quick.test")
	}
	r.log.await(t, 10, "attempt", "to=<c@quick.test>", "status=sent")
	// Nothing is forgotten of what was put off.
	go func() {
		for range 300 {
			s.one <- struct{}{}
		}
	}()
	r.advanceUntil(10*time.Minute, 320, "removed")
}

// TestRateDelays: with a delay there is one delivery at once to a destination, and the next
// begins when it is over; so the transport's.
func TestRateDelays(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Limits){
		"destination": func(l *Limits) { l.DestinationDelay = 10 * time.Second },
		"transport":   func(l *Limits) { l.TransportDelay = 10 * time.Second },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begun := make(chan time.Time, 100)
			var r *rig
			r = start(t, setup{limits: change, deliver: func(ctx context.Context, q *agent.Request, report func(agent.Result)) {
				begun <- r.clock.Now()
				all(nil, false)(ctx, q, report)
			}})
			const messages = 5
			for range messages {
				r.add("s@example.test", "a@paced.test")
			}
			for i := range messages {
				if got := (<-begun).Sub(epoch); got != time.Duration(i)*10*time.Second {
					t.Errorf("delivery %d began after %v", i, got)
				}
				r.log.await(t, i+1, "removed")
				r.clock.Advance(10 * time.Second)
			}
			r.add("s@example.test", "a@paced.test")
			<-begun
		})
	}
}

// TestRateDelayEndsWithTheManager: what rests is left where it is.
func TestRateDelayEndsWithTheManager(t *testing.T) {
	t.Parallel()
	r := start(t, setup{limits: func(l *Limits) { l.DestinationDelay = time.Hour }, deliver: all(nil, false)})
	for range 3 {
		r.addWith("s@example.test", func(*envelope.Envelope) {}, "a@paced.test")
	}
	r.log.await(t, 1, "removed")
	r.stop()
	if n := len(r.log.with("removed")); n != 1 {
		t.Errorf("%d delivered", n)
	}
}
