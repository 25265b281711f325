package mailstore

import (
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
	breaks := func(_ faultfs.Op, name string) error {
		if strings.Contains(name, alice().Home) {
			return faultfs.EIO
		}
		return nil
	}
	o := newStory(broken).options()
	broken.Hook(breaks)
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

	s, err := Open(t.Context(), o)
	check(t, err)
	broken.Hook(nil)
	s.finish(t.Context())
	if len(s.unfinished.list()) != 0 {
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

// TestUnfinishedIsForgottenWithItsFolder: a folder that leaves gets nothing.
func TestUnfinishedIsForgottenWithItsFolder(t *testing.T) {
	t.Parallel()
	disk := faultfs.NewDisk()
	s := storeOn(t, disk)
	check(t, s.Deliver(t.Context(), alice(), &Delivery{Content: message("kept"), Durable: true}))
	killed := disk.Crash()
	check(t, s.Close())
	broken := faultfs.Wrap(killed)
	broken.Hook(func(_ faultfs.Op, name string) error {
		if strings.Contains(name, alice().Home) {
			return faultfs.EIO
		}
		return nil
	})
	s, err := Open(t.Context(), newStory(broken).options())
	check(t, err)
	broken.Hook(nil)
	if len(s.unfinished.list()) != 1 {
		t.Fatal("nothing is unfinished")
	}
	check(t, s.RemoveAccount(t.Context(), alice()))
	s.finish(t.Context())
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
	entries, err := killed.ReadDir("/mail/.toastmaster/corrupt")
	check(t, err)
	if len(entries) != 1 {
		t.Fatalf("%v", entries)
	}
	kept, err := killed.OpenFile("/mail/.toastmaster/corrupt/"+entries[0].Name(), os.O_RDONLY, 0)
	check(t, err)
	defer kept.Close()
	if b, err := io.ReadAll(kept); err != nil || !strings.Contains(string(b), "Damaged") {
		t.Errorf("kept %q %v", b, err)
	}
}
