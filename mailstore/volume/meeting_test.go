package volume

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"toastmaster/internal/testkit/faultfs"
)

// beside is another process on the disk of g.
func (g *ground) beside(t *testing.T) *ground {
	t.Helper()
	other := &ground{disk: g.disk, clock: g.clock, log: g.log, faults: faultfs.Wrap(g.disk)}
	o := g.Options
	o.FS = other.faults
	other.Volume = New(o)
	check(t, other.Open(t.Context()))
	t.Cleanup(func() { _ = other.Close() })
	return other
}

// TestACopyByAnotherProcessIsKnown: who takes something away knows that a process has copied
// or moved something of the account since the last checkpoint of this one, and of no other
// account; whatever cannot be read counts as a copy.
func TestACopyByAnotherProcessIsKnown(t *testing.T) {
	t.Parallel()
	g := newGround(t, nil)
	other := g.beside(t)
	lately := func(when string, want bool) {
		t.Helper()
		for home, want := range map[string]bool{"a.test/alice": want, "a.test/bob": false} {
			if got := g.CopiedLately(home); got != want {
				t.Errorf("%s: %s copied lately: %v", when, home, got)
			}
		}
	}
	lately("at the start", false)
	other.NoteCopying("a.test/alice")
	lately("after a copy", true)
	lately("as long as there is no checkpoint", true)
	check(t, g.Checkpoint(t.Context()))
	lately("after a checkpoint", false)
	g.NoteCopying("a.test/alice")
	lately("after a copy of our own", true)
	check(t, other.Checkpoint(t.Context())) // is that of another process
	lately("after a checkpoint of another process", true)
	check(t, g.Checkpoint(t.Context()))
	lately("after our own", false)
	// One that begins later need not care for what was before: a checkpoint is its first.
	if later := g.beside(t); later.CopiedLately("a.test/alice") {
		t.Error("a process that began later")
	}
	g.faults.Reset()
	g.faults.FailNth(faultfs.Read, 1, faultfs.EIO)
	if !g.CopiedLately("a.test/alice") {
		t.Error("it cannot be read, and is taken for none")
	}
	other.faults.FailFrom(faultfs.Write, 1, faultfs.EIO)
	other.NoteCopying("a.test/alice")
	if !strings.Contains(g.log.String(), "not told of a copy") || !other.CopiedLately("a.test/alice") {
		t.Errorf("it could not be written: log %s", g.log)
	}
}

// TestWhereProcessesMeet: whatever is in the file when nobody is there, and whatever fails, a
// process has a place of its own or does not begin; one that did not begin holds none.
func TestWhereProcessesMeet(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"nothing": "", "something else": "this is another file", "a part": processesMagic + "\x01\x02", "zeros": strings.Repeat("\x00", 64<<10),
	} {
		g := newGround(t, nil)
		check(t, g.Close())
		g.write(t, "/mail/"+Private+"/"+ProcessesFile, text)
		a := g.beside(t)
		b := a.beside(t)
		others, err := a.Others()
		if err != nil || a.Era() == 0 || a.Era() != b.Era() || len(others) != 1 || others[0] != b.Own() || a.Own().Key == 0 {
			t.Errorf("%s: eras %x and %x, %v beside %v, %v", name, a.Era(), b.Era(), others, a.Own(), err)
		}
		if lives, err := a.Lives(Process{b.Own().Slot, b.Own().Key + 2}); lives || err != nil {
			t.Errorf("%s: who had the place before lives: %v", name, err)
		}
		if head := g.read(t, "/mail/"+Private+"/"+ProcessesFile); binary.LittleEndian.Uint64([]byte(head[8:])) != a.Era() {
			t.Errorf("%s: the era is not in the file", name)
		}
	}
	for _, op := range []faultfs.Op{faultfs.Create, faultfs.Open, faultfs.Write, faultfs.Lock} {
		for n := 1; ; n++ {
			g := newGround(t, nil)
			v := New(g.Options)
			g.faults.Reset()
			g.faults.FailNth(op, n, faultfs.EIO)
			err := v.Open(t.Context())
			failed := g.faults.Count(op) >= n
			g.faults.Reset()
			if failed != (err != nil) {
				t.Errorf("%s %d: %v", op, n, err)
			}
			if others, err := g.Others(); err != nil || (len(others) > 0) == failed {
				t.Errorf("%s %d: %v have a place, %v", op, n, others, err)
			}
			if err == nil {
				check(t, v.Close())
			}
			if !failed {
				break
			}
		}
	}
}

