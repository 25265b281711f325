package anvil

import (
	"math"
	"math/rand/v2"
	"sync"
	"time"
)

// table holds the keys of one kind. Entries lie in a slice, so that one can be
// chosen at random; the map finds them. It is no ttl.Map, which keeps what was used lately: a
// flood uses its keys lately.
type table struct {
	unit time.Duration
	most int

	mu      sync.Mutex
	index   map[Key]int
	entries []entry
	// hand goes around the entries and drops silent ones.
	hand int
}

// entry is one key: events in the unit numbered window and in the one before.
type entry struct {
	key             Key
	window          int64
	count, previous int
	open            int
}

// sample is how many keys are compared when one must go. With 16, a key that is
// heavier than half of the others goes once in some 10^8 new ones (of 50,000 keys).
const sample = 16

// swept is how many keys are looked at for each new one: every second of them may
// be one that has just moved under the hand, and silent keys must go faster than
// new ones come.
const swept = 4

func (t *table) add(who Key, n int, now time.Duration) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.touch(who, now)
	e.count = plus(e.count, n)
	return t.weigh(e, now)
}

// take also says what the rate is, or would be.
func (t *table) take(who Key, n, most int, now time.Duration) (rate int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	have := 0
	if i, ok := t.index[who]; ok {
		have = t.weigh(&t.entries[i], now)
	}
	if rate = plus(have, n); most > 0 && rate > most {
		return rate, false
	}
	e := t.touch(who, now)
	e.count = plus(e.count, n)
	return rate, true
}

func (t *table) rate(who Key, now time.Duration) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i, ok := t.index[who]; ok {
		return t.weigh(&t.entries[i], now)
	}
	return 0
}

func (t *table) remove(who Key, n int, now time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.index[who]; !ok {
		return
	}
	e := t.touch(who, now)
	rest := max(n-e.count, 0)
	e.count = max(e.count-n, 0)
	e.previous = max(e.previous-rest, 0)
}

func (t *table) forget(who Key) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, ok := t.index[who]
	if !ok {
		return
	}
	if e := &t.entries[i]; e.open > 0 {
		e.count, e.previous = 0, 0
		return
	}
	t.drop(i)
}

// enter also says how many are open, or would be.
func (t *table) enter(who Key, most int, now time.Duration) (open int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i, ok := t.index[who]; ok && most > 0 && t.entries[i].open >= most {
		return t.entries[i].open + 1, false
	}
	e := t.touch(who, now)
	e.open++
	return e.open, true
}

func (t *table) leave(who Key) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, ok := t.index[who]
	if !ok {
		return
	}
	e := &t.entries[i]
	e.open = max(e.open-1, 0)
	if e.open == 0 && e.count == 0 && e.previous == 0 {
		t.drop(i)
	}
}

func (t *table) opened(who Key) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i, ok := t.index[who]; ok {
		return t.entries[i].open
	}
	return 0
}

func (t *table) size() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.entries)
}

// touch is the entry of a key in the present unit, made when there is none. It
// is good until the next change of the table.
func (t *table) touch(who Key, now time.Duration) *entry {
	window := int64(now / t.unit)
	if i, ok := t.index[who]; ok {
		e := &t.entries[i]
		switch {
		case window == e.window+1:
			e.previous, e.count = e.count, 0
		case window > e.window:
			e.previous, e.count = 0, 0
		}
		e.window = window
		return e
	}
	t.sweep(now)
	if len(t.entries) >= t.most {
		t.makeRoom(now)
	}
	t.index[who] = len(t.entries)
	t.entries = append(t.entries, entry{key: who, window: window})
	return &t.entries[len(t.entries)-1]
}

// weigh is the rate of an entry.
func (t *table) weigh(e *entry, now time.Duration) int {
	window := int64(now / t.unit)
	count, previous := e.count, e.previous
	switch {
	case window == e.window+1:
		count, previous = 0, e.count
	case window > e.window:
		return 0
	}
	// In milliseconds, so that the product of two large numbers fits.
	unit := max(t.unit.Milliseconds(), 1)
	left := unit - (now % t.unit).Milliseconds()
	return plus(count, int((int64(previous)*left+unit-1)/unit))
}

// sweep drops silent keys under the hand.
func (t *table) sweep(now time.Duration) {
	for range min(swept, len(t.entries)) {
		if t.hand >= len(t.entries) {
			t.hand = 0
		}
		if e := &t.entries[t.hand]; e.open == 0 && t.weigh(e, now) == 0 {
			t.drop(t.hand) // another lies there now
			if len(t.entries) == 0 {
				return
			}
			continue
		}
		t.hand++
	}
}

// makeRoom drops the lightest of a few keys; see the package. When all of them
// have something open the table grows.
func (t *table) makeRoom(now time.Duration) {
	lightest, weight := -1, 0
	for range sample {
		i := rand.IntN(len(t.entries))
		e := &t.entries[i]
		if e.open > 0 {
			continue
		}
		if w := t.weigh(e, now); lightest < 0 || w < weight {
			lightest, weight = i, w
		}
	}
	if lightest >= 0 {
		t.drop(lightest)
	}
}

// drop removes an entry; the last one takes its place.
func (t *table) drop(i int) {
	last := len(t.entries) - 1
	delete(t.index, t.entries[i].key)
	if i != last {
		t.entries[i] = t.entries[last]
		t.index[t.entries[i].key] = i
	}
	t.entries[last] = entry{}
	t.entries = t.entries[:last]
}

// plus adds without running over.
func plus(a, b int) int {
	if a > math.MaxInt32-b {
		return math.MaxInt32
	}
	return max(a+b, 0)
}
