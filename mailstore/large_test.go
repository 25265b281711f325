package mailstore

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"toastmaster/internal/envelope"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/vfs"
)

// largeMessage does not go into the journal of a story.
func largeMessage(n int) envelope.Memory {
	return envelope.Memory(fmt.Sprintf("Subject: large %d\n\n", n) + strings.Repeat("a line of a large message\n", 2000))
}

// deliverLarge delivers n large messages and returns those answered OK.
func deliverLarge(t *testing.T, fsys vfs.FS, n int) (kept []string) {
	t.Helper()
	s, err := Open(t.Context(), newStory(fsys).options())
	if err != nil {
		return nil
	}
	defer s.Close()
	for i := range n {
		d := &Delivery{Content: largeMessage(i), Durable: true, Prefix: []byte("Return-Path: <>\n")}
		if s.Deliver(t.Context(), alice(), d) == nil {
			kept = append(kept, fmt.Sprint("large ", i))
		}
	}
	return kept
}

// TestALargeMessageIsSyncedAlone: what others have written to the file system is
// not written for it, and it survives all the same.
func TestALargeMessageIsSyncedAlone(t *testing.T) {
	t.Parallel()
	f := faultfs.Wrap(faultfs.NewDisk())
	s, err := Open(t.Context(), newStory(f).options())
	check(t, err)
	deliver(t, s, Delivery{Content: largeMessage(0), Durable: true})
	before := f.Count(faultfs.SyncFS)
	for i := range 3 {
		deliver(t, s, Delivery{Content: largeMessage(i + 1), Durable: true})
	}
	if n := f.Count(faultfs.SyncFS) - before; n != 0 {
		t.Errorf("the file system was synced %d times", n)
	}
	f.FailNth(faultfs.SyncFS, f.Count(faultfs.SyncFS)+1, faultfs.EIO)
	if err := s.Checkpoint(t.Context()); !errors.Is(err, ErrNotDurable) {
		t.Errorf("%v", err)
	}
	if err := s.Deliver(t.Context(), alice(), &Delivery{Content: largeMessage(9), Durable: true}); !errors.Is(err, ErrNotDurable) {
		t.Errorf("after a sync that failed: %v", err)
	}
	if err := s.Close(); !errors.Is(err, ErrNotDurable) {
		t.Errorf("%v", err)
	}

	f = faultfs.Wrap(faultfs.NewDisk())
	if got := deliverLarge(t, f, 3); len(got) != 3 {
		t.Fatalf("%v", got)
	}
	for n := 1; n <= f.Count(faultfs.Any); n++ {
		disk := faultfs.NewDisk()
		failing := faultfs.Wrap(disk)
		failing.FailFrom(faultfs.Any, n, faultfs.EIO)
		kept := deliverLarge(t, failing, 3)
		for _, after := range []*faultfs.Disk{disk.Crash(), disk.CrashRandom(rand.New(rand.NewPCG(uint64(n), 2))), disk.Clone()} {
			s, err := Open(t.Context(), newStory(after).options())
			check(t, err)
			got := subjectsOf(t, s, "INBOX")
			for _, subject := range kept {
				if got[subject] != 1 {
					t.Fatalf("at operation %d: kept %v, found %v", n, kept, got)
				}
			}
			check(t, s.Close())
		}
	}
}
