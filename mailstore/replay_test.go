package mailstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/mailstore/index"
)

func home(root string, parts ...string) string {
	return filepath.Join(append([]string{root, alice().Home}, parts...)...)
}

// TestReplayNeitherDoublesNorRevives repeats deliveries as the queue does
// after a crash, in the same process and after a restart.
func TestReplayNeitherDoublesNorRevives(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	s := openStore(t, root)
	d := func(id string) Delivery { return Delivery{ID: id, Replay: true, Content: message(id)} }
	for _, id := range []string{"stays", "expunged", "moved", "foreign"} {
		deliver(t, s, d(id))
		deliver(t, s, d(id))
	}
	u := openUser(t, s)
	v := openView(t, u, "INBOX")
	if v.Len() != 4 {
		t.Fatalf("%d messages", v.Len())
	}
	check(t, v.Expunge(t.Context(), []uint32{2}))
	_, _, err := v.Move(t.Context(), []uint32{3}, "Archive")
	check(t, err)
	update(t, v, true)
	check(t, v.Close())
	check(t, u.Close())
	for range 2 {
		for _, id := range []string{"stays", "expunged", "moved", "foreign"} {
			deliver(t, s, d(id))
		}
		want := map[string]int{"stays": 1, "moved": 1, "foreign": 1}
		if got := subjectsOf(t, s, "INBOX", "Archive"); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%v", got)
		}
		check(t, s.Close())
		s = openStore(t, root)
	}
	check(t, s.Close())
}

func TestBadIDsAndHomes(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	for _, id := range []string{"a/b", "a.b", "ä", strings.Repeat("x", 65), " "} {
		if err := s.Deliver(t.Context(), alice(), &Delivery{ID: id, Content: message("x")}); err == nil {
			t.Errorf("ID %q was taken", id)
		}
	}
	for _, h := range []string{"", ".", "..", "../x", "/etc", "a/../..", ".toastmaster", ".toastmaster/spool"} {
		if err := s.Deliver(t.Context(), Account{Home: h}, &Delivery{Content: message("x")}); err == nil {
			t.Errorf("home %q was taken", h)
		}
	}
	if err := s.Deliver(t.Context(), alice(), &Delivery{Folder: "none", Content: message("x")}); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v", err)
	}
	check(t, s.Close())
}

// TestRebuildKeepsUIDs loses the files of the index in every combination.
func TestRebuildKeepsUIDs(t *testing.T) {
	t.Parallel()
	files := []string{index.SnapshotFile, index.LogFile, index.CacheFile}
	for lost := range 1 << len(files) {
		for _, damage := range []bool{false, true} {
			root := t.TempDir()
			before := prepareForLoss(t, root)
			for k, name := range files {
				if lost&(1<<k) == 0 {
					continue
				}
				if !damage {
					check(t, os.Remove(home(root, name)))
					continue
				}
				check(t, os.WriteFile(home(root, name), []byte(strings.Repeat("garbage", 1000)), 0o600))
			}
			s := openStore(t, root)
			u := openUser(t, s)
			if status, err := u.Status(t.Context(), "INBOX"); err != nil || status.UIDNext < 8 {
				t.Errorf("lost %03b: UIDNEXT %d %v", lost, status.UIDNext, err)
			}
			check(t, u.Close())
			check(t, s.Close())
			if after := picture(t, root); after != before {
				t.Errorf("lost %03b, damaged %v:\n%s\nwas\n%s", lost, damage, after, before)
			}
		}
	}
}

// snapshot writes one of INBOX's index.
func snapshot(t *testing.T, s *Store) {
	t.Helper()
	limit := s.vol.Config.LogLimit
	s.vol.Config.LogLimit = 0
	check(t, s.boxes[home(s.vol.Root)].Tidy(t.Context(), 0))
	s.vol.Config.LogLimit = limit
	if _, err := s.vol.FS.Stat(home(s.vol.Root, index.SnapshotFile)); err != nil {
		t.Fatal(err)
	}
}

// prepareForLoss makes a mailbox with gaps, flags, a snapshot and a log.
func prepareForLoss(t *testing.T, root string) string {
	t.Helper()
	s := openStore(t, root)
	for i := range 6 {
		deliver(t, s, Delivery{Content: message(fmt.Sprint("m", i)), Date: time.Unix(1e9+int64(i), 0)})
	}
	u := openUser(t, s)
	v := openView(t, u, "INBOX")
	_, err := v.SetFlags(t.Context(), []uint32{2, 3}, FlagsAdd, []imap.Flag{imap.FlagSeen, "work"}, 0)
	check(t, err)
	check(t, v.Expunge(t.Context(), []uint32{1, 4}))
	snapshot(t, s)
	deliver(t, s, Delivery{Content: message("last"), Date: time.Unix(1e9+7, 0)})
	check(t, v.Close())
	check(t, u.Close())
	check(t, s.Close())
	return picture(t, root)
}

