package account

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/configs"
	"toastmaster/internal/clock"
	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/mailstore/volume"
)

// picture is all that a client sees of an account, by names.
func (b *bed) picture(t *testing.T) string {
	t.Helper()
	folders, err := b.List(t.Context())
	check(t, err)
	var all []string
	for _, f := range folders {
		text := f.Name
		if f.Subscribed {
			text += " subscribed"
		}
		all = append(all, text+" "+string(f.SpecialUse))
	}
	return strings.Join(all, ", ")
}

// TestEveryChangeOfAnAccountFails once, at whatever operation of the disk: what clients see is
// as before or as it was to be, never between, for another process too; the same change can be
// made afterwards, and nothing is left behind.
func TestEveryChangeOfAnAccountFails(t *testing.T) {
	t.Parallel()
	locked := func(b *bed, f func() error) error {
		if err := b.Lock(); err != nil {
			return err
		}
		defer b.Unlock()
		return f()
	}
	for name, change := range map[string]func(ctx context.Context, b *bed) error{
		"create":           func(ctx context.Context, b *bed) error { return b.Create(ctx, "New", "") },
		"subscribe":        func(ctx context.Context, b *bed) error { return b.Subscribe(ctx, "Work", true) },
		"unsubscribe":      func(ctx context.Context, b *bed) error { return b.Subscribe(ctx, "INBOX", false) },
		"elsewhere":        func(ctx context.Context, b *bed) error { return b.SubscribeElsewhere(ctx, "Shared/bob") },
		"a default folder": func(_ context.Context, b *bed) error { _, err := b.MakePending(".Sent"); return err },
		"a use": func(_ context.Context, b *bed) error {
			return locked(b, func() error { return b.SetSpecialUse("Work", imap.MailboxAttrJunk) })
		},
		"no use": func(_ context.Context, b *bed) error {
			return locked(b, func() error { return b.SetSpecialUse("Old", "") })
		},
		"a renamed use": func(_ context.Context, b *bed) error {
			return locked(b, func() error { return b.MoveSpecialUse("Old", "Work") })
		},
		"no default": func(_ context.Context, b *bed) error {
			return locked(b, func() error { return b.ForgetDefaults("Sent", true) })
		},
	} {
		for _, op := range []faultfs.Op{faultfs.Any, faultfs.Stat, faultfs.Open, faultfs.Read, faultfs.ReadDir} {
			t.Run(name+" "+string(op), func(t *testing.T) {
				t.Parallel()
				for n := 1; ; n++ {
					disk := faultfs.NewDisk()
					faults := faultfs.Wrap(disk)
					c := configs.Default().Store
					c.DefaultFolders = []string{"Sent", "Sent/2026", "Trash"}
					b := newBedWith(t, faults, clock.System{}, c)
					check(t, b.Create(t.Context(), "Work", ""))
					check(t, b.Create(t.Context(), "Old", imap.MailboxAttrArchive))
					check(t, b.Subscribe(t.Context(), "INBOX", true))
					before := b.picture(t)
					faults.Reset()
					faults.FailNth(op, n, faultfs.EIO)
					err := change(t.Context(), b)
					failed := faults.Count(op) >= n
					faults.Reset()
					after := b.picture(t)
					other := newBedOn(t, disk, clock.System{}, c)
					if seen := other.picture(t); seen != after {
						t.Errorf("another process sees\n%s, this one\n%s", seen, after)
					}
					if again := change(t.Context(), b); again != nil && !(errors.Is(again, volume.ErrExists) && after != before) {
						t.Errorf("once more: %v", again)
					}
					if done := b.picture(t); after != before && after != done || err == nil && after != done {
						t.Errorf("after %v there is\n%s, before\n%s, and it was to be\n%s", err, after, before, done)
					}
					for _, file := range b.files(t) {
						if strings.HasSuffix(file, ".tmp") {
							t.Errorf("%s is left", file)
						}
					}
					b.end()
					other.end()
					if t.Failed() {
						t.Fatalf("%s %d failed, which said %v", op, n, err)
					}
					if !failed {
						check(t, err)
						return
					}
				}
			})
		}
	}
}

