package queue

import (
	"context"
	"errors"
	"path/filepath"

	"toastmaster/internal/journal"
)

// departure is what a message leaves on the disk that goes once the store is durable
// and the marks are on disk.
type departure struct {
	m     *message // nil: a content that its message does not need any more
	paths []string // of files to be removed
	stray string   // of a file that does not count, "" for none
	pin   journal.Position
}

// cleanLater removes files after the next checkpoint.
func (q *Queue) cleanLater(c departure) {
	q.finishedMu.Lock()
	q.finished = append(q.finished, c)
	q.finishedMu.Unlock()
	q.j.Touch()
}

// noteStore says that a mark needs a checkpoint.
func (q *Queue) noteStore() {
	if !q.storeMarks.Swap(true) {
		q.j.Touch()
	}
}

// checkpoint is what the journal calls: it makes the store durable and writes
// down which marks that covers. A mark with a number below the checkpoint's
// own was made after its delivery was written and before the sync began.
func (q *Queue) checkpoint(ctx context.Context) error {
	gen := q.gen.Add(1) - 1
	q.finishedMu.Lock()
	finished := q.finished
	q.finished = nil
	q.finishedMu.Unlock()
	marks := q.storeMarks.Swap(false)
	if q.o.Checkpoint != nil {
		if err := q.o.Checkpoint(ctx); err != nil {
			q.storeMarks.Store(true)
			q.finishedMu.Lock()
			q.finished = append(finished, q.finished...)
			q.finishedMu.Unlock()
			return err
		}
	}
	q.durable.Store(gen)
	if marks {
		if err := q.j.AppendLazy(checkpointed{q.boot, gen}.encode()); err != nil {
			q.o.Log.Warn("queue checkpoint not written", "cause", err.Error())
		}
	}
	if len(finished) > 0 {
		q.finishedMu.Lock()
		q.removable = append(q.removable, finished...)
		q.finishedMu.Unlock()
		signal(q.tidy)
	}
	return nil
}

// removeFinished removes the files that a checkpoint has made superfluous. They are
// gone when it returns, whoever has removed them.
func (q *Queue) removeFinished(ctx context.Context) {
	q.tidying.Lock()
	defer q.tidying.Unlock()
	q.finishedMu.Lock()
	list := q.removable
	q.removable = nil
	q.finishedMu.Unlock()
	if len(list) == 0 {
		return
	}
	if err := q.j.Flush(ctx); err != nil {
		q.keepRemovable(list)
		return
	}
	var failed []departure
	dirs := map[string]error{}
	for _, c := range list {
		for _, path := range c.paths {
			dir := filepath.Dir(path)
			dirs[dir] = errors.Join(dirs[dir], q.places.remove(path))
		}
		if c.stray != "" {
			dir := filepath.Dir(c.stray)
			dirs[dir] = errors.Join(dirs[dir], q.places.removeStray(c.stray))
		}
	}
	for dir, err := range dirs {
		if err == nil {
			err = q.o.FS.SyncDir(dir)
		}
		if dirs[dir] = err; err != nil {
			q.o.Log.Error("queue files not removed", "dir", dir, "cause", err.Error())
		}
	}
	for _, c := range list {
		if c.cleared(dirs) {
			q.j.Release(c.pin)
			if c.m != nil {
				_ = q.advance(ctx, c.m, evCleared) // forgets it
			}
		} else {
			failed = append(failed, c)
		}
	}
	q.keepRemovable(failed)
}

// cleared says that the files of a message are durably gone.
func (c departure) cleared(dirs map[string]error) bool {
	for _, path := range append(c.paths[:len(c.paths):len(c.paths)], c.stray) {
		if path != "" && dirs[filepath.Dir(path)] != nil {
			return false
		}
	}
	return true
}

// keepRemovable tries again after the next checkpoint.
func (q *Queue) keepRemovable(list []departure) {
	if len(list) == 0 {
		return
	}
	q.finishedMu.Lock()
	q.finished = append(q.finished, list...)
	q.finishedMu.Unlock()
	q.j.Touch()
}