// picture opens the store anew and writes down what a client would see.
func picture(t *testing.T, root string) string {
	t.Helper()
	s := openStore(t, root)
	u := openUser(t, s)
	v, err := u.Open(t.Context(), "INBOX", true)
	check(t, err)
	var b strings.Builder
	fmt.Fprintln(&b, v.Info().UIDValidity, v.Info().Flags)
	for seq := uint32(1); seq <= uint32(v.Len()); seq++ {
		m := v.Message(seq)
		structure, err := recordOf(t.Context(), v, seq)
		check(t, err)
		fmt.Fprintln(&b, m.UID, m.Flags, m.Date.Unix(), m.Size, len(structure), readAllOf(t, v, seq))
	}
	check(t, v.Close())
	check(t, u.Close())
	check(t, s.Close())
	return b.String()
}

// TestFullDisk fills the disk and frees it again.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	disk := faultfs.NewDisk()
	o := newStory(disk).options()
	clk := clocktest.New(time.Unix(1e9+100, 0))
	o.Clock = clk
	s, err := Open(t.Context(), o)
	check(t, err)
	disk.Limit(disk.Used() + 20_000)
	kept := 0
	for i := 0; ; i++ {
		err = s.Deliver(t.Context(), alice(), &Delivery{Content: message(fmt.Sprint(i)), Durable: i%2 == 0})
		if err != nil {
			break
		}
		kept++
	}
	if !errors.Is(err, ErrFull) || DSN(err).Status.String() != "4.3.1" {
		t.Fatalf("%v", err)
	}
	disk.Limit(0)
	for i := range 3 {
		d := &Delivery{Content: message(fmt.Sprint("after", i)), Durable: true}
		// The journal pauses after a failure, and may tell once more of the last one, and
		// of one that was under way.
		err := s.Deliver(t.Context(), alice(), d)
		for again := 0; err != nil && again < 3; again++ {
			clk.Advance(time.Second)
			err = s.Deliver(t.Context(), alice(), d)
		}
		check(t, err)
	}
	if got := subjectsOf(t, s, "INBOX"); len(got) != kept+3 {
		t.Errorf("%d messages, want %d", len(got), kept+3)
	}
	check(t, s.Close())
}

// TestRecoveryKeepsPromisedUIDs: after APPEND told UIDs, the index is lost,
// but neither the files nor the journal.
func TestRecoveryKeepsPromisedUIDs(t *testing.T) {
	t.Parallel()
	disk := faultfs.NewDisk()
	clk := clocktest.New(time.Unix(1e9+100, 0))
	o := newStory(disk).options()
	o.Clock = clk
	s, err := Open(t.Context(), o)
	check(t, err)
	u := openUser(t, s)
	add := func(subject string) uint32 {
		t.Helper()
		_, uid, err := u.Append(t.Context(), "INBOX", nil, time.Unix(1e9, 0), message(subject))
		check(t, err)
		return uid
	}
	add("first")
	v := openView(t, u, "INBOX")
	check(t, s.boxes[home("/mail")].Tidy(t.Context(), 0))
	told := map[string]uint32{}
	for _, subject := range []string{"a", "b", "c"} {
		clk.Advance(-time.Second) // names no longer sort as they came
		told[subject] = add(subject)
	}
	lost := disk.Clone()
	for _, name := range []string{index.LogFile, index.CacheFile} {
		check(t, lost.Remove(home("/mail", name)))
	}
	o.FS = lost
	after, err := Open(t.Context(), o)
	check(t, err)
	u2 := openUser(t, after)
	v2 := openView(t, u2, "INBOX")
	if v2.Len() != 4 || v2.Info().UIDValidity != v.Info().UIDValidity {
		t.Errorf("%+v", v2.Info())
	}
	for subject, uid := range told {
		if got, err := subjectOf(v2, v2.Seq(imap.UID(uid))); err != nil || got != subject {
			t.Errorf("UID %d is %q, was %q: %v", uid, got, subject, err)
		}
	}
	for _, view := range []*View{v, v2} {
		check(t, view.Close())
	}
	check(t, u.Close())
	check(t, u2.Close())
	check(t, s.Close())
	check(t, after.Close())
}

// TestADurableDeliveryThatFailedComesAgain: one with an ID whose journal could not be
// written is there once after the next try, and durable; nor is it taken for one that
// its owner removed.
func TestADurableDeliveryThatFailedComesAgain(t *testing.T) {
	t.Parallel()
	disk := faultfs.NewDisk()
	f := faultfs.Wrap(disk)
	s, err := Open(t.Context(), newStory(f).options())
	check(t, err)
	deliver(t, s, Delivery{Content: message("first")})
	f.Hook(func(op faultfs.Op, name string) error {
		if op == faultfs.Write && strings.Contains(name, "/journal-") {
			return faultfs.ENOSPC
		}
		return nil
	})
	again := func(replay bool) error {
		return s.Deliver(t.Context(), alice(), &Delivery{ID: "once", Replay: replay, Durable: true, Content: message("once"), Date: time.Unix(1e9, 0)})
	}
	if err := again(false); err == nil {
		t.Fatal("the journal was written")
	}
	f.Hook(nil)
	check(t, again(true))
	after := disk.Crash()
	check(t, s.Close())
	s = storeOn(t, after)
	if got := subjectsOf(t, s, "INBOX"); got["once"] != 1 {
		t.Errorf("%v", got)
	}
	check(t, s.Close())
}
