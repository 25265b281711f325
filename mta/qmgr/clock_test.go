package qmgr

import (
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/envelope"
	"toastmaster/mta/queue"
)

// TestAgeOfAMessageFromTheFuture: a message that arrived while the clock was a year
// ahead is as old as its attempts say, waits as others do and is not tried for a
// year.
func TestAgeOfAMessageFromTheFuture(t *testing.T) {
	t.Parallel()
	c := configs.Default().Qmgr
	m := New(Options{Renewal: Renewal{Params: c}})
	now := time.Unix(1_700_000_000, 0)
	item := &queue.Item{Envelope: &envelope.Envelope{Arrived: now.AddDate(1, 0, 0)}}
	real := time.Duration(0) // how long it has been tried
	for item.Attempts = 0; m.age(item, now) < c.QueueLifetime; item.Attempts++ {
		if age := m.age(item, now); age != real {
			t.Fatalf("after %d attempts it is %v old, not %v", item.Attempts, age, real)
		}
		real += m.backoff(real)
	}
	if real < c.QueueLifetime || real > c.QueueLifetime+c.MaximalBackoffTime {
		t.Errorf("tried for %v", real)
	}
	item.Envelope.Arrived = now.Add(-time.Minute)
	if age := m.age(item, now); age != time.Minute {
		t.Errorf("%v", age)
	}
}
