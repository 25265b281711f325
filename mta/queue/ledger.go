package queue

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"sync/atomic"

	"toastmaster/internal/envelope"
	"toastmaster/internal/journal"
	"toastmaster/internal/lockorder"
	"toastmaster/internal/msglog"
)

// ledger is the journal's side of a queue: what is noted there of messages and
// recipients, which marks a checkpoint covers, and what leaves the disk after it.
type ledger struct {
	j     *journal.Journal
	files *files
	log   *msglog.Log
	// settled makes the store durable (Options.Checkpoint); nil: there is none.
	settled func(context.Context) error
	boot    uint64 // random, of this process
	// gen is the number that the next checkpoint will have, durable that of
	// the last that succeeded. stored says that there were EffectStore marks
	// since.
	gen, durable atomic.Uint64
	stored       atomic.Bool

	tidy chan struct{} // to Run: files may be removed
	mu   lockorder.Mutex[departuresLock]
	// departures wait for the next checkpoint, removable ones for Run.
	departures, removable []departure
	removing              lockorder.Mutex[removingLock] // makes removals one at a time
}

func newLedger(o Options, f *files) *ledger {
	l := &ledger{files: f, log: o.Log, settled: o.Checkpoint, boot: rand.Uint64(), tidy: make(chan struct{}, 1)}
	l.gen.Store(1)
	return l
}

// open opens the journal and replays it.
func (l *ledger) open(ctx context.Context, o Options, damaged func(journal.Damage), replay journal.Replay) (err error) {
	c := o.Config
	l.j, err = journal.Open(ctx, journal.Options{
		FS: o.FS, Dir: filepath.Join(o.Dir, dirJournal),
		SegmentSize: c.SegmentSize, MaxSegments: c.MaxSegments, MaxWaiting: c.MaxWaiting,
		LazyInterval: c.LazyInterval, FullWait: c.AddWait, CheckpointInterval: c.CheckpointInterval,
		Corrupt: filepath.Join(o.Dir, dirCorrupt), Damaged: damaged, Checkpoint: l.checkpoint, Replay: replay, Clock: o.Clock, Log: o.Log,
	})
	return err
}

// done notes that recipient i of a message is done. It returns the number of the
// checkpoint that makes an EffectStore durable, else 0. The mark is only for the next
// process; without it the delivery may be repeated after a crash.
func (l *ledger) done(id envelope.QueueID, i int, e Effect) uint64 {
	gen := l.gen.Load()
	if e == EffectStore && !l.stored.Swap(true) {
		l.j.Touch()
	}
	if err := l.j.AppendLazy(mark{id, i, e, l.boot, gen}.encode()); err != nil {
		l.log.Warn("queue mark not written", "id", id, "cause", err.Error())
	}
	if e != EffectStore {
		return 0
	}
	return gen
}

// farewell notes that a record is not the home of its message any more.
func (l *ledger) farewell(id envelope.QueueID, reason byte) {
	if err := l.j.AppendLazy(farewell{id, reason}.encode()); err != nil {
		l.log.Warn("queue mark not written", "id", id, "cause", err.Error())
	}
}

// deleted is a farewell to a message that is deleted, durable when it returns nil.
func (l *ledger) deleted(ctx context.Context, id envelope.QueueID) error {
	pos, err := l.j.Append(ctx, farewell{id, leftDeleted}.encode())
	if err == nil {
		l.j.Unpin(pos)
	}
	return err
}

// askExpire notes durably that a message in memory is made to expire. The record lies behind the message's own, or
// behind the pin of one that has a file: it stays until the file says so.
func (l *ledger) askExpire(ctx context.Context, id envelope.QueueID) error {
	pos, err := l.j.Append(ctx, asked{id, askedExpire}.encode())
	if err == nil {
		l.j.Unpin(pos)
	}
	return err
}

// askDelete notes durably that a message in memory is to be deleted. No file says that, so the record stays until
// the message has left; once more, it lets the journal go on.
func (l *ledger) askDelete(ctx context.Context, m *message) error {
	pos, err := l.j.Append(ctx, asked{m.id, askedDelete}.encode())
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	l.j.Unpin(m.asked)
	if m.asked = pos; m.left {
		l.forgetAsked(m)
	}
	return nil
}

