package queue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/testkit/seeds"
)

// TestRandomHistories runs a queue on a disk that fails, loses power and is killed
// under: mail, attempts with every end, every call of an operator, at every moment,
// also while the disk is at work on the message. A plain model knows what must be
// true: nothing that was accepted is lost, nothing comes twice that was noted as done
// in time, nothing is handed out that is on hold or deleted, and in the end everything
// that was asked for is done.
func TestRandomHistories(t *testing.T) {
	t.Parallel()
	seeds.Run(t, 60, func(t *testing.T, r *rand.Rand) {
		synctest.Test(t, func(t *testing.T) { newHistory(t, r).run(80) })
	})
}

// mail is what the world outside knows of a message.
type mail struct {
	id   envelope.QueueID
	text string
	// accepted: its Add returned nil. Without that it may be there or not.
	accepted bool
	item     *Item // while it is active
	// said is the call that was accepted last, unsure after one that failed or after
	// a crash that may have forgotten it. onDisk: it was carried out.
	said   event
	onDisk bool
	// durable: a crash does not forget it.
	durable bool
	unsure  bool
	// expired: it was made to expire.
	expired bool
	rcpts   [2]outcome
}

// outcome is what became of a recipient.
type outcome struct {
	effect Effect // 0: nothing
	// here: this process knows. noted: so does every process after it, of one that is
	// final; one in the store may come again as a replay, which the store recognises.
	here, noted bool
}

func (m *mail) done(i int) bool { return m.rcpts[i].effect != 0 }

type history struct {
	t     *testing.T
	rng   *rand.Rand
	disk  *faultfs.Disk
	fs    *faultfs.Faults
	q     *Queue
	mails map[envelope.QueueID]*mail
	order []*mail
	log   []string
	// asked are calls that were made while the disk was at work, with what they say.
	asked []func()
}

func newHistory(t *testing.T, r *rand.Rand) *history {
	h := &history{t: t, rng: r, disk: faultfs.NewDisk(), mails: map[envelope.QueueID]*mail{}}
	h.open()
	return h
}

func (h *history) open() {
	h.fs = faultfs.Wrap(h.disk)
	o := options(h.fs)
	o.Config.SegmentSize, o.Config.MoveSegments, o.Config.MaxSegments = 32<<10, 1, 12
	o.Config.MemoryLimit = 4 << 10
	if h.rng.IntN(2) == 0 {
		o.Config.ContentMemory = 0
	}
	o.Checkpoint = func(context.Context) error { return nil }
	h.q = open(h.t, o)
}

func (h *history) logf(format string, a ...any) {
	h.log = append(h.log, fmt.Sprintf(format, a...))
}

func (h *history) fail(format string, a ...any) {
	h.t.Helper()
	what := fmt.Sprintf(format, a...)
	id, _, _ := strings.Cut(what, " ")
	lines := slices.DeleteFunc(slices.Clone(h.log), func(l string) bool {
		return strings.Contains(l, "z") && !strings.Contains(l, strings.TrimSuffix(id, ":")) // of another message
	})
	h.t.Errorf("%s\nafter %s", what, strings.Join(lines, "\n  "))
}

func (h *history) run(steps int) {
	for i := 0; i < steps && !h.t.Failed(); i++ {
		h.arm()
		h.step()
		h.fs.Hook(nil)
		h.settle()
		h.look()
	}
	if !h.t.Failed() {
		h.finish()
	}
	for _, m := range h.order {
		if m.item != nil {
			h.end(m, 0)
		}
	}
	_ = h.q.Close()
}

// arm makes the disk fail in the next step, or an operator ask for something while
// it is at work, or neither. The journal's own files fail as all others do.
func (h *history) arm() {
	kinds := []faultfs.Op{faultfs.Any, faultfs.Sync, faultfs.SyncDir, faultfs.Rename, faultfs.Link, faultfs.Create, faultfs.Write, faultfs.Chtimes, faultfs.Open, faultfs.Read, faultfs.Remove}
	kind := kinds[h.rng.IntN(len(kinds))]
	n, always := int64(1+h.rng.IntN(4)), h.rng.IntN(2) == 0
	switch h.rng.IntN(6) {
	case 0, 1:
		h.logf("%s fails, the %d. time, and from then on: %v", kind, n, always)
		var count atomic.Int64
		h.fs.Hook(func(op faultfs.Op, name string) error {
			if op != kind && (kind != faultfs.Any || op == faultfs.Open || op == faultfs.Read || op == faultfs.ReadDir || op == faultfs.Stat) {
				return nil
			}
			if c := count.Add(1); c == n || always && c > n {
				return &fs.PathError{Op: string(op), Path: name, Err: faultfs.EIO}
			}
			return nil
		})
	case 2, 3:
		var at atomic.Int64 // a call that was made meanwhile is at the disk, too
		at.Store(int64(1 + h.rng.IntN(8)))
		h.fs.Hook(func(_ faultfs.Op, name string) error {
			if strings.Contains(name, "/journal") {
				return nil // its goroutines are at work
			}
			if at.Add(-1) == 0 {
				for _, m := range h.order {
					if strings.HasSuffix(name, string(m.id)) {
						h.meanwhile(m)
					}
				}
			}
			return nil
		})
	}
}

