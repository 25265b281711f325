package queue

import (
	"fmt"
	"sync"
	"time"

	"toastmaster/internal/dsn"
)

// spaceAge is how long a measurement of the free space is good for.
const spaceAge = time.Second

// space is the free space of the queue's file system, as it was measured last.
type space struct {
	mu   sync.Mutex
	at   time.Time
	free int64
	err  error
	// absent is what present said then.
	absent error
}

// Room says whether a message of size octets may come in: 4.3.1 when it would
// leave less than queue.min_free on the queue's file system. size is 0 when it
// is not known. The space is measured at most once a second. When it cannot be
// measured there is room: a disk that is really full says so itself. 4.3.0 when
// the queue is not in its place, looked at as often.
func (q *Queue) Room(size int64) error {
	free, err, absent := q.free()
	if absent != nil {
		return absent
	}
	if q.cfg.MinFree == 0 || err != nil || free-size >= q.cfg.MinFree {
		return nil
	}
	return dsn.Wrap(dsn.SystemFull, "Insufficient system storage",
		fmt.Errorf("%d octets are free for a message of %d, queue.min_free is %d", free, size, q.cfg.MinFree))
}

func (q *Queue) free() (free int64, measured, absent error) {
	s := &q.space
	s.mu.Lock()
	defer s.mu.Unlock()
	now := q.o.Clock.Now()
	if age := now.Sub(s.at); !s.at.IsZero() && age >= 0 && age < spaceAge {
		return s.free, s.err, s.absent
	}
	free, err := q.o.FS.Free(q.o.Dir)
	if err != nil && s.err == nil {
		q.o.Log.Warn("free space of the queue cannot be measured", "cause", err)
	}
	s.at, s.free, s.err, s.absent = now, free, err, q.present()
	return s.free, s.err, s.absent
}
