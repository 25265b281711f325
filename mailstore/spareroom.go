package mailstore

import (
	"os"
	"path/filepath"
	"sync"

	"toastmaster/internal/spool"
)

// On a full disk a user must be able to open a mailbox and to delete, or nobody
// can make room. So the store holds a file with room (store.reserve) that is
// given up piece by piece for what gives room back or takes next to none: the
// records of an index when a mailbox is opened, flags are set, messages are
// moved or expunged. Mail that comes gets none of it. When there is room again
// the background work makes it whole. The journal has its own reserve.
type spareRoom struct {
	mu    sync.Mutex
	given bool // since it was whole
	said  bool
}

// reservePiece is what is given up at once.
const reservePiece = 64 << 10

func (s *Store) spareFile() string { return filepath.Join(s.root, Private, "reserve.tmp") }

// fillSpare makes it whole, as far as there is room.
func (s *Store) fillSpare(first bool) {
	r := &s.spare
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.cfg.Reserve == 0 || !first && !r.given {
		return
	}
	f, err := s.fs.OpenFile(s.spareFile(), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		s.withoutSpare(err)
		return
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() >= s.cfg.Reserve {
		r.given = false
		return
	}
	if err := f.Allocate(s.cfg.Reserve); err != nil {
		s.withoutSpare(err)
		return
	}
	if r.given {
		s.log.Info("there is room for deletions again", "file", s.spareFile())
	}
	r.given, r.said = false, false
}

// withoutSpare notes that there is no room for it now; r.mu is held.
func (s *Store) withoutSpare(err error) {
	s.spare.given = true
	if !s.spare.said {
		s.spare.said = true
		s.log.Warn("no room for the reserve for deletions", "file", s.spareFile(), "cause", err)
	}
}

// giveRoom gives up a piece of the reserve. It is false when nothing is left.
func (s *Store) giveRoom() bool {
	r := &s.spare
	r.mu.Lock()
	defer r.mu.Unlock()
	f, err := s.fs.OpenFile(s.spareFile(), os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return false
	}
	if !r.given {
		r.given = true
		s.log.Warn("the disk is full, the reserve for deletions is used", "file", s.spareFile())
	}
	return f.Truncate(max(info.Size()-reservePiece, 0)) == nil
}

// withSpare runs f, and again with a piece of the reserve as long as the disk is
// full.
func (s *Store) withSpare(f func() error) error {
	for {
		err := f()
		if err == nil || !spool.IsFull(err) || !s.giveRoom() {
			return err
		}
	}
}
