package account

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/emersion/go-imap/v2"

	"toastmaster/configs"
	"toastmaster/internal/clock"
	"toastmaster/internal/msglog"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore/recovery"
	"toastmaster/mailstore/volume"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// bed is an account on a disk in memory, whose mailboxes hold what sum says.
type bed struct {
	*Account
	vol  *volume.Volume
	held int // by reservations
	sum  Usage
}

func newBed(t *testing.T, change func(*configs.Store)) *bed {
	t.Helper()
	c := configs.Default().Store
	c.DefaultFolders = []string{"Sent", "Trash"}
	if change != nil {
		change(&c)
	}
	return newBedOn(t, faultfs.NewDisk(), clock.System{}, c)
}

// newBedOn is one as a process has it; a second one on the same disk is another process's.
func newBedOn(t *testing.T, disk *faultfs.Disk, clk clock.Clock, c configs.Store) *bed {
	t.Helper()
	return newBedWith(t, disk, clk, c)
}

// newBedWith is one on a disk that may fail.
func newBedWith(t *testing.T, disk vfs.FS, clk clock.Clock, c configs.Store) *bed {
	t.Helper()
	vol := volume.New(volume.Options{Root: "/mail", FS: disk, Clock: clk, Log: msglog.Discard(), Hostname: "host.test", Config: c})
	check(t, disk.MkdirAll("/mail/"+volume.Private+"/spool", 0o700))
	check(t, vol.Open(t.Context()))
	b := &bed{vol: vol}
	t.Cleanup(b.end)
	b.Account = New(Options{
		Volume: vol, Records: recovery.New(vol).Account("alice"),
		Sum:    func(context.Context, []string) (Usage, error) { return b.sum, nil },
		Retain: func(n int) { b.held += n },
	})
	check(t, b.Ensure())
	return b
}

// end ends the process.
func (b *bed) end() {
	if b.vol != nil {
		_ = b.vol.Close() // a disk in memory
		b.vol = nil
	}
}

func (b *bed) listed(t *testing.T) (names []string) {
	t.Helper()
	folders, err := b.List(t.Context())
	check(t, err)
	for _, f := range folders {
		names = append(names, f.Name)
	}
	return names
}

func TestFoldersAndTheirSmallFiles(t *testing.T) {
	t.Parallel()
	b := newBed(t, func(c *configs.Store) { c.MaxFolders = 4 })
	if got := b.listed(t); !slices.Equal(got, []string{"INBOX", "Sent", "Trash"}) {
		t.Fatalf("%q", got)
	}
	if pending, err := b.IsPending(".Sent"); err != nil || !pending {
		t.Errorf("Sent waits: %v %v", pending, err)
	}
	check(t, b.Create(t.Context(), "Work/2026", imap.MailboxAttrArchive))
	if err := b.Create(t.Context(), "Work/2026", ""); !errors.Is(err, volume.ErrExists) {
		t.Errorf("%v", err)
	}
	if err := b.Create(t.Context(), "Sent", ""); !errors.Is(err, volume.ErrExists) {
		t.Errorf("a default folder that waits: %v", err)
	}
	if err := b.Create(t.Context(), "One/Two/Three", ""); !errors.Is(err, volume.ErrLimit) {
		t.Errorf("%v", err)
	}
	there, err := b.MakePending(".Trash")
	if err != nil || !there {
		t.Errorf("%v %v", there, err)
	}
	check(t, b.Lock())
	check(t, b.ForgetDefaults("Sent", true))
	check(t, b.MoveSpecialUse("Work", "Play"))
	b.Unlock()
	check(t, b.Subscribe(t.Context(), "Work/2026", true))
	if err := b.Subscribe(t.Context(), "Nowhere", true); !errors.Is(err, volume.ErrNotFound) {
		t.Errorf("%v", err)
	}
	if got := b.listed(t); !slices.Equal(got, []string{"INBOX", "Sent", "Trash", "Work", "Work/2026"}) {
		t.Errorf("Sent is still subscribed, and no mailbox: %q", got)
	}
	b.Records.Remove()
	if err := b.Lock(); !errors.Is(err, volume.ErrNotFound) {
		t.Errorf("a removed account: %v", err)
	}
}

// TestUIDValiditiesAreGivenOnce: also within one second.
func TestUIDValiditiesAreGivenOnce(t *testing.T) {
	t.Parallel()
	b := newBed(t, nil)
	last := uint32(0)
	for range 5 {
		next, err := b.NextUIDValidity()
		check(t, err)
		if next <= last {
			t.Errorf("%d after %d", next, last)
		}
		last = next
	}
}

func TestReservations(t *testing.T) {
	t.Parallel()
	b := newBed(t, func(c *configs.Store) { c.QuotaGrace = 10 })
	b.sum = Usage{Bytes: 50, Messages: 1}
	b.Quota.Limit(Usage{Bytes: 100})
	reserve := func(id string, size int64, why Purpose) *Reservation {
		r, err := b.Quota.Reserve(t.Context(), id, size, 1, why)
		if err != nil && !errors.Is(err, volume.ErrOverQuota) {
			t.Fatal(err)
		}
		return r
	}
	first := reserve("a", 40, Delivering)
	if first == nil || b.held != 1 || reserve("a", 40, Delivering) != first {
		t.Fatalf("%v, held %d", first, b.held)
	}
	if r := reserve("", 11, Saving); r != nil {
		t.Error("a user saves more than the quota")
	}
	// Ten per cent of grace for the message that begins below.
	if r := reserve("b", 20, Delivering); r == nil {
		t.Error("no grace")
	}
	if r := reserve("c", 1, Delivering); r != nil {
		t.Error("a message that begins above has grace")
	}
	b.Quota.Unreserve("b")
	b.Quota.Redeem(first, 40, 1)
	first.Cancel()
	if used, err := b.Quota.Used(t.Context()); err != nil || used != (Usage{90, 2}) || b.held != 0 {
		t.Errorf("%+v %v, held %d", used, err, b.held)
	}
	if r := reserve("", 10, Saving); r == nil {
		t.Error("what was given back is not there")
	}
}

func TestTrail(t *testing.T) {
	t.Parallel()
	var trail Trail
	trail.Renamed(FolderID{".A", 1}, ".B")
	trail.Renamed(FolderID{".B", 1}, ".C")
	trail.Renamed(FolderID{".B", 2}, ".X") // another mailbox of that name
	if dir, ok := trail.End(FolderID{".A", 1}); dir != ".C" || !ok {
		t.Errorf("%s %v", dir, ok)
	}
	trail.Renamed(FolderID{".C", 1}, ".A") // and back
	if dir, ok := trail.End(FolderID{".B", 1}); dir != ".A" || !ok {
		t.Errorf("%s %v", dir, ok)
	}
	if _, ok := trail.End(FolderID{".C", 2}); ok {
		t.Error("a trail of a mailbox that was not renamed")
	}
}