// TestAFullDiskHasRoomForAProcess: with the reserve; without, it does not begin.
func TestAFullDiskHasRoomForAProcess(t *testing.T) {
	t.Parallel()
	for _, reserve := range []int64{4 * reservePiece, 0} {
		g := newGround(t, func(o *Options) { o.Config.Reserve = reserve })
		check(t, g.Close())
		check(t, g.disk.Remove("/mail/"+Private+"/"+ProcessesFile))
		g.write(t, "/mail/full", "x") // a limit of 0 is none
		g.disk.Limit(g.disk.Used())
		v := New(g.Options)
		err := v.Open(t.Context())
		if (err == nil) != (reserve > 0) || err != nil && !IsFull(err) {
			t.Errorf("with a reserve of %d: %v", reserve, err)
		}
		if err == nil {
			check(t, v.Close())
		}
	}
}

// TestAccountLocks: one process has a lock at a time, and each other one waits for it as long
// as it may; two locks that share an octet keep each other away within a process, too.
func TestAccountLocks(t *testing.T) {
	t.Parallel()
	g := newGround(t, nil)
	other := g.beside(t)
	lock := func(v *Volume, home, what string) *AccountLock[FoldersDiskLock] {
		return NewAccountLock[FoldersDiskLock](AccountLockOptions{Volume: v, Home: home, What: what})
	}
	held := lock(other.Volume, "alice", "folders")
	ok, done := make(chan error), make(chan struct{})
	go func() { // another process has locks of its own
		ok <- held.Lock(context.Background())
		<-done
		held.Unlock()
		ok <- nil
	}()
	check(t, <-ok)
	for _, free := range []*AccountLock[FoldersDiskLock]{lock(g.Volume, "bob", "folders"), lock(g.Volume, "alice", "usage")} {
		check(t, free.Lock(t.Context()))
		free.Unlock()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	mine := lock(g.Volume, "alice", "folders")
	if err := mine.Lock(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that is over: %v", err)
	}
	waited := make(chan error, 1)
	go func() { waited <- mine.Lock(t.Context()) }()
	check(t, g.clock.WaitTimers(t.Context(), 1))
	g.clock.Advance(g.Config.LockTimeout)
	if err := <-waited; !errors.Is(err, ErrBusy) || !strings.Contains(fmt.Sprint(err), "alice") {
		t.Errorf("after store.lock_timeout: %v", err)
	}
	if err := mine.Lock(t.Context()); !errors.Is(err, ErrBusy) { // without a wait
		t.Errorf("the next: %v", err)
	}
	close(done)
	check(t, <-ok)
	check(t, mine.Lock(t.Context()))
	twin := lock(g.Volume, "alice", "folders") // as one whose name has the same hash
	go func() { waited <- twin.Lock(t.Context()) }()
	check(t, g.clock.WaitTimers(t.Context(), 1))
	mine.Unlock()
	g.clock.Advance(time.Second)
	check(t, <-waited)
	g.faults.Reset()
	g.faults.FailNth(faultfs.Lock, 1, faultfs.EIO)
	if err := lock(g.Volume, "carol", "folders").Lock(t.Context()); !errors.Is(err, faultfs.EIO) {
		t.Errorf("a disk that fails: %v", err)
	}
	check(t, lock(g.Volume, "carol", "folders").Lock(t.Context())) // it is not taken for held
}

// TestNotesOfRemovals: what cannot be written or read is said, a note that is damaged is one
// of long ago, and the old ones go though one of them cannot.
func TestNotesOfRemovals(t *testing.T) {
	t.Parallel()
	g := newGround(t, nil)
	for _, op := range []faultfs.Op{faultfs.Mkdir, faultfs.Create, faultfs.Write, faultfs.Rename} {
		g.faults.Reset()
		g.faults.FailNth(op, 1, faultfs.EIO)
		if err := g.NoteRemoved("alice", "5f"); !errors.Is(err, faultfs.EIO) {
			t.Errorf("%s: %v", op, err)
		}
		if at, _, err := g.Removed("alice"); err != nil || !at.IsZero() {
			t.Errorf("%s: removed at %v, %v", op, at, err)
		}
	}
	g.faults.Reset()
	check(t, g.NoteRemoved("alice", "5f"))
	g.faults.FailNth(faultfs.Open, 1, faultfs.EIO)
	if _, _, err := g.Removed("alice"); !errors.Is(err, faultfs.EIO) {
		t.Errorf("%v", err)
	}
	if at, validity, err := g.Removed("alice"); err != nil || !at.Equal(g.clock.Now()) || validity != "5f" {
		t.Errorf("%v %q %v", at, validity, err)
	}
	dir, file := g.removedFile("alice")
	for _, damaged := range []string{"x", "x 5f\n", "99999999999999999999999 5f\n"} {
		g.write(t, dir+"/"+file, damaged)
		if at, _, err := g.Removed("alice"); err != nil || !at.IsZero() {
			t.Errorf("%q: %v %v", damaged, at, err)
		}
	}
	g.faults.Reset()
	g.faults.FailNth(faultfs.ReadDir, 1, faultfs.EIO)
	if err := g.ForgetRemoved(); !errors.Is(err, faultfs.EIO) {
		t.Errorf("%v", err)
	}
	old := g.clock.Now().Add(-RemovalMemory - time.Minute)
	check(t, g.NoteRemoved("bob", ""))
	check(t, g.disk.Chtimes(dir+"/"+file, old, old))
	_, bobs := g.removedFile("bob")
	check(t, g.disk.Chtimes(dir+"/"+bobs, g.clock.Now(), g.clock.Now()))
	g.faults.FailNth(faultfs.Remove, 1, faultfs.EIO)
	if err := g.ForgetRemoved(); !errors.Is(err, faultfs.EIO) {
		t.Errorf("%v", err)
	}
	check(t, g.ForgetRemoved())
	if entries, err := g.disk.ReadDir(dir); err != nil || len(entries) != 1 || entries[0].Name() != bobs {
		t.Errorf("%v %v", entries, err)
	}
	g.clock.Advance(-2 * RemovalMemory) // one from far ahead is none
	check(t, g.ForgetRemoved())
	if entries, err := g.disk.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("%v %v", entries, err)
	}
}

