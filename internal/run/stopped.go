package run

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"toastmaster/admin/api"
	"toastmaster/configs"
	"toastmaster/internal/clock"
	"toastmaster/internal/identity"
	"toastmaster/internal/msglog"
	"toastmaster/internal/run/adapter"
	"toastmaster/internal/run/rights"
	"toastmaster/internal/vfs"
	"toastmaster/internal/vfs/overlay"
	"toastmaster/mta/queue"
)

// ErrStarted says that somebody has the queue open by now: an instance that starts, or another
// command.
var ErrStarted = errors.New("the queue is in use by another process")

// ReadQueue gives do the queue of an instance that does not run, as a start would find it. Nothing on the
// disk is changed and no lock is taken, so that a start at the same moment finds what it would have found. When
// one has begun while the files were read it is ErrStarted, and do was not called; one that begins later
// moves messages that do lists.
func ReadQueue(ctx context.Context, c *configs.Config, do func(api.Queue) error) error {
	dir := c.Path(configs.QueueDir)
	before, err := queue.Starts(vfs.OS{}, dir)
	if err != nil {
		return rights.WithOwner(c, err)
	}
	q, err := openStopped(ctx, c, overlay.New(vfs.OS{}, clock.System{}), msglog.Discard(), nil)
	if err != nil {
		return rights.WithOwner(c, err)
	}
	after, err := queue.Starts(vfs.OS{}, dir)
	switch {
	case err != nil:
	case !bytes.Equal(before, after):
		err = ErrStarted
	default:
		err = do(adapter.Queue{Q: q})
	}
	return errors.Join(err, q.Close())
}

// ChangeQueue gives do the queue of an instance that does not run, opened as a start opens it and as its user: nobody
// else has it meanwhile (ErrStarted when somebody has it). What do does is on the disk when ChangeQueue
// returns; killed before, it is as after the kill of an instance. Warnings of the queue go to w.
func ChangeQueue(ctx context.Context, c *configs.Config, w io.Writer, do func(api.Queue) error) error {
	return rights.WithOwner(c, rights.AsOwner(c, func() error {
		// What was delivered into the store may be on its way to the disk: the queue lets go
		// of it only when it is there.
		store, err := rights.StoreFS(c).OpenFile(c.Path(c.Store.Path), os.O_RDONLY, 0)
		if err != nil {
			return err
		}
		defer store.Close()
		log := msglog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelWarn}))
		q, err := openStopped(ctx, c, rights.QueueFS(c), log, func(context.Context) error { return store.SyncFS() })
		if errors.Is(err, queue.ErrInUse) {
			return fmt.Errorf("%w: %s", ErrStarted, c.Path(configs.QueueDir))
		}
		if err != nil {
			return err
		}
		return errors.Join(do(adapter.Queue{Q: q}), q.Close())
	}))
}

// openStopped opens the queue that is there. It makes none.
func openStopped(ctx context.Context, c *configs.Config, fsys vfs.FS, log *msglog.Log, checkpoint func(context.Context) error) (*queue.Queue, error) {
	dir := c.Path(configs.QueueDir)
	found, err := queue.Inspect(fsys, dir)
	switch {
	case err != nil:
		return nil, err
	case found.State == identity.Absent:
		return nil, fmt.Errorf("%w: %s", queue.ErrAbsent, dir)
	case found.Lacks != "":
		return nil, fmt.Errorf("%w: %s is missing", queue.ErrAbsent, found.Lacks)
	}
	return queue.Open(ctx, queue.Options{
		FS: fsys, Dir: dir, Instance: cmp.Or(identity.ID(c.Main.Instance), found.ID), Config: c.Queue,
		Checkpoint: checkpoint, MaximalBackoff: c.Qmgr.MaximalBackoffTime, Clock: clock.System{}, Log: log,
	})
}

// WithQueueLocked does something while nobody has the queue, and nobody can take it.
func WithQueueLocked(c *configs.Config, do func() error) error {
	path := filepath.Join(c.Path(configs.QueueDir), queue.LockFile)
	f, err := (vfs.OS{}).OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return do() // it was never served
	}
	if err != nil {
		return err
	}
	err = f.TryLock()
	if errors.Is(err, vfs.ErrLocked) {
		return errors.Join(fmt.Errorf("%w: stop the instance that has %s first", ErrStarted, c.Path(configs.QueueDir)), f.Close())
	}
	if err == nil {
		err = do()
	}
	return errors.Join(err, f.Close())
}

// lockWait is how long a start waits for a command that works on the files of a stopped instance. It is no
// parameter: such a command takes seconds, and whoever waits longer finds another instance.
const lockWait = 30 * time.Second

// waitForQueue opens a queue, and waits while a command has it.
func waitForQueue(ctx context.Context, clk clock.Clock, open func() (*queue.Queue, error)) (*queue.Queue, error) {
	const step = 100 * time.Millisecond
	for until := clk.Now().Add(lockWait); ; {
		q, err := open()
		if !errors.Is(err, queue.ErrInUse) || !clk.Now().Before(until) {
			return q, err
		}
		timer := clk.NewTimer(step)
		select {
		case <-timer.C():
		case <-ctx.Done():
			timer.Stop()
			return nil, errors.Join(err, ctx.Err())
		}
	}
}
