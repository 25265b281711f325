package qmgr

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/msglog"
	"toastmaster/internal/vfs"
	"toastmaster/mta/agent"
	"toastmaster/mta/queue"
)

func TestOneLinePerRecipientAndRemoved(t *testing.T) {
	t.Parallel()
	r := start(t, setup{deliver: all(nil, false)})
	env := r.add("s@example.test", "a@one.test", "b@one.test", "c@two.test")
	r.log.await(t, 1, "removed", "id="+string(env.ID), "reason=done")
	if n := len(r.log.with("attempt", "status=sent", "id="+string(env.ID), "from=<s@example.test>", "relay=test", "delays=0/0/0/0", "dsn=2.0.0")); n != 3 {
		t.Errorf("%d lines", n)
	}
	if k := r.reporter.kinds(); k != "" {
		t.Errorf("reports %s", k)
	}
}

func TestGroups(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var jobs []string
	r := start(t, setup{
		limits: func(l *Limits) { l.Recipients = 2 },
		deliver: func(ctx context.Context, q *agent.Request, report func(agent.Result)) {
			mu.Lock()
			jobs = append(jobs, q.Nexthop+":"+strconv.Itoa(len(q.Recipients)))
			mu.Unlock()
			all(nil, false)(ctx, q, report)
		},
	})
	r.add("s@example.test", "a@one.test", "b@two.test", "c@one.test", "d@one.test", "e@three.test", "f@four.test", "g@five.test", "h@six.test", "i@two.test", "j@one.test", "k@six.test")
	r.log.await(t, 1, "removed")
	slices.Sort(jobs)
	if got := strings.Join(jobs, " "); got != "five.test:1 four.test:1 one.test:2 one.test:2 six.test:2 three.test:1 two.test:2" {
		t.Error(got)
	}
}

func TestBackoffDoublesUpToItsLimit(t *testing.T) {
	t.Parallel()
	r := start(t, setup{deliver: all(dsn.New(dsn.MailSystem, "later"), false)})
	r.add("s@example.test", "a@one.test")
	// The age when tried, and the wait until the next try.
	for _, wait := range []time.Duration{300, 300, 600, 1200, 2400, 4000, 4000} {
		list := r.awaitDeferred(1)
		if got := list[0].Next.Sub(r.clock.Now()); got != wait*time.Second {
			t.Fatalf("age %v: next try in %v, want %v", r.clock.Now().Sub(epoch), got, wait*time.Second)
		}
		n := len(r.log.with("attempt"))
		r.clock.Advance(wait * time.Second)
		r.log.await(t, n+1, "attempt", "status=deferred", "dsn=4.3.0", "text=later")
		r.awaitAttempts(n + 1)
	}
}

