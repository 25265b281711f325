package mailstore

import (
	"errors"
	"fmt"
	"testing"

	"toastmaster/internal/envelope"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/mailstore/box"
)

// mailboxOf opens a mailbox below the API; the test gives it back.
func mailboxOf(t *testing.T, u *User, name string) *box.Box {
	t.Helper()
	mb, err := u.acct.open(t.Context(), name)
	check(t, err)
	return mb
}

// storeOn opens a store on a disk in memory, as one process.
func storeOn(t *testing.T, disk *faultfs.Disk) *Store {
	t.Helper()
	o := newStory(disk).options()
	s, err := Open(t.Context(), o)
	check(t, err)
	return s
}

// foldersAfter opens what is on the disk and counts subjects in folders; one
// that does not exist has the count "no".
func foldersAfter(t *testing.T, disk *faultfs.Disk, names ...string) string {
	t.Helper()
	s := storeOn(t, disk)
	u := openUser(t, s)
	out := ""
	for _, name := range names {
		status, err := u.Status(t.Context(), name)
		switch {
		case errors.Is(err, ErrNotFound):
			out += name + ":no "
		default:
			check(t, err)
			out += fmt.Sprint(name, ":", status.Messages, " ")
		}
	}
	check(t, u.Close())
	check(t, s.Close())
	return out
}

// watched is a content that does something when it is asked for, once: when asked
// says so.
type watched struct {
	envelope.Memory
	asked func() bool
	done  bool
}

func (w *watched) Bytes() ([]byte, bool) {
	if !w.done {
		w.done = w.asked()
	}
	return w.Memory.Bytes()
}

// TestAFolderThatLeavesDuringADelivery: the file is there, its record is not
// yet, and the folder leaves. No start brings the folder back, and what was
// answered OK is there once.
func TestAFolderThatLeavesDuringADelivery(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		leave func(t *testing.T, s *Store, u *User) error
		err   error
		after string
	}{
		"deleted": {func(t *testing.T, _ *Store, u *User) error { return u.Delete(t.Context(), "Work") }, ErrNotFound, "Work:no Other:no "},
		"renamed": {func(t *testing.T, _ *Store, u *User) error { return u.Rename(t.Context(), "Work", "Other") }, nil, "Work:no Other:1 "},
		"account": {func(t *testing.T, s *Store, _ *User) error { return s.RemoveAccount(t.Context(), alice()) }, ErrNotFound, "Work:no Other:no "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			disk := faultfs.NewDisk()
			s := storeOn(t, disk)
			u := openUser(t, s)
			check(t, u.Create(t.Context(), "Work", ""))
			content := &watched{Memory: message("x"), asked: func() bool {
				if there, err := disk.ReadDir("/mail/example.test/alice/.Work/new"); err != nil || len(there) == 0 {
					return false
				}
				check(t, c.leave(t, s, u))
				return true
			}}
			err := s.Deliver(t.Context(), alice(), &Delivery{Folder: "Work", Content: content, Durable: true})
			if !errors.Is(err, c.err) {
				t.Errorf("%v", err)
			}
			if !content.done {
				t.Error("the folder stayed")
			}
			check(t, s.journal.Flush(t.Context()))
			if got := foldersAfter(t, disk.Clone(), "Work", "Other"); got != c.after {
				t.Errorf("after a kill: %s", got)
			}
			check(t, u.Close())
			check(t, s.Close())
		})
	}
}

// TestAFolderThatLeftInAnotherProcess: the record of the message and that of the
// folder's end lie in two journals.
func TestAFolderThatLeftInAnotherProcess(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		leave func(t *testing.T, u *User)
		after string
	}{
		"deleted": {func(t *testing.T, u *User) { check(t, u.Delete(t.Context(), "Work")) }, "Work:no Other:no "},
		"made anew": {func(t *testing.T, u *User) {
			check(t, u.Delete(t.Context(), "Work"))
			check(t, u.Create(t.Context(), "Work", ""))
		}, "Work:0 Other:no "},
		"renamed": {func(t *testing.T, u *User) { check(t, u.Rename(t.Context(), "Work", "Other")) }, "Work:no Other:1 "},
		"and back": {func(t *testing.T, u *User) {
			check(t, u.Rename(t.Context(), "Work", "Other"))
			check(t, u.Rename(t.Context(), "Other", "Work"))
		}, "Work:1 Other:no "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			disk := faultfs.NewDisk()
			one, two := storeOn(t, disk), storeOn(t, disk)
			u1, u2 := openUser(t, one), openUser(t, two)
			check(t, u1.Create(t.Context(), "Work", ""))
			check(t, one.Checkpoint(t.Context()))
			_, _, err := u1.Append(t.Context(), "Work", nil, one.vol.Clock.Now(), message("x"))
			check(t, err)
			c.leave(t, u2)
			if got := foldersAfter(t, disk.Clone(), "Work", "Other"); got != c.after {
				t.Errorf("after a kill: %s", got)
			}
			for _, u := range []*User{u1, u2} {
				check(t, u.Close())
			}
			check(t, two.Close())
			check(t, one.Close())
		})
	}
}

// TestAFolderThatIsBack: a folder that some journal says has left, and that is
// in its place again, gets what was put there.
func TestAFolderThatIsBack(t *testing.T) {
	t.Parallel()
	disk := faultfs.NewDisk()
	one, two := storeOn(t, disk), storeOn(t, disk)
	u1, u2 := openUser(t, one), openUser(t, two)
	check(t, u1.Create(t.Context(), "Work", ""))
	check(t, u2.Rename(t.Context(), "Work", "Other"))
	check(t, u2.Rename(t.Context(), "Other", "Work"))
	check(t, two.vol.SyncAll())
	_, _, err := u1.Append(t.Context(), "Work", nil, one.vol.Clock.Now(), message("x"))
	check(t, err)
	if got := foldersAfter(t, disk.Crash(), "Work", "Other"); got != "Work:1 Other:no " {
		t.Errorf("after a power loss: %s", got)
	}
	for _, u := range []*User{u1, u2} {
		check(t, u.Close())
	}
	check(t, two.Close())
	check(t, one.Close())
}
