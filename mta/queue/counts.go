package queue

import (
	"errors"
	"io/fs"
	"path/filepath"

	"toastmaster/internal/envelope"
)

// Counts counts the messages in each place without listing them: the files in
// deferred/ and hold/ are counted as they come and go, what is in memory is at
// most queue.incoming_limit and the active ones, and corrupt/ is read. While
// messages move it may be off by those.
func (q *Queue) Counts() (map[Place]int64, error) {
	n := q.index.counts()
	n[Deferred] = max(n[Deferred]+q.places.deferred.Load(), 0)
	n[Hold] = max(n[Hold]+q.places.hold.Load(), 0)
	corrupt, err := q.countCorrupt()
	n[Corrupt] = corrupt
	return n, err
}

// countCorrupt counts the messages in corrupt/, which has a record and a content
// of some.
func (q *Queue) countCorrupt() (int64, error) {
	entries, err := q.o.FS.ReadDir(filepath.Join(q.o.Dir, dirCorrupt))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, diskError(err)
	}
	ids := map[envelope.QueueID]bool{}
	for _, e := range entries {
		if id := corruptID(e.Name()); id != "" {
			ids[id] = true
		}
	}
	return int64(len(ids)), nil
}
