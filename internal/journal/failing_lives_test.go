package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/testkit/seeds"
)

// TestLivesOnAFailingDisk: processes live one after the other on a disk that fails
// now and then, at whatever it is asked to write, sync, open or remove; each is killed
// or loses power. What was accepted is there until it is done, and what is done does
// not come back. Reads do not fail: a part that cannot be read is damage, and that has
// tests of its own.
func TestLivesOnAFailingDisk(t *testing.T) {
	t.Parallel()
	seeds.Run(t, 40, func(t *testing.T, r *rand.Rand) {
		synctest.Test(t, func(t *testing.T) {
			w := &world{t: t, rng: r, disk: faultfs.NewDisk(), all: map[int]*entrant{}}
			for range 12 {
				w.live()
				if t.Failed() {
					t.Logf("%s", strings.Join(w.log, "\n"))
					return
				}
			}
		})
	})
}

// entrant is what the world outside knows of a record.
type entrant struct {
	text []byte
	// accepted: its append returned nil, or a replay showed it, which was acted upon.
	accepted bool
	// asked: a mark was appended that it is done. done: the mark was flushed, or
	// a replay showed it.
	asked, done bool
}

type world struct {
	t    *testing.T
	rng  *rand.Rand
	disk *faultfs.Disk
	all  map[int]*entrant
	next int
	mu   sync.Mutex
	log  []string
}

func (w *world) say(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, fmt.Sprintf(format, args...))
}

// seen is what a replay shows of a record.
type seen struct {
	pos    []Position
	marked bool
}

// live is one process, from its start to its end without a warning.
func (w *world) live() {
	var mu sync.Mutex
	luck := rand.New(rand.NewPCG(w.rng.Uint64(), 0))
	rate := []int{0, 60, 15, 5}[w.rng.IntN(4)]
	fsys := faultfs.Wrap(w.disk)
	fsys.Hook(func(op faultfs.Op, name string) error {
		mu.Lock()
		defer mu.Unlock()
		if op == faultfs.Read || rate == 0 || luck.IntN(rate) > 0 {
			return nil
		}
		w.say("  fault: %v %s", op, name)
		return faultfs.EIO
	})
	o := options(fsys)
	o.MaxSegments = 4 + w.rng.IntN(12)
	replay := map[int]*seen{}
	o.Replay = func(pos Position, payload []byte) (bool, error) {
		var kind byte
		var id int
		if _, err := fmt.Sscanf(string(payload[:min(12, len(payload))]), "%c%d.", &kind, &id); err != nil {
			return false, err
		}
		s := replay[id]
		if s == nil {
			s = &seen{}
			replay[id] = s
		}
		if kind == 'd' {
			s.marked = true
			return false, nil
		}
		s.pos = append(s.pos, pos)
		return true, nil
	}
	j, err := Open(context.Background(), o)
	w.say("open: %v", err)
	if err != nil {
		w.end()
		return
	}
	live := w.compare(j, replay)
	w.segments(j)
	j.Recovered()
	for range w.rng.IntN(60) {
		w.step(j, live)
	}
	w.end()
	// The rest is of a world that is no more.
	mu.Lock()
	rate = 0
	mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = j.Close(ctx)
}

// end ends the process: what comes after it finds what a kill or a power cut leaves.
func (w *world) end() {
	switch w.rng.IntN(3) {
	case 0:
		w.disk = w.disk.Crash()
		w.say("power lost")
	case 1:
		w.disk = w.disk.CrashRandom(w.rng)
		w.say("power lost, some of what was not synced is there")
	default:
		w.disk = w.disk.Clone()
		w.say("killed")
	}
}

// segments looks at what Open found: no two have one number.
func (w *world) segments(j *Journal) {
	j.mu.Lock()
	defer j.mu.Unlock()
	numbers := map[uint64]bool{}
	for _, s := range j.segs {
		if numbers[s.seq] {
			w.t.Errorf("two segments have the number %d", s.seq)
		}
		numbers[s.seq] = true
		w.say("  in use %s: number %d, tail %d, %d live", s.name, s.seq, s.tail, s.refs)
	}
	for _, s := range j.free {
		w.say("  free %s: number %d, tail %d", s.name, s.seq, s.tail)
	}
}

// compare holds the replay against what must be there, and does what it asks for.
func (w *world) compare(j *Journal, replay map[int]*seen) map[int]Position {
	live := map[int]Position{}
	for id, e := range w.all {
		s := replay[id]
		switch {
		case s == nil && e.accepted && !e.asked:
			w.t.Errorf("record %d was accepted and is lost", id)
		case s == nil:
		case e.done && len(s.pos) > 0 && !s.marked:
			w.t.Errorf("record %d is done and came back", id)
		case s.marked:
			e.asked, e.done = true, true
		case len(s.pos) == 0:
		default:
			e.accepted = true
		}
		if s == nil {
			continue
		}
		for n, pos := range s.pos {
			if s.marked || n > 0 {
				j.Unpin(pos)
				continue
			}
			if b, err := j.Load(pos); err == nil && !bytes.Equal(b, e.text) || errors.Is(err, ErrDamaged) || errors.Is(err, ErrNoRecord) {
				w.t.Errorf("record %d at %v: %d octets, %v", id, pos, len(b), err)
			}
			live[id] = pos
		}
	}
	return live
}

func (w *world) step(j *Journal, live map[int]Position) {
	ctx := context.Background()
	switch n := w.rng.IntN(10); {
	case n < 5:
		id := w.next
		w.next++
		e := &entrant{text: []byte(fmt.Sprintf("m%d.%s", id, strings.Repeat("x", w.rng.IntN(9000))))}
		w.all[id] = e
		if pos, err := j.Append(ctx, e.text); err == nil {
			e.accepted = true
			live[id] = pos
			w.say("  %d accepted at %v", id, pos)
		}
	case n < 9:
		for id, pos := range live {
			e := w.all[id]
			if err := j.AppendLazy([]byte(fmt.Sprintf("d%d.", id))); err != nil {
				break
			}
			e.asked = true
			j.Unpin(pos)
			w.say("  done with %d", id)
			delete(live, id)
			if w.rng.IntN(2) == 0 && j.Flush(ctx) == nil {
				e.done = true
			}
			break
		}
	default:
		_ = j.Checkpoint(ctx)
	}
}
