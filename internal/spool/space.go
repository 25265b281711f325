package spool

import (
	"fmt"
	"sync"
	"time"

	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
	"toastmaster/internal/vfs"
)

// spaceAge is how long a measurement of the free space is good for.
const spaceAge = time.Second

// Space is the free space of a file system, measured at most once a second. It
// is safe for concurrent use once its exported fields are set.
type Space struct {
	FS    vfs.FS
	Dir   string
	Clock clock.Clock
	// MinFree must be left, in octets; Param is the parameter's name. 0 leaves
	// nothing free and measures nothing.
	MinFree int64
	Param   string
	// Failed is told the first of several failed measurements. It may be nil.
	Failed func(error)
	// Present, which may be nil, is asked as often: its error is Room's.
	Present func() error

	mu     sync.Mutex
	at     time.Time
	free   int64
	err    error
	absent error
}

// Room says whether a message of size octets may come in: 4.3.1 when it would
// leave less than MinFree. size is 0 when it is not known. When the space cannot
// be measured there is room: a disk that is really full says so itself.
func (s *Space) Room(size int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.measure()
	if s.absent != nil {
		return s.absent
	}
	if s.MinFree == 0 || s.err != nil || s.free-size >= s.MinFree {
		return nil
	}
	cause := fmt.Errorf("%d octets are free for a message of %d, %s is %d", s.free, size, s.Param, s.MinFree)
	if size == 0 {
		cause = fmt.Errorf("%d octets are free in %s, %s is %d", s.free, s.Dir, s.Param, s.MinFree)
	}
	return dsn.Wrap(dsn.SystemFull, "Insufficient system storage", cause)
}

func (s *Space) measure() {
	now := s.Clock.Now()
	if age := now.Sub(s.at); !s.at.IsZero() && age >= 0 && age < spaceAge {
		return
	}
	before := s.err
	s.at = now
	if s.MinFree > 0 {
		s.free, s.err = s.FS.Free(s.Dir)
	}
	if s.err != nil && before == nil && s.Failed != nil {
		s.Failed(s.err)
	}
	if s.Present != nil {
		s.absent = s.Present()
	}
}
