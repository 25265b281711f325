package queue

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"toastmaster/configs"
	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/identity"
	"toastmaster/internal/journal"
	"toastmaster/internal/msglog"
	"toastmaster/internal/spool"
	"toastmaster/internal/vfs"
)

// Options are what a queue needs.
type Options struct {
	FS vfs.FS
	// Dir is the queue's folder.
	Dir string
	// Instance is the id that the queue must have. Without one, in tests, a
	// queue is made where there is none.
	Instance identity.ID
	Config   configs.Queue
	// Checkpoint makes durable whatever was delivered into the store before
	// the call (mailstore.Store.Checkpoint). nil: there is no store.
	Checkpoint func(ctx context.Context) error
	// MaximalBackoff is the longest time that a deferred message waits
	// (qmgr.maximal_backoff_time); one that is due later is so because of a
	// clock that was ahead. 0 believes every time.
	MaximalBackoff time.Duration
	Clock          clock.Clock
	Log            *msglog.Log
}

// Queue is the durable queue of one instance. Safe for concurrent use.
type Queue struct {
	o      Options
	cfg    configs.Queue
	ids    ids
	spool  *spool.Dir
	places places
	lock   vfs.File
	j      *journal.Journal
	boot   uint64 // random, of this process
	// gen is the number that the next checkpoint will have, durable that of
	// the last that succeeded. storeMarks says that there were EffectStore
	// marks since.
	gen, durable atomic.Uint64
	storeMarks   atomic.Bool
	space        *spool.Space
	// room bounds the messages in the journal.
	room *semaphore.Weighted
	// memory is what is left of queue.content_memory.
	memory atomic.Int64

	index   *index
	tidy    chan struct{} // to Run: files may be removed
	closing chan struct{}

	// finished files wait for the next checkpoint, removable ones for Run.
	finishedMu          sync.Mutex
	finished, removable []departure
	// tidying makes removals one at a time.
	tidying sync.Mutex
}

// Open opens the queue of o.Instance in o.Dir and recovers what is in it. One that
// is missing or another instance's is ErrAbsent. Damaged
// records and files are set aside in corrupt/ with one log line each. Run must
// be called for deferred mail to come back.
func Open(ctx context.Context, o Options) (*Queue, error) {
	q := &Queue{
		o: o, cfg: o.Config, boot: rand.Uint64(),
		spool:  &spool.Dir{FS: o.FS, Path: o.Dir, Memory: int(o.Config.MemoryLimit)},
		places: places{fs: o.FS, dir: o.Dir, ready: map[string]bool{}},
		room:   semaphore.NewWeighted(int64(o.Config.IncomingLimit)),
		index:  newIndex(o.Clock, o.Config.RunDelay, o.Config.DueLimit),
		tidy:   make(chan struct{}, 1), closing: make(chan struct{}),
	}
	q.space = &spool.Space{
		FS: o.FS, Dir: o.Dir, Clock: o.Clock, MinFree: o.Config.MinFree, Param: "queue.min_free", Present: q.present,
		Failed: func(err error) { o.Log.Warn("free space of the queue cannot be measured", "cause", err) },
	}
	q.gen.Store(1)
	q.memory.Store(o.Config.ContentMemory)
	if err := q.prepare(); err != nil {
		return nil, err
	}
	if err := q.recover(ctx); err != nil {
		return nil, errors.Join(err, q.lock.Close())
	}
	if err := diskError(q.places.countAll(q.index.inJournal)); err != nil {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		return nil, errors.Join(err, q.j.Close(ctx), q.lock.Close())
	}
	return q, nil
}

// prepare looks at the folders, takes the lock and a new epoch.
func (q *Queue) prepare() error {
	if err := q.found(); err != nil {
		return err
	}
	lock, err := q.o.FS.OpenFile(filepath.Join(q.o.Dir, LockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return diskError(err)
	}
	if err := lock.TryLock(); err != nil {
		if errors.Is(err, vfs.ErrLocked) {
			err = fmt.Errorf("%w: %s", ErrInUse, q.o.Dir)
		}
		return errors.Join(err, lock.Close())
	}
	epoch, err := newEpoch(q.o.FS, q.o.Dir, q.o.Clock.Now())
	if err != nil {
		return errors.Join(diskError(err), lock.Close())
	}
	q.lock, q.ids = lock, ids{clock: q.o.Clock, epoch: epochText(epoch)}
	return nil
}

// diskError gives an error of the disk its status.
func diskError(err error) error {
	var already *dsn.Error
	switch {
	case err == nil || errors.As(err, &already) || errors.Is(err, ErrNoMessage) || errors.Is(err, ErrUnchanged):
		return err
	case spool.IsFull(err):
		return dsn.Wrap(dsn.SystemFull, "Insufficient system storage", err)
	}
	return dsn.Wrap(dsn.MailSystem, "Temporary failure of the mail queue", err)
}

// NewID makes the queue ID of a message that is about to be accepted.
func (q *Queue) NewID() envelope.QueueID { return q.ids.next() }

// Spool is where the content of messages to be added must be received, so
// that a large one can be linked into the queue instead of copied.
func (q *Queue) Spool() *spool.Dir { return q.spool }

// Run scans the deferred queue, removes what is finished and moves slow
// messages out of the journal, until ctx ends. The owner waits for it before
// Close.
func (q *Queue) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { q.scanLoop(ctx) })
	wg.Go(func() { q.tidyLoop(ctx) })
	wg.Wait()
	return nil
}

// Close ends the queue: Next returns ErrClosed, a last checkpoint is made and
// the files are closed. Active items should be closed before; those that are
// not are handed out again by the next process.
func (q *Queue) Close() error {
	if !q.index.close() {
		return nil
	}
	close(q.closing)
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if err := q.j.Checkpoint(ctx); err == nil {
		q.removeFinished(ctx)
	}
	return errors.Join(q.j.Close(ctx), q.lock.Close())
}

// closeTimeout bounds the last checkpoint, after which nothing waits for the
// queue any more. Without that checkpoint the next start only has more to read.
const closeTimeout = time.Minute

func (q *Queue) openJournal(ctx context.Context, damaged func(journal.Damage), replay journal.Replay) error {
	j, err := journal.Open(ctx, journal.Options{
		FS: q.o.FS, Dir: filepath.Join(q.o.Dir, dirJournal),
		SegmentSize: q.cfg.SegmentSize, MaxSegments: q.cfg.MaxSegments, MaxWaiting: q.cfg.MaxWaiting,
		LazyInterval: q.cfg.LazyInterval, FullWait: q.cfg.AddWait, CheckpointInterval: q.cfg.CheckpointInterval,
		Corrupt: q.corrupt(""), Damaged: damaged, Checkpoint: q.checkpoint, Clock: q.o.Clock, Log: q.o.Log,
	}, replay)
	q.j = j
	return err
}

// signal wakes whoever waits on a channel with a buffer of one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