// awaitAttempts waits until the only message has been tried n times.
func (r *rig) awaitAttempts(n int) {
	r.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for r.awaitDeferred(1)[0].Attempts < n {
		if time.Now().After(deadline) {
			r.t.Fatalf("not tried %d times", n)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestExpiryGoesBackWithTheLastReason(t *testing.T) {
	t.Parallel()
	r := start(t, setup{
		config:  func(c *configs.Qmgr) { c.QueueLifetime = 10 * time.Minute },
		deliver: all(&dsn.Error{Status: dsn.NoAnswer, Text: "nobody there", RemoteReply: "4xx"}, false),
	})
	r.add("s@example.test", "a@one.test", "b@one.test")
	for n := 1; n <= 2; n++ {
		r.log.await(t, 2*n, "attempt", "status=deferred")
		r.awaitAttempts(n)
		r.clock.Advance(5 * time.Minute)
	}
	r.log.await(t, 1, "removed", "reason=expired")
	if n := len(r.log.with("attempt", "status=expired", "dsn=4.4.7", "nobody there")); n != 2 {
		t.Errorf("%d lines", n)
	}
	if k := r.reporter.kinds(); k != "failure:2" {
		t.Fatalf("reports %s", k)
	}
	if e := r.reporter.reports[0].Recipients[0].Err; e.Status != dsn.Expired || e.RemoteReply != "4xx" {
		t.Errorf("%+v", e)
	}
}

func TestBounceLifetimeIsForTheNullSender(t *testing.T) {
	t.Parallel()
	r := start(t, setup{
		config:  func(c *configs.Qmgr) { c.BounceQueueLifetime = 0 },
		deliver: all(dsn.New(dsn.MailSystem, "later"), false),
	})
	r.add("", "a@one.test")
	r.log.await(t, 1, "removed", "reason=expired")
}

func TestPermanentFailuresMakeOneReport(t *testing.T) {
	t.Parallel()
	r := start(t, setup{deliver: all(dsn.New(dsn.BadDestMailbox, "no"), false)})
	env := r.add("s@example.test", "a@one.test", "b@two.test", "x@refused.test", "y@refused.test")
	r.log.await(t, 1, "removed")
	if n := len(r.log.with("attempt", "status=bounced", "dsn=5.1.1")); n != 4 {
		t.Errorf("%d lines", n)
	}
	if k := r.reporter.kinds(); k != "failure:4" {
		t.Fatalf("reports %s", k)
	}
	rep := r.reporter.reports[0]
	if rep.Envelope.ID != env.ID || rep.Content == nil {
		t.Errorf("%+v", rep)
	}
}

func TestAFailedReportKeepsTheRecipients(t *testing.T) {
	t.Parallel()
	r := start(t, setup{deliver: all(dsn.New(dsn.BadDestMailbox, "no"), false)})
	r.reporter.setFail(errors.New("disk full"))
	r.add("s@example.test", "a@one.test")
	r.awaitDeferred(1)
	if len(r.log.with("removed")) != 0 {
		t.Fatal("removed without a report")
	}
	r.reporter.setFail(nil)
	r.clock.Advance(300 * time.Second)
	r.log.await(t, 1, "removed")
	if k := r.reporter.kinds(); k != "failure:1" {
		t.Errorf("reports %s", k)
	}
}

func TestTroubleWithRoutesWaits(t *testing.T) {
	t.Parallel()
	r := start(t, setup{deliver: all(nil, false)})
	r.add("s@example.test", "a@down.test", "b@one.test", "c@odd.test")
	r.awaitDeferred(1)
	r.log.await(t, 1, "attempt", "to=<a@down.test>", "status=deferred", "dsn=4.3.0")
	r.log.await(t, 1, "attempt", "to=<b@one.test>", "status=sent")
	r.log.await(t, 1, "attempt", "to=<c@odd.test>", "status=deferred", "dsn=4.3.5")
	if list := r.awaitDeferred(1); len(list[0].Recipients) != 2 {
		t.Errorf("%+v", list[0].Recipients)
	}
}

func TestAgentsThatMisbehave(t *testing.T) {
	t.Parallel()
	r := start(t, setup{deliver: func(_ context.Context, q *agent.Request, report func(agent.Result)) {
		switch q.Nexthop {
		case "silent.test":
			report(sent(q.Recipients[0]))
		case "panics.test":
			report(sent(q.Recipients[0]))
			panic("oops")
		case "twice.test":
			report(sent(q.Recipients[0]))
			report(agent.Result{Recipient: q.Recipients[0], Err: dsn.New(dsn.BadDestMailbox, "no")})
			report(sent(q.Recipients[1]))
			report(sent(77))
		}
	}})
	for _, domain := range []string{"silent.test", "panics.test", "twice.test"} {
		r.add("s@example.test", "a@"+domain, "b@"+domain)
	}
	r.awaitDeferred(2)
	r.log.await(t, 1, "removed")
	for _, domain := range []string{"silent.test", "panics.test"} {
		r.log.await(t, 1, "attempt", "to=<a@"+domain+">", "status=sent")
		r.log.await(t, 1, "attempt", "to=<b@"+domain+">", "status=deferred", "dsn=4.3.0")
	}
	r.log.await(t, 1, "panic", "cause=oops")
	r.log.await(t, 2, "agent", "twice, or one that is not its own")
	if n := len(r.log.with("attempt", "@twice.test>")); n != 2 {
		t.Errorf("%d lines", n)
	}
	if k := r.reporter.kinds(); k != "" {
		t.Errorf("reports %s", k)
	}
}

func TestSuccessReportsAreForThoseWhoAsked(t *testing.T) {
	t.Parallel()
	r := start(t, setup{deliver: func(_ context.Context, q *agent.Request, report func(agent.Result)) {
		for _, i := range q.Recipients {
			res := sent(i)
			switch i {
			case 1:
				res.Action = agent.Relayed
			case 2:
				res.Action = agent.Transferred
			}
			report(res)
		}
	}})
	r.addWith("s@example.test", func(e *envelope.Envelope) {
		for i := range 3 {
			e.Recipients[i].Notify = envelope.NotifySuccess
		}
	}, "a@one.test", "b@one.test", "c@one.test", "d@one.test")
	r.log.await(t, 1, "removed")
	if k := r.reporter.kinds(); k != "success:2" {
		t.Fatalf("reports %s", k)
	}
	if about := r.reporter.reports[0].Recipients; about[0].Action == agent.Relayed || about[1].Action != agent.Relayed {
		t.Errorf("%+v", about)
	}
}

// TestAnExpandedRecipientIsReportedAndNotTried: its report is all there is of
// it, so a report that cannot be queued is made again.
func TestAnExpandedRecipientIsReportedAndNotTried(t *testing.T) {
	t.Parallel()
	r := start(t, setup{deliver: func(_ context.Context, q *agent.Request, report func(agent.Result)) {
		for _, i := range q.Recipients {
			if i != 0 {
				t.Errorf("recipient %d reached an agent", i)
			}
			report(sent(i))
		}
	}})
	r.reporter.setFail(errors.New("disk full"))
	r.addWith("s@example.test", func(e *envelope.Envelope) {
		e.Recipients[0].Notify = envelope.NotifyNever
		e.Recipients[1].Notify, e.Recipients[1].Expanded = envelope.NotifySuccess, true
	}, "a@one.test", "list@one.test")
	r.awaitDeferred(1)
	r.reporter.setFail(nil)
	r.clock.Advance(300 * time.Second)
	r.log.await(t, 1, "removed")
	if k := r.reporter.kinds(); k != "success:1" {
		t.Fatalf("reports %s", k)
	}
	if about := r.reporter.reports[0].Recipients[0]; about.Recipient != 1 || about.Action != agent.Expanded || about.Err != nil {
		t.Errorf("%+v", about)
	}
	if n := len(r.log.with("attempt", "status=expanded", "list@one.test", "dsn=2.0.0")); n != 2 {
		t.Errorf("%d lines about the expansion, want one per attempt", n)
	}
	if n := len(r.log.with("attempt", "status=sent")); n != 1 {
		t.Errorf("%d deliveries", n)
	}
}

func TestTheDelayIsToldOnce(t *testing.T) {
	t.Parallel()
	r := start(t, setup{
		config:  func(c *configs.Qmgr) { c.DelayWarningTime = 10 * time.Minute },
		deliver: all(dsn.New(dsn.MailSystem, "later"), false),
	})
	r.add("s@example.test", "a@one.test")
	for n, wait := range []time.Duration{300, 300, 600, 1200} {
		r.awaitAttempts(n + 1)
		want := ""
		if n >= 2 { // tried at an age of 0, 5 and 10 minutes
			want = "delay:1"
		}
		if k := r.reporter.kinds(); k != want {
			t.Errorf("after %d attempts: %q", n+1, k)
		}
		r.clock.Advance(wait * time.Second)
	}
	if until := r.reporter.reports[0].RetryUntil; !until.Equal(epoch.Add(5 * 24 * time.Hour)) {
		t.Errorf("until %v", until)
	}
}

func TestShutdownKeepsWhatWasNotBegun(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{}, 10)
	r := start(t, setup{
		limits: func(l *Limits) { l.Concurrency = 1 },
		deliver: func(ctx context.Context, q *agent.Request, report func(agent.Result)) {
			begun <- struct{}{}
			<-ctx.Done()
		},
	})
	for range 3 {
		r.add("s@example.test", "a@one.test")
	}
	<-begun
	r.stop()
	if n := len(begun); n != 0 {
		t.Errorf("%d more were begun", n)
	}
	if got := r.log.with("attempt"); len(got) != 0 {
		t.Errorf("%q", got)
	}
}

// TestAStopWaitsForTheEndsTogether: reports that do not get through keep a stop
// for end_timeout, however many there are, and the messages stay.
func TestAStopWaitsForTheEndsTogether(t *testing.T) {
	t.Parallel()
	const messages, closers = 10, 2
	stuck := make(chan struct{}, messages)
	r := start(t, setup{
		config:  func(c *configs.Qmgr) { c.EndConcurrency, c.EndTimeout = closers, time.Hour },
		deliver: all(dsn.New(dsn.BadDestMailbox, "no"), false),
		stuck:   stuck,
	})
	for range messages {
		r.add("s@example.test", "a@one.test")
	}
	r.log.await(t, messages, "attempt", "status=bounced")
	for range closers {
		<-stuck
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		r.stop()
	}()
	deadline := time.After(time.Minute)
	for waiting := true; waiting; {
		select {
		case <-stopped:
			waiting = false
		case <-time.After(time.Millisecond): // until Run has its timer
			r.clock.Advance(time.Hour)
		case <-deadline:
			t.Fatal("the stop waits for more than end_timeout")
		}
	}
	if n := len(stuck); n != 0 {
		t.Errorf("%d more reports were begun", n)
	}
	q, err := queue.Open(t.Context(), queue.Options{
		FS: vfs.OS{}, Dir: r.dir, Config: configs.Default().Queue, Clock: r.clock, Log: msglog.Discard(),
	})
	if err != nil {
		t.Fatal(err)
	}
	list, err := q.List(t.Context(), queue.Filter{}, "", 100)
	if err := errors.Join(err, q.Close()); err != nil || len(list) != messages {
		t.Errorf("%d messages are left, %v", len(list), err)
	}
}

func TestOriginalRecipientAndDelays(t *testing.T) {
	t.Parallel()
	var r *rig
	r = start(t, setup{deliver: func(_ context.Context, q *agent.Request, report func(agent.Result)) {
		r.clock.Advance(2 * time.Second)
		connected := r.clock.Now()
		r.clock.Advance(3 * time.Second)
		res := sent(0)
		res.Connected = connected
		report(res)
	}})
	r.addWith("s@example.test", func(e *envelope.Envelope) {
		e.Arrived = e.Arrived.Add(-time.Minute)
		e.Recipients[0].Original.Local = "alias"
	}, "a@one.test")
	r.log.await(t, 1, "attempt", "to=<a@one.test>", "orig_to=alias@one.test", "delay=65", "delays=60/0/2.00/3.00")
}

func TestTheActiveWindowIsBounded(t *testing.T) {
	t.Parallel()
	release, arrived := make(chan struct{}), make(chan struct{}, 100)
	r := start(t, setup{
		config: func(c *configs.Qmgr) { c.ActiveLimit = 3 },
		deliver: func(ctx context.Context, q *agent.Request, report func(agent.Result)) {
			arrived <- struct{}{}
			<-release
			all(nil, false)(ctx, q, report)
		},
	})
	for range 10 {
		r.add("s@example.test", "a@one.test")
	}
	for range 3 {
		<-arrived
	}
	list, err := r.queue.List(t.Context(), queue.Filter{Place: queue.Incoming}, "", 100)
	if err != nil || len(list) != 7 || len(arrived) != 0 {
		t.Errorf("%d incoming, %d more in delivery, %v", len(list), len(arrived), err)
	}
	close(release)
	r.log.await(t, 10, "removed")
}
