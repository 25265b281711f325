package queue

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"toastmaster/internal/spool"
)

// How many messages a round of relieve takes, and how many of them are written at once. They are no parameters: a
// round costs a look at what is in memory, and more writers than the disk has room for change nothing.
const (
	relieveRound = 256
	relievers    = 8
)

// relieve moves messages to files of their own while somebody waits for a seat in the journal: mail that comes in
// faster than its destination takes it is the disk's, and not refused. It takes them from the lane that has
// most in the journal, so one that has few keeps the short way. After a round others have their turn.
func (q *Queue) relieve(ctx context.Context) {
	var moved, full atomic.Bool
	turns := make(chan struct{}, relievers)
	var wg sync.WaitGroup
	for _, m := range q.index.mostInJournal(relieveRound) {
		if full.Load() || ctx.Err() != nil || q.disk.budget.waiting() == 0 {
			break
		}
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			err := q.disk.settle(ctx, m)
			if err == nil {
				err = q.relocate(ctx, m)
			}
			switch {
			case err == nil:
				moved.Store(true)
			case spool.IsFull(err):
				full.Store(true)
			}
		})
	}
	wg.Wait()
	if moved.Load() && !full.Load() && q.disk.budget.waiting() > 0 {
		wakeUp(q.disk.budget.short)
	} // else who comes next asks again
}

// mostInJournal lists messages of the lane that has most in the journal: those that nobody has begun first, and of
// them the newest, which come up last.
func (x *index) mostInJournal(limit int) []*message {
	x.mu.Lock()
	defer x.mu.Unlock()
	type key struct{ tenant, site string }
	count, most, enough := map[key]int{}, key{}, 0
	can := func(m *message) bool {
		return m.at.where == inJournal && !m.at.moving && (m.at.stage == queued || m.at.stage == waiting || m.at.stage == active)
	}
	for _, m := range x.known {
		if can(m) {
			k := key{m.whose.tenant, m.whose.site}
			if count[k]++; count[k] > enough {
				most, enough = k, count[k]
			}
		}
	}
	var list []*message
	for _, m := range x.known {
		if can(m) && m.whose.tenant == most.tenant && m.whose.site == most.site {
			list = append(list, m)
		}
	}
	slices.SortFunc(list, func(a, b *message) int {
		return cmp.Or(cmp.Compare(begun(a), begun(b)), strings.Compare(string(b.id), string(a.id)))
	})
	return list[:min(limit, len(list))]
}

// begun is 1 for an active message.
func begun(m *message) int {
	if m.at.stage == active {
		return 1
	}
	return 0
}
