package mailstore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"toastmaster/internal/testkit/faultfs"
)

// bob's mailbox works, alice's does not.
func bob() Account { return Account{Home: "example.test/bob"} }

// TestABrokenMailboxDoesNotStopTheStart: what was answered OK for it stays in
// the journal, over a restart too, and gets into its Maildir once that is right.
func TestABrokenMailboxDoesNotStopTheStart(t *testing.T) {
	t.Parallel()
	disk := faultfs.NewDisk()
	s := storeOn(t, disk)
	for _, a := range []Account{alice(), bob()} {
		check(t, s.Deliver(t.Context(), a, &Delivery{Content: message("kept"), Durable: true}))
	}
	killed := disk.Crash() // the Maildirs were never synced
	check(t, s.Close())

	broken := faultfs.Wrap(killed)
	o := newStory(broken).options()
	broken.Hook(breaksAlice)
	for range 2 {
		s, err := Open(t.Context(), o)
		check(t, err)
		u, err := s.User(t.Context(), bob())
		check(t, err)
		if got := subjectsOfUser(t, u, "INBOX"); got["kept"] != 1 {
			t.Errorf("the other one's mail: %v", got)
		}
		check(t, u.Close())
		check(t, s.journal.Checkpoint(t.Context()))
		check(t, s.Close())
	}

	broken.Hook(nil)
	s, err := Open(t.Context(), o)
	check(t, err)
	if s.journal.Unfinished() != 0 {
		t.Error("still unfinished")
	}
	after := killed.Crash()
	check(t, s.Close())
	s = storeOn(t, after)
	if got := subjectsOf(t, s, "INBOX"); fmt.Sprint(got) != "map[kept:1]" {
		t.Errorf("%v", got)
	}
	check(t, s.Close())
}

// openBroken opens a store while alice's mailbox cannot be read or written.
func openBroken(t *testing.T, disk *faultfs.Disk) *Store {
	t.Helper()
	broken := faultfs.Wrap(disk)
	broken.Hook(breaksAlice)
	s, err := Open(t.Context(), newStory(broken).options())
	check(t, err)
	broken.Hook(nil)
	return s
}

func breaksAlice(_ faultfs.Op, name string) error {
	if strings.Contains(name, alice().Home) {
		return faultfs.EIO
	}
	return nil
}

// TestUnfinishedIsForgottenWithItsFolder: a folder that leaves gets nothing.
func TestUnfinishedIsForgottenWithItsFolder(t *testing.T) {
	t.Parallel()
	disk := faultfs.NewDisk()
	s := storeOn(t, disk)
	check(t, s.Deliver(t.Context(), alice(), &Delivery{Content: message("kept"), Durable: true}))
	killed := disk.Crash()
	check(t, s.Close())
	s = openBroken(t, killed)
	if s.journal.Unfinished() != 1 {
		t.Fatal("nothing is unfinished")
	}
	check(t, s.RemoveAccount(t.Context(), alice()))
	if got := subjectsOf(t, s, "INBOX"); len(got) != 0 {
		t.Errorf("came back: %v", got)
	}
	again := killed.Clone()
	check(t, s.Close())
	s = storeOn(t, again)
	if got := subjectsOf(t, s, "INBOX"); len(got) != 0 {
		t.Errorf("came back with the next process: %v", got)
	}
	check(t, s.Close())
}

// TestDamagedRecordOfTheStoreIsKept: nobody has the mail but its Maildir, which
// may be lost.
func TestDamagedRecordOfTheStoreIsKept(t *testing.T) {
	t.Parallel()
	disk := faultfs.NewDisk()
	s := storeOn(t, disk)
	check(t, s.Deliver(t.Context(), alice(), &Delivery{Content: message("damaged"), Durable: true}))
	check(t, s.Deliver(t.Context(), alice(), &Delivery{Content: message("whole"), Durable: true}))
	killed := disk.Crash()
	check(t, s.Close())
	f, err := killed.OpenFile("/mail/.toastmaster/journal-0/segment-000000", os.O_RDWR, 0)
	check(t, err)
	image := make([]byte, 16<<10)
	_, err = f.ReadAt(image, 0)
	check(t, err)
	_, err = f.WriteAt([]byte("D"), int64(strings.Index(string(image), "damaged")))
	check(t, err)
	check(t, f.Close())
	s = storeOn(t, killed)
	if got := subjectsOf(t, s, "INBOX"); fmt.Sprint(got) != "map[whole:1]" {
		t.Errorf("%v", got)
	}
	check(t, s.Close())
	entries, err := killed.ReadDir("/mail/.toastmaster/corrupt/journal-0")
	check(t, err)
	if len(entries) != 1 {
		t.Fatalf("%v", entries)
	}
	kept, err := killed.OpenFile("/mail/.toastmaster/corrupt/journal-0/"+entries[0].Name(), os.O_RDONLY, 0)
	check(t, err)
	defer kept.Close()
	if b, err := io.ReadAll(kept); err != nil || !strings.Contains(string(b), "Damaged") {
		t.Errorf("kept %q %v", b, err)
	}
}

