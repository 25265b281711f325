package account

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/clock"
	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/mailstore/volume"
)

// two is one account in two processes, with a quota of so many messages.
func two(t *testing.T, quota int64) (disk *faultfs.Disk, a, b *bed) {
	t.Helper()
	disk = faultfs.NewDisk()
	c := configs.Default().Store
	c.QuotaGrace = 0
	a, b = newBedOn(t, disk, clock.System{}, c), newBedOn(t, disk, clock.System{}, c)
	for _, one := range []*bed{a, b} {
		one.Quota.Limit(Usage{Messages: quota})
	}
	return disk, a, b
}

// reserve makes n reservations of one message.
func (b *bed) reserve(t *testing.T, n int) (all []*Reservation) {
	t.Helper()
	for range n {
		r, err := b.Quota.Reserve(t.Context(), "", 1, 1, Saving)
		check(t, err)
		all = append(all, r)
	}
	return all
}

func (b *bed) full(t *testing.T) {
	t.Helper()
	if _, err := b.Quota.Reserve(t.Context(), "", 1, 1, Saving); !errors.Is(err, volume.ErrOverQuota) {
		t.Errorf("there is room: %v", err)
	}
	if err := b.Quota.Fits(t.Context(), 1, 1, Saving); !errors.Is(err, volume.ErrOverQuota) {
		t.Errorf("it fits: %v", err)
	}
}

// TestReservedByAnotherProcess: what one process has reserved is no room for the other,
// until it is given back, or its process is no more.
func TestReservedByAnotherProcess(t *testing.T) {
	t.Parallel()
	_, a, b := two(t, 5)
	mine := a.reserve(t, 2)
	theirs := b.reserve(t, 3)
	a.full(t)
	b.full(t)
	mine[0].Cancel()
	theirs = append(theirs, b.reserve(t, 1)...)
	a.full(t)
	b.full(t)
	b.Quota.Redeem(theirs[0], 1, 1)
	b.sum = Usage{1, 1}
	a.sum = b.sum
	if used, err := a.Quota.Used(t.Context()); err != nil || used.Messages != 1 {
		t.Errorf("%+v, %v", used, err)
	}
	a.full(t)
	b.end()
	a.reserve(t, 3)
	a.full(t)
}