// forgetAsked is for a message that has left; m.mu is held.
func (l *ledger) forgetAsked(m *message) {
	l.j.Unpin(m.asked)
	m.asked, m.left = journal.Position{}, true
}

// depart has files removed after the next checkpoint.
func (l *ledger) depart(d departure) {
	l.mu.Lock()
	l.departures = append(l.departures, d)
	l.mu.Unlock()
	l.j.Touch()
}

// checkpoint is what the journal calls: it makes the store durable and writes
// down which marks that covers. A mark with a number below the checkpoint's
// own was made after its delivery was written and before the sync began.
func (l *ledger) checkpoint(ctx context.Context) error {
	gen := l.gen.Add(1) - 1
	l.mu.Lock()
	departed := l.departures
	l.departures = nil
	l.mu.Unlock()
	marks := l.stored.Swap(false)
	if l.settled != nil {
		if err := l.settled(ctx); err != nil {
			l.stored.Store(true)
			l.mu.Lock()
			l.departures = append(departed, l.departures...)
			l.mu.Unlock()
			return err
		}
	}
	l.durable.Store(gen)
	if marks {
		if err := l.j.AppendLazy(checkpointed{l.boot, gen}.encode()); err != nil {
			l.log.Warn("queue checkpoint not written", "cause", err.Error())
		}
	}
	if len(departed) > 0 {
		l.mu.Lock()
		l.removable = append(l.removable, departed...)
		l.mu.Unlock()
		wakeUp(l.tidy)
	}
	return nil
}

// removeDeparted removes the files that a checkpoint has made superfluous, and tells
// cleared of each message that has none any more. They are gone when it returns,
// whoever has removed them.
func (l *ledger) removeDeparted(ctx context.Context, cleared func(*message)) {
	l.removing.Lock()
	defer l.removing.Unlock()
	l.mu.Lock()
	list := l.removable
	l.removable = nil
	l.mu.Unlock()
	if len(list) == 0 {
		return
	}
	if err := l.j.Flush(ctx); err != nil {
		l.departAgain(list)
		return
	}
	dirs := l.removeFiles(list)
	var failed []departure
	for _, d := range list {
		if !d.cleared(dirs) {
			failed = append(failed, d)
			continue
		}
		l.j.Unpin(d.pin)
		if d.m != nil {
			cleared(d.m)
		}
	}
	l.departAgain(failed)
}

// removeFiles removes the files of departures. It returns what went wrong in each
// directory.
func (l *ledger) removeFiles(list []departure) map[string]error {
	dirs := map[string]error{}
	for _, d := range list {
		for _, path := range d.paths {
			dir := filepath.Dir(path)
			dirs[dir] = errors.Join(dirs[dir], l.files.remove(path))
		}
		if d.stray != "" {
			dir := filepath.Dir(d.stray)
			dirs[dir] = errors.Join(dirs[dir], l.files.removeStray(d.stray))
		}
	}
	for dir, err := range dirs {
		if err == nil {
			err = l.files.fs.SyncDir(dir)
		}
		if dirs[dir] = err; err != nil {
			l.log.Error("queue files not removed", "dir", dir, "cause", err.Error())
		}
	}
	return dirs
}

// departAgain tries again after the next checkpoint.
func (l *ledger) departAgain(list []departure) {
	if len(list) == 0 {
		return
	}
	l.mu.Lock()
	l.departures = append(l.departures, list...)
	l.mu.Unlock()
	l.j.Touch()
}

// departure is what a message leaves on the disk that goes once the store is durable
// and the marks are on disk.
type departure struct {
	m     *message // nil: a content that its message does not need any more
	paths []string // of files to be removed
	stray string   // of a file that does not count, "" for none
	pin   journal.Position
}

// cleared says that the files of a message are durably gone.
func (d departure) cleared(dirs map[string]error) bool {
	for _, path := range append(d.paths[:len(d.paths):len(d.paths)], d.stray) {
		if path != "" && dirs[filepath.Dir(path)] != nil {
			return false
		}
	}
	return true
}
