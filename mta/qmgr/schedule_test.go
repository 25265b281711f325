package qmgr

import (
	"fmt"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/dsn"
)

// TestForeverDeferred: a host that says 4xx to each attempt is asked after 5 minutes, then when the message has waited as long
// again, from 4,000 seconds on each 4,000 seconds, until the message is five days old; then it goes back, once. Its sender is told
// of the delay once before, at the first attempt after delay_warning_time.
func TestForeverDeferred(t *testing.T) {
	t.Parallel()
	c := configs.Default().Qmgr
	c.DelayWarningTime = 4 * time.Hour
	r := start(t, setup{deliver: all(dsn.New(dsn.MailSystem, "come again later"), false), config: func(q *configs.Qmgr) { q.DelayWarningTime = c.DelayWarningTime }})
	r.add("s@example.test", "a@one.test")
	age, attempts := time.Duration(0), 0
	for {
		r.awaitAttempts(attempts + 1)
		attempts++
		info := r.awaitDeferred(1)[0]
		want := min(max(age, c.MinimalBackoffTime), c.MaximalBackoffTime, c.QueueLifetime-age)
		if got := info.Next.Sub(epoch.Add(age)); got != want {
			t.Fatalf("at an age of %v it waits %v, want %v", age, got, want)
		}
		told := ""
		if age >= c.DelayWarningTime {
			told = "delay:1"
		}
		if k := r.reporter.kinds(); k != told {
			t.Fatalf("at an age of %v: %q", age, k)
		}
		age += want
		r.clock.Advance(want)
		if age >= c.QueueLifetime {
			break
		}
	}
	r.log.await(t, 1, "removed", "reason=expired")
	if k := r.reporter.kinds(); k != "delay:1 failure:1" || attempts < 100 || attempts > 120 {
		t.Errorf("%q after %d attempts", k, attempts)
	}
}

// TestAJumpOfTheClock by days, forward and back again: each message is tried once for it, none goes back, and from then on each is tried
// when it would have been.
func TestAJumpOfTheClock(t *testing.T) {
	t.Parallel()
	c := configs.Default().Qmgr
	for _, jump := range []time.Duration{3 * 24 * time.Hour, 10 * 24 * time.Hour, 400 * 24 * time.Hour, -3 * 24 * time.Hour, -400 * 24 * time.Hour} {
		t.Run(fmt.Sprint(jump), func(t *testing.T) {
			t.Parallel()
			r := start(t, setup{deliver: all(dsn.New(dsn.MailSystem, "come again later"), false)})
			const n = 20
			for i := range n {
				r.add("s@example.test", fmt.Sprintf("a%d@site%d.test", i, i))
			}
			r.log.await(t, n, "attempt", "status=deferred")
			r.awaitPlace("deferred", n)
			tried := func(most int) {
				t.Helper()
				// Whatever is due now is tried now; another half hour shows that it is not tried again and again.
				for range 6 {
					r.clock.Advance(5 * time.Minute)
					time.Sleep(20 * time.Millisecond)
				}
				for _, info := range r.awaitDeferred(n) {
					if left := info.Next.Sub(r.clock.Now()); info.Attempts > most || left > c.MaximalBackoffTime+time.Second {
						t.Errorf("%d attempts, at most %d; the next one in %v", info.Attempts, most, left)
					}
				}
				if k := r.reporter.kinds(); k != "" {
					t.Errorf("reports %q", k)
				}
			}
			r.clock.Set(jump)
			tried(1 + 4)
			r.clock.Set(-jump)
			tried(1 + 4 + 4)
			// And everybody is tried again, in the time that a message waits at most.
			r.log.await(t, n, "attempt")
			before := len(r.log.with("attempt"))
			r.advanceUntil(c.MaximalBackoffTime/4, before+n, "attempt", "status=deferred")
		})
	}
}