// TestADeathInTheMiddleIsCountedAnew: a process ends between a delivery and its line in
// maildirsize. The other one, which has not asked for room since, finds it.
func TestADeathInTheMiddleIsCountedAnew(t *testing.T) {
	t.Parallel()
	_, a, b := two(t, 5)
	if _, err := a.Quota.Used(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.reserve(t, 1)
	a.sum = Usage{1, 1} // it was stored
	b.end()
	check(t, a.Quota.Look(t.Context()))
	if used, err := a.Quota.Used(t.Context()); err != nil || used.Messages != 1 {
		t.Errorf("%+v, %v", used, err)
	}
	a.reserve(t, 4)
	a.full(t)
}

// TestChangesLog: the log of changes is cut where a process died while it wrote, and is
// replaced when it is long; another process follows in both cases.
func TestChangesLog(t *testing.T) {
	t.Parallel()
	disk, a, b := two(t, 5)
	file := filepath.Join(a.home, changesFile)
	mine := a.reserve(t, 1)
	size := func() int64 {
		info, err := disk.Stat(file)
		check(t, err)
		return info.Size()
	}
	longest := int64(0)
	for i := range 200 {
		f, err := disk.OpenFile(file, os.O_RDWR, 0)
		check(t, err)
		before := size()
		_, err = f.WriteAt([]byte("torn record, longer than any")[:i%28], before)
		check(t, errors.Join(err, f.Close()))
		for _, r := range b.reserve(t, 4) {
			r.Cancel()
		}
		longest = max(longest, size())
	}
	if longest > maxChanges+200 || longest < maxChanges/2 {
		t.Errorf("it grew to %d octets", longest)
	}
	b.reserve(t, 4)
	a.full(t)
	mine[0].Cancel()
	b.reserve(t, 1)
	for _, damage := range [][]byte{nil, []byte("x"), []byte("TMCHNGS\x01 and something else"), make([]byte, 3*maxChanges)} {
		f, err := disk.OpenFile(file, os.O_RDWR|os.O_TRUNC, 0)
		check(t, err)
		_, err = f.Write(damage)
		check(t, errors.Join(err, f.Close()))
		b.full(t) // of its own it knows
	}
}

// TestChangesThatAreNoFile: somebody made a folder of that name. Mail comes in all the same.
func TestChangesThatAreNoFile(t *testing.T) {
	t.Parallel()
	disk, a, b := two(t, 5)
	check(t, disk.Mkdir(filepath.Join(a.home, changesFile), 0o700))
	for _, one := range []*bed{a, b} {
		r := one.reserve(t, 2)
		one.Quota.Redeem(r[0], 1, 1)
		r[1].Cancel()
	}
	if used, err := a.Quota.Used(t.Context()); err != nil || used.Messages != 2 {
		t.Errorf("%+v, %v", used, err)
	}
}

// TestAStoppedProcessKeepsALock: whoever wants what another process has locked waits
// store.lock_timeout once, all together; then it is busy, until the other goes on.
func TestAStoppedProcessKeepsALock(t *testing.T) {
	t.Parallel()
	disk := faultfs.NewDisk()
	clk := clocktest.New(time.Now())
	c := configs.Default().Store
	a, b := newBedOn(t, disk, clk, c), newBedOn(t, disk, clk, c)
	a.Quota.Limit(Usage{Messages: 5})
	check(t, b.disk.Lock(t.Context()))
	check(t, b.Quota.among().Lock(t.Context()))
	check(t, b.validityDisk.Lock(t.Context()))
	for name, use := range map[string]func() error{
		"folders":  func() error { _, err := a.List(t.Context()); return err },
		"validity": func() error { _, err := a.NextUIDValidity(); return err },
		"quota":    func() error { _, err := a.Quota.Reserve(t.Context(), "", 1, 1, Saving); return err },
	} {
		done := make(chan error, 1)
		timers := clk.Timers()
		go func() { done <- use() }()
		check(t, clk.WaitTimers(t.Context(), timers+1))
		clk.Advance(c.LockTimeout)
		if err := <-done; !errors.Is(err, volume.ErrBusy) {
			t.Errorf("%s: %v", name, err)
		}
		go func() { done <- use() }()
		if err := <-done; !errors.Is(err, volume.ErrBusy) { // nobody advances the clock
			t.Errorf("%s again: %v", name, err)
		}
	}
	b.validityDisk.Unlock()
	b.Quota.disk.Unlock()
	b.disk.Unlock()
	check(t, a.Create(t.Context(), "Work", ""))
	if _, err := a.NextUIDValidity(); err != nil {
		t.Error(err)
	}
	a.reserve(t, 1)
}

// TestAccountsDoNotHinderEachOther: what is locked of one is free of all others.
func TestAccountsDoNotHinderEachOther(t *testing.T) {
	t.Parallel()
	disk := faultfs.NewDisk()
	c := configs.Default().Store
	a, b := newBedOn(t, disk, clocktest.New(time.Now()), c), newBedOn(t, disk, clocktest.New(time.Now()), c)
	lock := func(b *bed, i int) *volume.AccountLock[volume.FoldersDiskLock] {
		l := volume.NewAccountLock[volume.FoldersDiskLock](volume.AccountLockOptions{Volume: b.vol, Home: fmt.Sprintf("example.test/u%04d", i), What: "folders"})
		check(t, l.Lock(t.Context())) // no clock goes on
		return l
	}
	held := lock(a, 0)
	for i := range 1000 {
		lock(b, i+1).Unlock()
	}
	held.Unlock()
	lock(b, 0).Unlock()
}