func (b *bed) files(t *testing.T) (names []string) {
	t.Helper()
	entries, err := b.Account.vol.FS.ReadDir(b.home)
	check(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestTwoProcessesChangeOneFile: what each of them adds is there, of subscriptions and of
// uses, and a UIDVALIDITY is given once.
func TestTwoProcessesChangeOneFile(t *testing.T) {
	t.Parallel()
	disk := faultfs.NewDisk()
	c := configs.Default().Store
	c.DefaultFolders, c.LockTimeout = nil, time.Hour
	both := []*bed{newBedOn(t, disk, clock.System{}, c), newBedOn(t, disk, clock.System{}, c)}
	const each = 20
	given := make([][]uint32, 2)
	var all sync.WaitGroup
	for i, b := range both {
		all.Go(func() {
			for k := range each {
				name := fmt.Sprintf("p%d-%02d", i, k)
				err := b.Create(t.Context(), name, imap.MailboxAttr(fmt.Sprintf("\\Use%d%02d", i, k)))
				if err == nil {
					err = b.Subscribe(t.Context(), name, true)
				}
				var v uint32
				if err == nil {
					v, err = b.NextUIDValidity()
				}
				if err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
				given[i] = append(given[i], v)
			}
		})
	}
	all.Wait()
	folders, err := both[0].List(t.Context())
	check(t, err)
	n := 0
	for _, f := range folders {
		if f.Name == "INBOX" {
			continue
		}
		n++
		if want := `\Use` + strings.Replace(f.Name[1:], "-", "", 1); !f.Subscribed || string(f.SpecialUse) != want {
			t.Errorf("%+v", f)
		}
	}
	validities := slices.Concat(given...)
	slices.Sort(validities)
	if n != 2*each || len(slices.Compact(validities)) != 2*each {
		t.Errorf("%d folders, UIDVALIDITYs %v", n, validities)
	}
}

// TestUIDValiditiesGoOn behind what Dovecot gave, what the clock says, and those of an account
// that was removed a moment ago; a file that is none is no reason to give none.
func TestUIDValiditiesGoOn(t *testing.T) {
	t.Parallel()
	clk := clocktest.New(time.Unix(1e9, 0))
	file := func(b *bed, name, text string) {
		t.Helper()
		f, err := b.Account.vol.FS.OpenFile(filepath.Join(b.home, name), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
		check(t, err)
		_, err = io.WriteString(f, text)
		check(t, errors.Join(err, f.Close()))
	}
	for name, c := range map[string]struct {
		before func(b *bed)
		want   uint32
	}{
		"the clock":            {func(*bed) {}, 1e9},
		"Dovecot's":            {func(b *bed) { file(b, uidValidityFile, "77359400"); file(b, uidValidityFile+".77359400", "") }, 2e9 + 1},
		"of long ago":          {func(b *bed) { file(b, uidValidityFile, "5f5e100\n") }, 1e9},
		"what is no number":    {func(b *bed) { file(b, uidValidityFile, "nonsense") }, 1e9},
		"of an account before": {func(b *bed) { check(t, b.Account.vol.NoteRemoved("alice", "77359400")) }, 2e9 + 1},
		"a folder":             {func(b *bed) { check(t, b.Account.vol.FS.Mkdir(filepath.Join(b.home, uidValidityFile), 0o700)) }, 1e9},
	} {
		b := newBedOn(t, faultfs.NewDisk(), clk, configs.Default().Store)
		c.before(b)
		got, err := b.NextUIDValidity()
		if err != nil || got != c.want {
			t.Errorf("%s: %d, want %d, %v", name, got, c.want, err)
		}
		if name == "Dovecot's" && (!slices.Contains(b.files(t), uidValidityFile+".77359401") || slices.Contains(b.files(t), uidValidityFile+".77359400")) {
			t.Errorf("the file with the number in its name is %q", b.files(t))
		}
	}
}

// TestReservationsEnd when their mail did not come, and what they had is room again, in another
// process too; one of a clock that was ahead does not stay for ever.
func TestReservationsEnd(t *testing.T) {
	t.Parallel()
	disk, clk := faultfs.NewDisk(), clocktest.New(time.Now())
	c := configs.Default().Store
	c.QuotaGrace = 0
	a, b := newBedOn(t, disk, clk, c), newBedOn(t, disk, clk, c)
	for _, one := range []*bed{a, b} {
		one.Quota.Limit(Usage{Messages: 2})
	}
	reserve := func(id string) {
		t.Helper()
		_, err := a.Quota.Reserve(t.Context(), id, 1, 1, Delivering)
		check(t, err)
	}
	reserve("one")
	clk.Advance(c.ReservationTime / 2)
	reserve("two")
	b.full(t)
	a.Quota.Expire()
	if a.held != 2 {
		t.Errorf("%d are held", a.held)
	}
	clk.Advance(c.ReservationTime / 2)
	a.Quota.Expire()
	if a.held != 1 {
		t.Errorf("one is over, %d are held", a.held)
	}
	b.reserve(t, 1)[0].Cancel()
	b.reserve(t, 1)
	b.full(t)
	a.Quota.held["two"].until = clk.Now().Add(c.ReservationTime + time.Hour)
	a.Quota.Expire()
	if a.held != 0 {
		t.Error("one of a clock that was ahead is held")
	}
	a.Quota.Unreserve("two") // it is over
	b.reserve(t, 1)
	b.full(t)
}

// TestACountAndWhatComesMeanwhile: mail that comes while it is counted is not lost in the
// count, and a count that never ends is the last one's, not believed for long.
func TestACountAndWhatComesMeanwhile(t *testing.T) {
	t.Parallel()
	b := newBed(t, nil)
	b.Quota.Limit(Usage{Messages: 100})
	counts, comes := 0, 1
	b.o.Sum = func(context.Context, []string) (Usage, error) {
		seen := b.sum
		if counts++; counts <= comes { // behind the back of who counts
			b.sum.Messages++
			b.Quota.Add(1, 1)
		}
		return seen, nil
	}
	if used, err := b.Quota.Count(t.Context()); err != nil || used.Messages != 1 || counts != 2 {
		t.Errorf("%+v after %d counts, %v", used, counts, err)
	}
	counts, comes = 0, 1000
	if _, err := b.Quota.Count(t.Context()); err != nil || counts != countTries {
		t.Errorf("%d counts, %v", counts, err)
	}
	counts, comes = 0, 0
	b.Quota.looked = time.Time{}
	check(t, b.Quota.Look(t.Context()))
	if counts == 0 {
		t.Error("a count that missed something is believed")
	}
	// A look that failed is made again at once.
	failed := errors.New("no")
	b.Quota.looked = time.Time{}
	b.o.Sum = func(context.Context, []string) (Usage, error) { counts++; return Usage{}, failed }
	for range 2 {
		if err := b.Quota.Look(t.Context()); !errors.Is(err, failed) {
			t.Errorf("%v", err)
		}
	}
}