// TestRemovedLongAgoStaysAway: a start does not bring back what was removed,
// however long ago that was, because its record is still in the journal.
func TestRemovedLongAgoStaysAway(t *testing.T) {
	t.Parallel()
	disk := faultfs.NewDisk()
	for round := range 3 {
		s := storeOn(t, disk)
		if round == 0 {
			check(t, s.Deliver(t.Context(), alice(), &Delivery{Content: message("removed"), Durable: true}))
			check(t, s.Deliver(t.Context(), alice(), &Delivery{Content: message("stays"), Durable: true}))
			check(t, s.journal.Checkpoint(t.Context()))
			u := openUser(t, s)
			v := openView(t, u, "INBOX")
			check(t, v.Expunge(t.Context(), []uint32{1}))
			// The index forgets, as it does after store.expunge_memory.
			s.vol.Config.ExpungeEntries = 0
			snapshot(t, s)
			check(t, v.Close())
			check(t, u.Close())
		}
		if got := subjectsOf(t, s, "INBOX"); fmt.Sprint(got) != "map[stays:1]" {
			t.Fatalf("start %d: %v", round, got)
		}
		if round == 1 { // and a kill
			killed := disk.Clone()
			check(t, s.Close())
			disk = killed
			continue
		}
		check(t, s.Close())
	}
}

// TestUnfinishedDoesNotFillTheJournal: when half of the segments wait for it, it
// goes to corrupt/; and its folder is not renamed while it waits.
func TestUnfinishedDoesNotFillTheJournal(t *testing.T) {
	t.Parallel()
	disk := faultfs.NewDisk()
	s := storeOn(t, disk)
	check(t, s.Deliver(t.Context(), alice(), &Delivery{Folder: "Archive", Content: message("kept"), Durable: true}))
	killed := disk.Crash()
	check(t, s.Close())
	s = openBroken(t, killed)
	u := openUser(t, s)
	if err := u.Rename(t.Context(), "Archive", "Other"); !errors.Is(err, ErrBusy) {
		t.Errorf("rename: %v", err)
	}
	check(t, u.Close())
	s.journal.MakeRoom()
	if s.journal.Unfinished() != 1 {
		t.Error("given up without need")
	}
	large := message(strings.Repeat("x", 6<<10)) // twice that with its body: the journal takes it
	for u := s.journal.Usage(); u.Segments <= u.Max/2; u = s.journal.Usage() {
		check(t, s.Deliver(t.Context(), bob(), &Delivery{Content: large, Durable: true}))
	}
	s.journal.MakeRoom()
	if s.journal.Unfinished() != 0 {
		t.Error("it still keeps the journal")
	}
	entries, err := killed.ReadDir("/mail/.toastmaster/corrupt/journal-0")
	check(t, err)
	if len(entries) != 1 {
		t.Errorf("corrupt: %v", entries)
	}
	check(t, s.Close())
}

// TestUnreadableUnfinishedWaits: room is made with what is known to be damaged,
// of which the octets are kept, and not with what cannot be read just now.
func TestUnreadableUnfinishedWaits(t *testing.T) {
	t.Parallel()
	disk := faultfs.NewDisk()
	s := storeOn(t, disk)
	check(t, s.Deliver(t.Context(), alice(), &Delivery{Content: message("kept"), Durable: true}))
	killed := disk.Crash()
	check(t, s.Close())
	f := faultfs.Wrap(killed)
	f.Hook(breaksAlice)
	s, err := Open(t.Context(), newStory(f).options())
	check(t, err)
	f.Hook(nil)
	large := message(strings.Repeat("x", 6<<10)) // twice that with its body: the journal takes it
	for u := s.journal.Usage(); u.Segments <= u.Max/2; u = s.journal.Usage() {
		check(t, s.Deliver(t.Context(), bob(), &Delivery{Content: large, Durable: true}))
	}
	f.Hook(func(op faultfs.Op, _ string) error {
		if op == faultfs.Read {
			return faultfs.EIO
		}
		return nil
	})
	s.journal.MakeRoom()
	f.Hook(nil)
	if s.journal.Unfinished() != 1 {
		t.Fatal("given up because of one read that failed")
	}
	segment, err := killed.OpenFile("/mail/.toastmaster/journal-0/segment-000000", os.O_RDWR, 0)
	check(t, err)
	data := make([]byte, 1<<20)
	n, _ := segment.ReadAt(data, 0)
	_, err = segment.WriteAt([]byte{0xff}, int64(bytes.Index(data[:n], []byte("body of kept"))))
	check(t, err)
	check(t, segment.Close())
	s.journal.MakeRoom()
	entries, err := killed.ReadDir("/mail/.toastmaster/corrupt/journal-0")
	check(t, err)
	if s.journal.Unfinished() != 0 || len(entries) != 1 {
		t.Errorf("%d wait, corrupt/ has %v", s.journal.Unfinished(), entries)
	}
	check(t, s.Close())
}