func (h *history) step() {
	ctx := context.Background()
	switch h.rng.IntN(15) {
	case 0, 1:
		h.add()
	case 2, 3, 4, 5:
		h.take()
	case 6, 7, 8:
		if m := h.any(func(m *mail) bool { return m.item != nil }); m != nil {
			h.end(m, h.rng.IntN(5))
		}
	case 9, 10, 11:
		if m := h.any(func(*mail) bool { return true }); m != nil {
			h.call(m)
		}
	case 12:
		h.logf("shorten")
		for range 3 {
			h.fill()
		}
		h.q.shorten(ctx)
	case 13:
		h.logf("time passes")
		time.Sleep(time.Duration(h.rng.IntN(3)) * h.q.cfg.RunDelay)
		_ = h.q.scan(ctx)
		h.checkpoint()
	default:
		h.crash()
	}
}

// any is one of the messages for which f is true.
func (h *history) any(f func(*mail) bool) *mail {
	var some []*mail
	for _, m := range h.order {
		if f(m) {
			some = append(some, m)
		}
	}
	if len(some) == 0 {
		return nil
	}
	return some[h.rng.IntN(len(some))]
}

func (h *history) add() {
	if len(h.order) > 12 {
		return
	}
	text := fmt.Sprintf("message %d %s\n", len(h.order), strings.Repeat("x", h.rng.IntN(3000)))
	if h.rng.IntN(3) == 0 {
		text += large[:8000]
	}
	env := testEnvelope(h.q, "a", "b")
	m := &mail{id: env.ID, text: prefix + text}
	h.mails[m.id] = m
	h.order = append(h.order, m)
	b := h.q.Spool().New()
	if _, err := io.WriteString(b, text); err != nil {
		_ = b.Close()
		return
	}
	err := h.q.Add(context.Background(), env, []byte(prefix), b)
	h.logf("%s is added: %v", m.id, err)
	m.accepted = err == nil
}

// fill puts mail into the journal that is delivered at once, so that segments
// change.
func (h *history) fill() {
	env := testEnvelope(h.q, "filler")
	if h.q.Add(context.Background(), env, nil, envelope.Memory(strings.Repeat("f", 3000))) == nil {
		_ = h.q.Delete(context.Background(), env.ID)
	}
}

// take takes what is due and looks whether it may be handed out.
func (h *history) take() {
	it := tryTake(h.t, h.q)
	if it == nil {
		return
	}
	id := it.Envelope.ID
	m := h.mails[id]
	if m == nil { // a filler, of which the deletion failed
		for _, i := range it.Pending() {
			_ = it.Done(i, EffectFinal)
		}
		_ = it.Close(context.Background(), time.Time{}, false)
		return
	}
	h.logf("%s is handed out, replay %v", id, it.Replay)
	switch {
	case m.expired && !it.Expired():
		h.fail("%s was made to expire and does not know it", id)
	case m.item != nil:
		h.fail("%s is handed out twice", id)
	case m.said == evHold && !m.unsure:
		h.fail("%s is on hold and handed out", id)
	case m.said == evDelete && !m.unsure:
		h.fail("%s is deleted and handed out", id)
	}
	for _, i := range it.Pending() {
		switch o := m.rcpts[i]; {
		case o.here || o.noted && o.effect == EffectFinal:
			h.fail("%s: recipient %d is done (%+v) and pending", id, i, o)
		case o.effect != 0 && !it.Replay:
			h.fail("%s: recipient %d may have it, and this is no replay", id, i)
		}
	}
	m.item = it
	if m.said == evHold || m.said == evDelete {
		m.said, m.unsure, m.durable = evNone, false, false // it is not so
	}
	c, err := it.Content()
	if err != nil {
		return
	}
	defer c.Close()
	if b, err := io.ReadAll(envelope.Reader(c)); err == nil && string(b) != m.text {
		h.fail("%s has another content", id)
	}
}

