package mailstore

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"toastmaster/internal/msglog"
	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/testkit/logtest"
	"toastmaster/mailstore/volume"
)

// debtor is a store on a failing disk that keeps no mailbox in memory which nobody uses.
type debtor struct {
	*Store
	disk   *faultfs.Disk
	faults *faultfs.Faults
	clock  *clocktest.Clock
	log    *logtest.Buffer
	// files of these names cannot be opened, nor made.
	brokenMu sync.Mutex // the store's goroutines open files, too
	broken   map[string]bool
}

func (d *debtor) fail(file string) {
	d.brokenMu.Lock()
	defer d.brokenMu.Unlock()
	d.broken[file] = true
}

func (d *debtor) heal() {
	d.brokenMu.Lock()
	defer d.brokenMu.Unlock()
	clear(d.broken)
}

func newDebtor(t *testing.T) *debtor {
	t.Helper()
	d := &debtor{disk: faultfs.NewDisk(), clock: clocktest.New(time.Now()), log: &logtest.Buffer{}, broken: map[string]bool{}}
	d.faults = faultfs.Wrap(d.disk)
	d.faults.Hook(func(op faultfs.Op, name string) error {
		d.brokenMu.Lock()
		defer d.brokenMu.Unlock()
		for file := range d.broken {
			if strings.Contains(name, file) && (op == faultfs.Open || op == faultfs.Create || op == faultfs.Remove) {
				return faultfs.EIO
			}
		}
		return nil
	})
	d.Store = storeWith(t, "/mail", func(o *Options) {
		o.FS, o.Clock, o.Log = d.faults, d.clock, msglog.New(slog.NewTextHandler(d.log, nil))
		o.Store.QuotaGrace, o.Store.OpenMailboxes = 0, 0
	})
	return d
}

// other is another process on the same disk.
func (d *debtor) other(t *testing.T) *Store {
	t.Helper()
	return storeWith(t, "/mail", func(o *Options) {
		o.FS, o.Clock = d.disk, clocktest.New(d.clock.Now())
		o.Store.QuotaGrace = 0
	})
}

// inMemory is how many accounts are.
func (d *debtor) inMemory() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.accounts)
}

// roomFor says that another process has room for exactly n messages, as far as it knows
// without counting: it reserves it, and gives it back.
func roomFor(t *testing.T, s *Store, acc Account, n int) {
	t.Helper()
	var ids []string
	for range n + 1 {
		id := "ID" + strings.Repeat("x", len(ids))
		err := s.Reserve(t.Context(), acc, id, int64(len(message("x"))))
		if errors.Is(err, ErrOverQuota) {
			break
		}
		check(t, err)
		ids = append(ids, id)
	}
	for _, id := range ids {
		s.Unreserve(acc, id)
	}
	if len(ids) != n {
		t.Errorf("another process has room for %d messages, there is some for %d", len(ids), n)
	}
}

