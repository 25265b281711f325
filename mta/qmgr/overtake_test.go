package qmgr

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/mta/agent"
	"toastmaster/mta/queue"
)

// TestASmallMessageOvertakesAMailingList: of one sender, for one site that takes one delivery after the other, a message
// with one recipient waits for no more than the delivery under way and one more of a list with 5,000 recipients; and
// the list is not held up by a hundred others either.
func TestASmallMessageOvertakesAMailingList(t *testing.T) {
	t.Parallel()
	s := newStalling()
	r := start(t, setup{limits: func(l *Limits) { l.Initial, l.Destination = 1, 1 }, deliver: s.deliver})
	var list []string
	for i := range 5000 {
		list = append(list, fmt.Sprintf("reader%d@slow.test", i))
	}
	r.add("news@example.test", list...)
	<-s.begun
	r.add("s@example.test", "small@slow.test")
	r.awaitPlace(queue.Active, 2)
	for i := 0; ; i++ {
		s.one <- struct{}{}
		if strings.Contains(<-s.begun, "small") {
			break
		}
		if i == 2 {
			t.Fatal("three deliveries of the list came first")
		}
	}
	for range 100 {
		r.add("s@example.test", "more@slow.test")
	}
	r.awaitPlace(queue.Active, 102)
	news := 0
	for range 101 {
		s.one <- struct{}{}
		if strings.Contains(<-s.begun, "news") {
			news++
		}
	}
	if news == 0 {
		t.Error("the list waits for all that came later")
	}
}

// TestDeferTransports: mail for such a transport waits, until somebody asks for it, each time anew.
func TestDeferTransports(t *testing.T) {
	t.Parallel()
	fail := make(chan bool, 10)
	r := start(t, setup{config: func(c *configs.Qmgr) { c.DeferTransports = []string{"test"} }, deliver: func(ctx context.Context, q *agent.Request, report func(agent.Result)) {
		if <-fail {
			all(dsn.New(dsn.MailSystem, "later"), false)(ctx, q, report)
			return
		}
		all(nil, false)(ctx, q, report)
	}})
	r.add("s@example.test", "a@one.test")
	r.log.await(t, 1, "attempt", "dsn=4.3.2", "status=deferred", "deferred transport")
	r.awaitDeferred(1)
	r.clock.Advance(5 * time.Minute)
	r.log.await(t, 2, "attempt", "dsn=4.3.2")
	r.awaitDeferred(1)
	for n, failing := range []bool{true, false} {
		r.clock.Advance(time.Minute)
		fail <- failing
		if _, err := r.queue.Flush(t.Context(), queue.Filter{}); err != nil {
			t.Fatal(err)
		}
		if !failing {
			r.log.await(t, 1, "attempt", "status=sent")
			break
		}
		r.log.await(t, n+1, "attempt", "dsn=4.3.0", "status=deferred")
		r.awaitDeferred(1)
		r.clock.Advance(4000 * time.Second)
		r.log.await(t, 3, "attempt", "dsn=4.3.2") // nobody asked for this one
		r.awaitDeferred(1)
	}
	// What comes behind a flush of everything was not asked for.
	r.clock.Advance(time.Second)
	r.add("s@example.test", "b@two.test")
	r.log.await(t, 1, "attempt", "to=<b@two.test>", "dsn=4.3.2")
	if len(fail) > 0 {
		t.Error("not tried")
	}
}

// TestConfirmDelayCleared: who was told that his message waits is told that it was delivered, unless he wanted no word of delays.
func TestConfirmDelayCleared(t *testing.T) {
	t.Parallel()
	quick := start(t, setup{config: func(q *configs.Qmgr) { q.ConfirmDelayCleared = true }, deliver: all(nil, false)})
	quick.add("s@example.test", "a@one.test")
	quick.log.await(t, 1, "removed")
	if got := quick.reporter.kinds(); got != "" {
		t.Errorf("of mail that never waited: %q", got)
	}
	for _, c := range []struct {
		confirm bool
		notify  envelope.Notify
		want    string
	}{
		{true, 0, "delay:1 success:1"}, {false, 0, "delay:1"}, {true, envelope.NotifyFailure, "delay:1"}, {true, envelope.NotifyNever, "delay:1"},
		{false, envelope.NotifySuccess | envelope.NotifyDelay, "delay:1 success:1"},
	} {
		works := make(chan struct{})
		r := start(t, setup{
			config: func(q *configs.Qmgr) { q.DelayWarningTime, q.ConfirmDelayCleared = time.Minute, c.confirm },
			deliver: func(ctx context.Context, q *agent.Request, report func(agent.Result)) {
				select {
				case <-works:
					for _, i := range q.Recipients {
						report(agent.Result{Recipient: i, Action: agent.Transferred, Text: "ok", Relay: "test", Effect: queue.EffectFinal})
					}
				default:
					all(dsn.New(dsn.MailSystem, "later"), false)(ctx, q, report)
				}
			},
		})
		r.addWith("s@example.test", func(e *envelope.Envelope) { e.Recipients[0].Notify = c.notify }, "a@one.test")
		r.awaitAttempts(1)
		r.awaitDeferred(1)
		r.clock.Advance(5 * time.Minute)
		r.awaitAttempts(2)
		r.awaitDeferred(1)
		close(works)
		r.clock.Advance(10 * time.Minute)
		r.log.await(t, 1, "removed")
		want := c.want
		if c.notify&envelope.NotifySuccess != 0 { // the next host tells
			want = "delay:1"
			if c.confirm {
				want = c.want
			}
		}
		if got := r.reporter.kinds(); got != want {
			t.Errorf("%+v: %q, want %q", c, got, want)
		}
		for _, rep := range r.reporter.reports {
			if rep.Kind == agent.Success && (rep.Recipients[0].Action != agent.Relayed || !rep.Recipients[0].Confirm) {
				t.Errorf("%+v: %+v", c, rep.Recipients[0])
			}
		}
		r.stop()
	}
}

// TestAClogIsToldOnce in a while, of a destination for which more than a quarter of the window waits.
func TestAClogIsToldOnce(t *testing.T) {
	t.Parallel()
	s := newStalling()
	r := start(t, setup{config: func(c *configs.Qmgr) { c.ActiveLimit, c.ClogWarnTime = 100, 300*time.Second }, deliver: s.deliver})
	const line = "destination takes up much of the active window"
	for range 25 {
		r.add("s@example.test", "a@slow.test")
	}
	r.awaitPlace(queue.Active, 25)
	if got := r.log.with(line); len(got) > 0 {
		t.Errorf("%q", got)
	}
	for range 10 {
		r.add("s@example.test", "a@slow.test")
	}
	r.awaitPlace(queue.Active, 35)
	r.log.await(t, 1, line, "destination=slow.test", "active_limit=100")
	r.clock.Advance(300 * time.Second)
	r.add("s@example.test", "a@slow.test")
	r.log.await(t, 2, line)
	r.clock.Advance(-time.Hour) // nothing is told less often for it
	r.add("s@example.test", "a@slow.test")
	r.log.await(t, 3, line)
	if got := r.log.with(line); len(got) != 3 {
		t.Errorf("%q", got)
	}
}
