package mailstore

import (
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/service"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore/index"
)

// panicking are operations of a session, and the operation on the disk that
// panics under the mailbox's locks.
func panicking() map[string]struct {
	op   faultfs.Op
	file string // a part of its name
	do   func(t *testing.T, s *Store, u *User, v *View) error
} {
	type operation = struct {
		op   faultfs.Op
		file string
		do   func(t *testing.T, s *Store, u *User, v *View) error
	}
	return map[string]operation{
		"deliver": {faultfs.Link, "alice/new", func(t *testing.T, s *Store, _ *User, _ *View) error {
			return s.Deliver(t.Context(), alice(), &Delivery{Content: message("panics")})
		}},
		"copy": {faultfs.Link, "alice/new", func(t *testing.T, _ *Store, _ *User, v *View) error {
			_, _, err := v.Copy(t.Context(), []uint32{1}, "INBOX")
			return err
		}},
		"copy, reading": {faultfs.Read, index.CacheFile, func(t *testing.T, _ *Store, _ *User, v *View) error {
			_, _, err := v.Copy(t.Context(), []uint32{1}, "INBOX")
			return err
		}},
		"move": {faultfs.Rename, "alice/new", func(t *testing.T, _ *Store, _ *User, v *View) error {
			_, _, err := v.Move(t.Context(), []uint32{1}, "B")
			return err
		}},
		"flags": {faultfs.Rename, "alice/new", func(t *testing.T, _ *Store, _ *User, v *View) error {
			_, err := v.SetFlags(t.Context(), []uint32{1}, FlagsAdd, []imap.Flag{imap.FlagSeen}, 0)
			return err
		}},
		"expunge": {faultfs.Remove, "alice/new", func(t *testing.T, _ *Store, _ *User, v *View) error {
			return v.Expunge(t.Context(), []uint32{1})
		}},
		"structure": {faultfs.Read, index.CacheFile, func(t *testing.T, _ *Store, _ *User, v *View) error {
			_, err := recordOf(t.Context(), v, 1)
			return err
		}},
		"relearn": {faultfs.Write, index.LogFile, func(t *testing.T, s *Store, _ *User, v *View) error {
			check(t, os.Truncate(home(s.vol.Root, index.CacheFile), 0))
			_, err := recordOf(t.Context(), v, 1)
			return err
		}},
		"read": {faultfs.ReadDir, "alice/new", func(t *testing.T, s *Store, _ *User, v *View) error {
			check(t, os.Remove(home(s.vol.Root, "new", files(t, home(s.vol.Root, "new"))[0])))
			_, err := v.Read(t.Context(), 1)
			return err
		}},
		"update": {faultfs.Read, index.LogFile, func(t *testing.T, s *Store, _ *User, v *View) error {
			other := openStore(t, s.vol.Root)
			deliver(t, other, Delivery{Content: message("by another process")})
			check(t, other.Close())
			_, err := v.Update(t.Context(), true)
			return err
		}},
		"open": {faultfs.Sync, index.LogFile, func(t *testing.T, s *Store, u *User, _ *View) error {
			deliver(t, s, Delivery{Folder: "B", Content: message("recent")})
			_, err := u.Open(t.Context(), "B", false)
			return err
		}},
		"status": {faultfs.Sync, index.LogFile, func(t *testing.T, s *Store, u *User, _ *View) error {
			deliver(t, s, Delivery{Folder: "B", Content: message("recent")})
			_, err := u.Status(t.Context(), "B")
			return err
		}},
		"rename": {faultfs.Rename, "alice/.B", func(t *testing.T, _ *Store, u *User, _ *View) error {
			return u.Rename(t.Context(), "B", "C")
		}},
		"delete": {faultfs.Rename, "alice/.B", func(t *testing.T, _ *Store, u *User, _ *View) error {
			return u.Delete(t.Context(), "B")
		}},
		"load": {faultfs.ReadDir, "alice/.Archive/cur", func(t *testing.T, _ *Store, u *User, _ *View) error {
			_, err := u.Open(t.Context(), "Archive", false)
			return err
		}},
		"background": {faultfs.Create, index.SnapshotFile, func(t *testing.T, s *Store, _ *User, v *View) error {
			s.vol.Config.LogLimit = 1
			mb := s.boxes[home(s.vol.Root)]
			for range 1000 { // a log longer than half the snapshot
				check(t, mb.Tidy(t.Context(), 0))
				deliver(t, s, Delivery{Content: message("x")})
			}
			return nil
		}},
	}
}

// TestAPanicLeavesNoLock: what panics under the locks of a mailbox, and is
// fenced by its owner, keeps nobody from the mailbox: not its own session on
// the way out, not another delivery, not another process.
func TestAPanicLeavesNoLock(t *testing.T) {
	t.Parallel()
	for name, c := range panicking() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(t.TempDir())
			disk := faultfs.Wrap(vfs.OS{})
			o.FS = disk
			s, err := Open(t.Context(), o)
			check(t, err)
			u := openUser(t, s)
			check(t, u.Create(t.Context(), "B", ""))
			deliver(t, s, Delivery{Content: message("first")})
			v := openView(t, u, "INBOX")
			var panicked atomic.Bool
			disk.Hook(func(op faultfs.Op, name string) error {
				if op == c.op && strings.Contains(name, c.file) && panicked.CompareAndSwap(false, true) {
					panic("the disk is on fire")
				}
				return nil
			})
			done := make(chan error, 1)
			go func() {
				err := service.Fenced(o.Log, func() error { return c.do(t, s, u, v) })
				disk.Hook(nil)
				if !panicked.Load() {
					t.Errorf("no panic, %v", err)
				}
				done <- goesOn(t, s, u, v)
			}()
			select {
			case err := <-done:
				check(t, err)
			case <-time.After(time.Minute):
				t.Fatal("a mailbox stays locked")
			}
		})
	}
}

// goesOn uses the mailboxes from another process and from this one, and ends
// the session.
func goesOn(t *testing.T, s *Store, u *User, v *View) error {
	other := openStore(t, s.vol.Root)
	for _, st := range []*Store{other, s} {
		for _, folder := range []string{"INBOX", "B", "Archive"} {
			if err := st.Deliver(t.Context(), alice(), &Delivery{Folder: folder, Content: message("next")}); err != nil {
				return err
			}
		}
	}
	if err := v.Close(); err != nil {
		return err
	}
	if err := u.Close(); err != nil {
		return err
	}
	if err := s.Close(); err != nil {
		return err
	}
	return other.Close()
}