// TestADebtOutlivesItsAccount: what a process could not write of a quota, while the disk
// failed or another process had it locked, is written when that is over, though the account
// was used by nobody meanwhile: by the background work, by who uses the account next, or at
// the end. Until then the account stays in memory, and no longer.
func TestADebtOutlivesItsAccount(t *testing.T) {
	t.Parallel()
	over := func(d *debtor, acc Account) error {
		return d.Deliver(context.Background(), acc, &Delivery{Content: message("x"), OverQuota: true})
	}
	for name, trouble := range map[string]func(t *testing.T, d *debtor, other *Store, acc Account) (goOn func()){
		"what is used": func(t *testing.T, d *debtor, _ *Store, acc Account) func() {
			d.fail("maildirsize")
			check(t, over(d, acc))
			return func() { d.heal() }
		},
		"what is reserved": func(t *testing.T, d *debtor, _ *Store, acc Account) func() {
			check(t, d.Reserve(t.Context(), acc, "ID", int64(len(message("x")))))
			d.fail("toastmaster.changes")
			check(t, d.Deliver(t.Context(), acc, &Delivery{ID: "ID", Content: message("x")}))
			return func() { d.heal() }
		},
		"behind a lock": func(t *testing.T, d *debtor, other *Store, acc Account) func() {
			lock := volume.NewAccountLock[volume.UsageDiskLock](volume.AccountLockOptions{Volume: other.vol, Home: acc.Home, What: "usage"})
			// Another process has locks of its own.
			locked, free, unlocked := make(chan error), make(chan struct{}), make(chan struct{})
			go func() {
				locked <- lock.Lock(context.Background())
				<-free
				lock.Unlock()
				close(unlocked)
			}()
			check(t, <-locked)
			check(t, d.journal.Checkpoint(t.Context())) // its goroutine has begun to wait
			done, timers := make(chan error, 1), d.clock.Timers()
			go func() { done <- over(d, acc) }()
			check(t, d.clock.WaitTimers(t.Context(), timers+1))
			d.clock.Advance(d.vol.Config.LockTimeout)
			check(t, <-done)
			return func() {
				close(free)
				<-unlocked
			}
		},
		"doubt": func(t *testing.T, d *debtor, _ *Store, acc Account) func() {
			// Delivered again: nobody knows whether it was counted before.
			check(t, d.Deliver(t.Context(), acc, &Delivery{ID: "ID", Content: message("x")}))
			d.fail("maildirsize")
			check(t, d.Deliver(t.Context(), acc, &Delivery{ID: "ID", Replay: true, Content: message("x")}))
			return func() { d.heal() }
		},
	} {
		for how, later := range map[string]func(t *testing.T, d *debtor, acc Account){
			"by the background work": func(t *testing.T, d *debtor, _ Account) { d.background(t.Context()) },
			"by who uses it next": func(t *testing.T, d *debtor, acc Account) {
				u, err := d.User(t.Context(), acc)
				check(t, err)
				check(t, u.Close())
			},
			"at the end": func(t *testing.T, d *debtor, _ Account) { check(t, d.Close()) },
		} {
			t.Run(name+" "+how, func(t *testing.T) {
				t.Parallel()
				d, acc := newDebtor(t), limitedTo(5)
				check(t, d.Deliver(t.Context(), acc, &Delivery{Content: message("x")}))
				other := d.other(t)
				if n := d.inMemory(); n != 0 {
					t.Fatalf("%d accounts are in memory that nobody uses", n)
				}
				goOn := trouble(t, d, other, acc)
				for range 3 { // it does not come back by being tried again
					d.background(t.Context())
				}
				if d.inMemory() != 1 {
					t.Error("the account left memory with its debt")
				}
				if n := strings.Count(d.log.String(), "told to other processes later"); n != 1 {
					t.Errorf("the log says it %d times: %s", n, d.log)
				}
				goOn()
				later(t, d, acc)
				if n := d.inMemory(); n != 0 {
					t.Errorf("%d accounts stay in memory without a debt", n)
				}
				roomFor(t, other, acc, 3)
				check(t, other.Close())
				if how != "at the end" {
					check(t, d.Close())
				}
			})
		}
	}
}

// TestAnOddMaildirsizeIsNoDebt: somebody made a folder of that name. Nobody can write it,
// and no account stays in memory for it.
func TestAnOddMaildirsizeIsNoDebt(t *testing.T) {
	t.Parallel()
	for name, inIt := range map[string]bool{"empty": false, "with something in it": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, acc := newDebtor(t), limitedTo(5)
			check(t, d.Deliver(t.Context(), alice(), &Delivery{Content: message("x")}))
			folder := home("/mail", "maildirsize")
			check(t, d.disk.Mkdir(folder, 0o700))
			if inIt {
				check(t, d.disk.Mkdir(folder+"/in", 0o700))
			}
			for i := range 4 {
				id := "ID" + strings.Repeat("x", i)
				check(t, d.Deliver(t.Context(), acc, &Delivery{ID: id, Content: message("x")}))
				check(t, d.Deliver(t.Context(), acc, &Delivery{ID: id, Content: message("x"), Replay: true}))
			}
			if n := d.inMemory(); n != 0 {
				t.Errorf("%d accounts stay in memory", n)
			}
			if err := d.Deliver(t.Context(), acc, &Delivery{Content: message("x")}); !errors.Is(err, ErrOverQuota) {
				t.Errorf("a sixth of five: %v", err)
			}
			check(t, d.Close())
		})
	}
}