// end ends an attempt, in one of the ways.
func (h *history) end(m *mail, way int) {
	it := m.item
	for _, i := range it.Pending() {
		effect := Effect(1 + h.rng.IntN(2))
		switch {
		case way == 3 || way == 4 && i == 0: // delivered, or expired and reported
			if err := it.Done(i, effect); err == nil {
				m.rcpts[i] = outcome{effect: effect, here: true}
			}
		default:
			it.Failed(i, dsn.New(dsn.NoAnswer, "later"))
		}
	}
	next := time.Now().Add(time.Hour)
	if way == 1 {
		next = time.Time{}
	} else if way == 2 {
		next = time.Now().Add(time.Minute)
	}
	m.item = nil // from here on somebody else may have it
	err := it.Close(context.Background(), next, false)
	h.logf("%s: an attempt ends, way %d: %v", m.id, way, err)
}

// call is a call of an operator about m.
func (h *history) call(m *mail) {
	ask, heard := h.choose(m)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	heard(ask(ctx))
}

// meanwhile is call while the disk is at work on m, on a goroutine of its own: it may wait for that. What it says is heard
// at the end of the step.
func (h *history) meanwhile(m *mail) {
	ask, heard := h.choose(m)
	answer := make(chan error, 1)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	go func() { answer <- ask(ctx) }()
	for i := 0; i < 100 && len(answer) == 0; i++ {
		runtime.Gosched() // for it to come in between
	}
	h.asked = append(h.asked, func() {
		heard(<-answer)
		cancel()
	})
}

// settle hears what calls say that were made meanwhile.
func (h *history) settle() {
	for _, hear := range h.asked {
		hear()
	}
	h.asked = nil
}

// choose is a call about m, and what the model makes of its answer.
func (h *history) choose(m *mail) (ask func(context.Context) error, heard func(error)) {
	if h.rng.IntN(8) == 0 {
		return func(ctx context.Context) error { return h.q.Expire(ctx, m.id) }, func(err error) {
			h.logf("%s: Expire: %v", m.id, err)
			m.expired = m.expired || err == nil
		}
	}
	calls := []struct {
		e event
		f func(context.Context, envelope.QueueID) error
	}{{evHold, h.q.Hold}, {evRelease, h.q.Release}, {evRequeue, h.q.Requeue}, {evDelete, h.q.Delete}}
	c := calls[[]int{0, 0, 0, 1, 1, 2, 2, 3}[h.rng.IntN(8)]]
	return func(ctx context.Context) error { return c.f(ctx, m.id) }, func(err error) { h.heard(m, c.e, err) }
}

// heard is the answer to a call.
func (h *history) heard(m *mail, e event, err error) {
	h.logf("%s: %s after %s: %v", m.id, eventNames[e], eventNames[m.said], err)
	switch {
	case err == nil && m.said == evDelete && !m.unsure: // it is final
	case err == nil:
		m.said, m.onDisk, m.durable, m.unsure = e, false, true, false
	case errors.Is(err, ErrUnchanged) || errors.Is(err, ErrNoMessage) || errors.Is(err, errBusy):
	default:
		// It may have happened, in part or later.
		if e == evDelete || e == evHold {
			m.said = e
		}
		m.unsure, m.durable = true, false
	}
}

// checkpoint makes durable what was delivered, and what was marked.
func (h *history) checkpoint() {
	if h.q.disk.ledger.j.Checkpoint(context.Background()) != nil {
		return
	}
	h.q.removeDeparted(context.Background())
	if h.q.disk.ledger.j.Flush(context.Background()) != nil {
		return
	}
	for _, m := range h.order {
		for i := range m.rcpts {
			m.rcpts[i].noted = m.rcpts[i].here
		}
	}
}

// crash kills the process, or cuts the power, and starts the next one.
func (h *history) crash() {
	way := h.rng.IntN(3)
	h.logf("crash, way %d", way)
	disk := [](func() *faultfs.Disk){h.disk.Clone, h.disk.Crash, func() *faultfs.Disk { return h.disk.CrashRandom(h.rng) }}[way]()
	h.fs.Hook(nil)
	_ = h.q.Close() // it may be told of an older failure
	h.disk = disk
	h.open()
	for _, m := range h.order {
		m.item = nil
		if m.said != evNone && !m.onDisk && !m.durable {
			m.unsure = true
		}
		for i := range m.rcpts {
			m.rcpts[i].here = m.rcpts[i].noted
		}
	}
	places := h.places()
	for _, m := range h.order {
		switch p := places[m.id]; {
		case m.unsure || !m.durable || p == "" || p == Hold:
		case m.said == evHold:
			h.fail("%s was held before the crash and is in %s", m.id, p)
		}
	}
}

// places says where each message is listed.
func (h *history) places() map[envelope.QueueID]Place {
	all, err := h.q.List(context.Background(), Filter{}, "", 1000)
	must(h.t, err)
	out := map[envelope.QueueID]Place{}
	for _, info := range all {
		out[info.ID] = info.Place
	}
	return out
}

