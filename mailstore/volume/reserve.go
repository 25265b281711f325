package volume

import (
	"os"
	"path/filepath"

	"toastmaster/internal/lockorder"
	"toastmaster/internal/spool"
)

// On a full disk a user must be able to open a mailbox and to delete, or nobody
// can make room. So the store holds a file with room (store.reserve) that is
// given up piece by piece for what gives room back or takes next to none: the
// records of an index when a mailbox is opened, flags are set, messages are
// moved or expunged. Mail that comes gets none of it. When there is room again
// the background work makes it whole. The journal has its own reserve.
type reserve struct {
	mu    lockorder.Mutex[InnerLock]
	given bool // since it was whole
	said  bool
}

// reservePiece is what is given up at once.
const reservePiece = 64 << 10

func (s *Volume) ReserveFile() string { return filepath.Join(s.Root, Private, "reserve.tmp") }

// FillReserve makes it whole, as far as there is room.
func (s *Volume) FillReserve(first bool) {
	r := &s.reserve
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.Config.Reserve == 0 || !first && !r.given {
		return
	}
	f, err := s.FS.OpenFile(s.ReserveFile(), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		s.withoutReserve(err)
		return
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() >= s.Config.Reserve {
		r.given = false
		return
	}
	if err := f.Allocate(s.Config.Reserve); err != nil {
		s.withoutReserve(err)
		return
	}
	if r.given {
		s.Log.Info("there is room for deletions again", "file", s.ReserveFile())
	}
	r.given, r.said = false, false
}

// withoutReserve notes that there is no room for it now; r.mu is held.
func (s *Volume) withoutReserve(err error) {
	s.reserve.given = true
	if !s.reserve.said {
		s.reserve.said = true
		s.Log.Warn("no room for the reserve for deletions", "file", s.ReserveFile(), "cause", err)
	}
}

// GiveRoom gives up a piece of the reserve. It is false when nothing is left.
func (s *Volume) GiveRoom() bool {
	r := &s.reserve
	r.mu.Lock()
	defer r.mu.Unlock()
	f, err := s.FS.OpenFile(s.ReserveFile(), os.O_RDWR, 0)
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
		s.Log.Warn("the disk is full, the reserve for deletions is used", "file", s.ReserveFile())
	}
	return f.Truncate(max(info.Size()-reservePiece, 0)) == nil
}

// WithReserve runs f, and again with a piece of the reserve as long as the disk is
// full.
func (s *Volume) WithReserve(f func() error) error {
	for {
		err := f()
		if err == nil || !spool.IsFull(err) || !s.GiveRoom() {
			return err
		}
	}
}