// TestAFailingDiskIsNotMended: folders are made where they are missing, and an error of the
// disk is told as it is.
func TestAFailingDiskIsNotMended(t *testing.T) {
	t.Parallel()
	g := newGround(t, nil)
	check(t, g.disk.MkdirAll("/mail/a/cur", 0o700))
	for _, op := range []faultfs.Op{faultfs.Stat, faultfs.Mkdir} {
		g.faults.Reset()
		g.faults.FailNth(op, 1, faultfs.EIO)
		if err := g.MakeMissing("/mail/a"); !errors.Is(err, faultfs.EIO) {
			t.Errorf("%s: %v", op, err)
		}
	}
	g.faults.Reset()
	g.faults.FailNth(faultfs.Stat, 1, faultfs.EIO)
	if there, err := g.IsMaildir("/mail/a"); there || !errors.Is(err, faultfs.EIO) {
		t.Errorf("%v %v", there, err)
	}
	check(t, g.MakeMissing("/mail/a"))
	g.write(t, "/mail/a/new/one", "x")
	for _, op := range []faultfs.Op{faultfs.ReadDir, faultfs.Remove} {
		for n := 1; n < 3; n++ {
			g.faults.Reset()
			g.faults.FailNth(op, n, faultfs.EIO)
			if err := RemoveAll(g.faults, "/mail/a"); !errors.Is(err, faultfs.EIO) {
				t.Errorf("%s %d: %v", op, n, err)
			}
			check(t, g.MakeMissing("/mail/a"))
			g.write(t, "/mail/a/new/one", "x")
		}
	}
	g.faults.Reset()
	check(t, RemoveAll(g.faults, "/mail/a"))
	if there, _ := Exists(g.disk, "/mail/a"); there {
		t.Error("it is there")
	}
}
