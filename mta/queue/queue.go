package queue

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/identity"
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
	// Window bounds what Next has handed out and nobody closed.
	Window Window
	Clock  clock.Clock
	Log    *msglog.Log
}

// Queue is the durable queue of one instance. Safe for concurrent use.
type Queue struct {
	// listing has the calls that only look.
	listing
	index   *index
	disk    *disk
	o       Options
	cfg     configs.Queue
	folder  folder
	ids     ids
	spool   *spool.Dir
	space   *spool.Space
	lock    vfs.File
	closing chan struct{}
	// longest is Options.MaximalBackoff, or what AllowBackoff raised it to.
	longest atomic.Int64
}

// AllowBackoff says that deferred messages may wait as long as that from now on. It never takes back what was allowed: what waits
// longer than now is usual was not put off by a wrong clock.
func (q *Queue) AllowBackoff(d time.Duration) {
	for {
		now := q.longest.Load()
		if now >= int64(d) || now == 0 || q.longest.CompareAndSwap(now, int64(d)) {
			return
		}
	}
}

func (q *Queue) maximalBackoff() time.Duration { return time.Duration(q.longest.Load()) }

// Open opens the queue of o.Instance in o.Dir and recovers what is in it. One that
// is missing or another instance's is ErrAbsent. Damaged
// records and files are set aside in corrupt/ with one log line each. Run must
// be called for deferred mail to come back.
func Open(ctx context.Context, o Options) (*Queue, error) {
	closing := make(chan struct{})
	x, d := newIndex(o), newDisk(o, closing)
	q := &Queue{
		listing: listing{index: x, disk: d}, index: x, disk: d,
		o: o, cfg: o.Config, closing: closing,
		folder: folder{fs: o.FS, dir: o.Dir, instance: o.Instance, log: o.Log},
		spool:  &spool.Dir{FS: o.FS, Path: o.Dir, Memory: int(o.Config.MemoryLimit)},
	}
	q.longest.Store(int64(o.MaximalBackoff))
	q.space = &spool.Space{
		FS: o.FS, Dir: o.Dir, Clock: o.Clock, MinFree: o.Config.MinFree, Param: "queue.min_free", Present: q.folder.present,
		Failed: func(err error) { o.Log.Warn("free space of the queue cannot be measured", "cause", err) },
	}
	if err := q.prepare(); err != nil {
		return nil, err
	}
	if err := q.disk.recover(ctx, o, q.index); err != nil {
		return nil, errors.Join(err, q.lock.Close())
	}
	if err := diskError(q.disk.look(q.index.inJournal)); err != nil {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		return nil, errors.Join(err, q.disk.ledger.j.Close(ctx), q.lock.Close())
	}
	return q, nil
}

// prepare looks at the folders, takes the lock and a new epoch.
func (q *Queue) prepare() error {
	if err := q.folder.prepare(q.disk.files); err != nil {
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
	if err == nil || errors.Is(err, ErrNoMessage) || errors.Is(err, ErrUnchanged) {
		return err
	}
	if _, already := errors.AsType[*dsn.Error](err); already {
		return err
	}
	if spool.IsFull(err) {
		return dsn.Wrap(dsn.SystemFull, "Insufficient system storage", err)
	}
	return dsn.Wrap(dsn.MailSystem, "Temporary failure of the mail queue", err)
}

// NewID makes the queue ID of a message that is about to be accepted.
func (q *Queue) NewID() envelope.QueueID { return q.ids.next() }

// Spool is where the content of messages to be added must be received, so
// that a large one can be linked into the queue instead of copied.
func (q *Queue) Spool() *spool.Dir { return q.spool }

// Room says whether a message of size octets may come in: 4.3.1 when it would
// leave less than queue.min_free on the queue's file system, 4.3.0 when the queue
// is not in its place. size is 0 when it is not known. It is measured at most
// once a second.
func (q *Queue) Room(size int64) error { return q.space.Room(size) }

// Present is nil while the queue is in its place and whole. Else it is ErrAbsent and
// says what is missing, or ErrForeign, or an error of the disk.
func (q *Queue) Present() error { return q.folder.whole() }

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
	if err := q.disk.ledger.j.Checkpoint(ctx); err == nil {
		q.removeDeparted(ctx)
	}
	return errors.Join(q.disk.ledger.j.Close(ctx), q.lock.Close())
}

// closeTimeout bounds the last checkpoint, after which nothing waits for the
// queue any more. Without that checkpoint the next start only has more to read.
const closeTimeout = time.Minute

// wakeUp wakes whoever waits on a channel with a buffer of one.
func wakeUp(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