// look compares what is listed with what must be there.
func (h *history) look() {
	places := h.places()
	for _, m := range h.order {
		p := places[m.id]
		switch {
		case m.said == evDelete && p == "":
			m.onDisk = !(m.done(0) && m.done(1)) // else it left as delivered
		case m.said == evDelete && !m.unsure && m.onDisk:
			h.fail("%s is deleted and in %s", m.id, p)
		case m.said == evDelete:
		case p == "" && m.accepted && !(m.done(0) && m.done(1)):
			h.fail("%s is lost", m.id)
		case p == Corrupt && m.accepted:
			h.fail("%s is damaged", m.id)
		case m.said == evHold && p == Hold:
			m.onDisk = true // if it is unsure, only the name is there, without a sync
		case m.said == evHold && m.onDisk && !m.unsure && p != "":
			h.fail("%s was held and is in %s", m.id, p)
		case p == Hold && (m.said == evRelease || m.said == evRequeue) && !m.unsure && m.item == nil:
			h.fail("%s was released and is on hold", m.id)
		}
	}
}

// finish runs the queue on a sound disk until nothing happens any more, and looks
// whether everything that was asked for is done, everything else comes up, and
// nothing of it is left when all is deleted.
func (h *history) finish() {
	ctx := context.Background()
	h.logf("the end")
	for _, m := range h.order {
		if m.item != nil {
			h.end(m, 0)
		}
	}
	came := map[envelope.QueueID]bool{}
	for range 4 {
		time.Sleep(h.q.cfg.RunDelay)
		must(h.t, h.q.scan(ctx))
		for it := tryTake(h.t, h.q); it != nil; it = tryTake(h.t, h.q) {
			came[it.Envelope.ID] = true
			if err := it.Close(ctx, time.Now().Add(time.Minute), false); err != nil {
				h.fail("%s cannot be deferred on a sound disk: %v", it.Envelope.ID, err)
			}
		}
		_, err := h.q.Flush(ctx, Filter{})
		must(h.t, err)
	}
	places := h.places()
	for _, m := range h.order {
		p, wanted := places[m.id], m.said == evHold || m.said == evDelete
		switch {
		case m.unsure:
		case wanted && came[m.id]:
			h.fail("%s was asked for %s and is handed out", m.id, eventNames[m.said])
		case m.said == evHold && p != Hold && p != "":
			h.fail("%s was held and is in %q in the end", m.id, p)
		case m.said == evDelete && p != "":
			h.fail("%s was deleted and is in %s in the end", m.id, p)
		case !wanted && m.accepted && !came[m.id] && !(m.done(0) && m.done(1)):
			h.fail("%s never comes up, it is in %q", m.id, p)
		}
	}
	h.checkpoint()
	h.counts()
	h.empty(slices.Collect(maps.Keys(places)))
}

// counts compares Counts with what is listed.
func (h *history) counts() {
	counts, err := h.q.Counts()
	must(h.t, err)
	listed := map[Place]int64{Incoming: 0, Active: 0, Deferred: 0, Hold: 0, Corrupt: counts[Corrupt]}
	for _, p := range h.places() {
		if p != Corrupt {
			listed[p]++
		}
	}
	if !maps.Equal(counts, listed) {
		h.fail("counts %v, listed %v", counts, listed)
	}
}

// empty deletes all, and looks whether it is all gone: from memory, from the disk and
// from the budget.
func (h *history) empty(ids []envelope.QueueID) {
	for _, id := range ids {
		if err := h.q.Delete(context.Background(), id); err != nil && !errors.Is(err, ErrNoMessage) {
			h.fail("%s is not deleted: %v", id, err)
		}
	}
	h.checkpoint()
	for _, m := range h.q.index.all(func(*message) bool { return true }) {
		h.fail("%s is %v in memory", m.id, m.at)
	}
	b := h.q.disk.budget
	if b.taken() > 0 || b.waiting() > 0 {
		h.fail("a seat is not given back")
	}
	if left := b.octets.Load(); left != h.q.cfg.ContentMemory {
		h.fail("%d octets are left, of %d", left, h.q.cfg.ContentMemory)
	}
	for _, p := range []Place{Deferred, Hold} {
		must(h.t, h.q.disk.files.each(p, func(id envelope.QueueID, _ fs.DirEntry) error {
			h.fail("%s has a file in %s", id, p)
			return nil
		}))
	}
	left, err := h.disk.ReadDir("/queue/content")
	must(h.t, err)
	for _, e := range left {
		if m := h.mails[envelope.QueueID(e.Name())]; m == nil || m.accepted {
			h.fail("%s has a content still", e.Name())
		} // else the disk refused the mail, and its removal: the next start has it
	}
}
