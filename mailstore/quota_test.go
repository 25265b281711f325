package mailstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore/maildir"
)

// limitedTo is alice with room for n messages of message("x").
func limitedTo(n int64) Account {
	a := alice()
	a.QuotaBytes = n * int64(len(message("x")))
	return a
}

// storeWith opens a store whose parameters and clock change has set.
func storeWith(t *testing.T, root string, change func(*Options)) *Store {
	t.Helper()
	o := options(root)
	change(&o)
	s, err := Open(t.Context(), o)
	check(t, err)
	return s
}

func noGrace(o *Options) { o.Store.QuotaGrace = 0 }

// TestManyAtOnceDoNotPassTheQuota: room is taken before the message is written.
func TestManyAtOnceDoNotPassTheQuota(t *testing.T) {
	t.Parallel()
	s := storeWith(t, t.TempDir(), noGrace)
	size := int64(len(message("x")))
	for name, put := range map[string]func(acc Account, i int) error{
		"deliver": func(acc Account, i int) error {
			return s.Deliver(t.Context(), acc, &Delivery{Content: message("x"), Durable: i%2 == 0})
		},
		"reserve": func(acc Account, i int) error {
			return s.Reserve(t.Context(), acc, fmt.Sprintf("ID%d", i), size)
		},
	} {
		acc := limitedTo(3)
		acc.Home = "example.test/" + name
		var took atomic.Int32
		var all sync.WaitGroup
		for i := range 40 {
			all.Go(func() {
				switch err := put(acc, i); {
				case err == nil:
					took.Add(1)
				case !errors.Is(err, ErrOverQuota):
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		all.Wait()
		if n := took.Load(); n != 3 {
			t.Errorf("%s: %d of 3 fit", name, n)
		}
	}
	check(t, s.Close())
}

// TestDeliveriesTakeTheirRoomFirst: while a mailbox is locked, as many wait for
// it as will fit, and all others are refused.
func TestDeliveriesTakeTheirRoomFirst(t *testing.T) {
	t.Parallel()
	faults, goOn := faultfs.Wrap(vfs.OS{}), make(chan struct{})
	s := storeWith(t, t.TempDir(), func(o *Options) { noGrace(o); o.FS, o.Clock = faults, clocktest.New(time.Now()) })
	const all, fit = 40, 3
	acc := limitedTo(fit)
	u, err := s.User(t.Context(), acc)
	check(t, err)
	mb := mailboxOf(t, u, maildir.Inbox)
	_, err = s.Usage(t.Context(), acc) // nobody looks into the mailbox in this moment
	check(t, err)
	faults.Hook(func(op faultfs.Op, _ string) error {
		if op == faultfs.Link { // the first has the lock
			<-goOn
		}
		return nil
	})
	answers := make(chan error, all)
	for range all {
		go func() {
			answers <- mb.Deliver(t.Context(), &Delivery{Content: message("x")})
		}()
	}
	refused := 0
	late := time.After(time.Minute)
	for waiting := true; waiting && refused < all-fit; {
		select {
		case err := <-answers:
			if !errors.Is(err, ErrOverQuota) {
				t.Errorf("%v", err)
			}
			refused++
		case <-late:
			t.Errorf("%d of %d are refused while the mailbox is locked", refused, all-fit)
			waiting = false
		}
	}
	close(goOn)
	for range all - refused {
		if err := <-answers; err != nil {
			t.Errorf("what had taken its room: %v", err)
		}
	}
	mb.Put()
	check(t, u.Close())
	check(t, s.Close())
}

// TestReservedRoomIsForItsMessage: what was promised to a message is there for
// it and for nobody else, until it comes, is given up, or does not come in time.
func TestReservedRoomIsForItsMessage(t *testing.T) {
	t.Parallel()
	now := clocktest.New(time.Unix(1e9, 0))
	s := storeWith(t, t.TempDir(), func(o *Options) { noGrace(o); o.Clock = now })
	acc, size := limitedTo(2), int64(len(message("x")))
	deliver := func(id string) error {
		return s.Deliver(t.Context(), acc, &Delivery{ID: id, Content: message("x")})
	}
	full := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, ErrOverQuota) {
			t.Errorf("%s: %v", what, err)
		}
	}
	check(t, s.Fits(t.Context(), acc, 2*size))
	full("more than the quota", s.Fits(t.Context(), acc, 2*size+1))
	check(t, s.Reserve(t.Context(), acc, "A", size))
	check(t, s.Reserve(t.Context(), acc, "B", size))
	check(t, s.Reserve(t.Context(), acc, "B", size)) // the same one
	full("a third", s.Reserve(t.Context(), acc, "C", size))
	full("RCPT", s.Fits(t.Context(), acc, 0))
	full("a delivery without", deliver("C"))
	u, err := s.User(t.Context(), acc)
	check(t, err)
	_, _, err = u.Append(t.Context(), "INBOX", nil, time.Time{}, message("x"))
	full("APPEND", err)
	check(t, deliver("A"))
	full("it has moved to what is there", s.Reserve(t.Context(), acc, "C", size))
	s.Unreserve(acc, "B")
	s.Unreserve(acc, "B")
	s.Unreserve(acc, "A")
	check(t, s.Reserve(t.Context(), acc, "C", size))
	if used, err := s.Usage(t.Context(), acc); err != nil || used != (Usage{Bytes: size, Messages: 1}) {
		t.Errorf("%+v %v", used, err)
	}
	now.Advance(s.vol.Config.ReservationTime - 1)
	s.background(t.Context())
	full("C may still come", s.Reserve(t.Context(), acc, "D", size))
	now.Advance(1)
	s.background(t.Context())
	check(t, s.Reserve(t.Context(), acc, "D", size))
	// A clock that was ahead does not keep it for long.
	now.Advance(-24 * time.Hour)
	s.background(t.Context())
	check(t, deliver("E"))
	check(t, u.Close())
	check(t, s.Close())
	s.mu.Lock()
	defer s.mu.Unlock()
	for home, a := range s.accounts {
		t.Errorf("%s is still in memory, %d uses", home, a.refs)
	}
}

// TestGrace: the last message may exceed the quota, and only one that comes in.
func TestGrace(t *testing.T) {
	t.Parallel()
	s := storeWith(t, t.TempDir(), func(o *Options) {
		if o.Store.QuotaGrace != 10 {
			t.Errorf("the default is %d percent", o.Store.QuotaGrace)
		}
		o.Store.QuotaGrace = 50
	})
	acc, size := limitedTo(2), int64(len(message("x")))
	acc.QuotaBytes -= size / 2 // room for one and a half
	u, err := s.User(t.Context(), acc)
	check(t, err)
	put := func() error { return s.Deliver(t.Context(), acc, &Delivery{Content: message("x")}) }
	check(t, put())
	if _, _, err := u.Append(t.Context(), "INBOX", nil, time.Time{}, message("x")); !errors.Is(err, ErrOverQuota) {
		t.Errorf("APPEND: %v", err)
	}
	check(t, put())
	if err := put(); !errors.Is(err, ErrOverQuota) {
		t.Errorf("a second one above the quota: %v", err)
	}
	if err := s.Fits(t.Context(), acc, 0); !errors.Is(err, ErrOverQuota) {
		t.Errorf("RCPT: %v", err)
	}
	check(t, u.Close())
	check(t, s.Close())
}

// TestFilesRemovedByHandGiveTheirRoomBack: messages, and whole folders, that
// another program removed are not counted, as soon as somebody asks.
func TestFilesRemovedByHandGiveTheirRoomBack(t *testing.T) {
	t.Parallel()
	for _, first := range []string{"Fits", "Usage"} {
		t.Run(first+" asks first", func(t *testing.T) {
			t.Parallel()
			filesRemovedByHand(t, first == "Usage")
		})
	}
}

// filesRemovedByHand asks for the usage before or after it asks whether mail fits:
// who asks first has to look.
func filesRemovedByHand(t *testing.T, usageFirst bool) {
	now := clocktest.New(time.Now())
	root := t.TempDir()
	s := storeWith(t, root, func(o *Options) { noGrace(o); o.Clock = now })
	acc, size := limitedTo(4), int64(len(message("x")))
	check(t, s.Deliver(t.Context(), acc, &Delivery{Content: message("x")}))
	u, err := s.User(t.Context(), acc)
	check(t, err)
	check(t, u.Create(t.Context(), "Old", ""))
	check(t, u.Close())
	for _, folder := range []string{"INBOX", "Old", "Old"} {
		check(t, s.Deliver(t.Context(), acc, &Delivery{Content: message("x"), Folder: folder}))
	}
	expect := func(what string, messages int64) {
		t.Helper()
		now.Advance(s.vol.Config.SyncInterval)
		used := func() {
			t.Helper()
			if used, err := s.Usage(t.Context(), acc); err != nil || used != (Usage{Bytes: messages * size, Messages: messages}) {
				t.Errorf("%s: %+v %v", what, used, err)
			}
		}
		if usageFirst {
			used()
		}
		if err := s.Fits(t.Context(), acc, (4-messages)*size); err != nil && messages < 4 {
			t.Errorf("%s: %v", what, err)
		}
		if err := s.Fits(t.Context(), acc, (4-messages)*size+1); !errors.Is(err, ErrOverQuota) {
			t.Errorf("%s: %v", what, err)
		}
		used()
		data, err := os.ReadFile(home(root, "maildirsize"))
		check(t, err)
		if d, ok := maildir.ParseDirSize(data); !ok || d.Bytes != messages*size || d.Messages != messages {
			t.Errorf("%s: maildirsize says %q", what, data)
		}
	}
	expect("nothing removed", 4)
	files, err := filepath.Glob(home(root, "new", "*"))
	check(t, err)
	check(t, os.Remove(files[0]))
	expect("a message removed", 3)
	check(t, os.RemoveAll(home(root, ".Old")))
	expect("a folder removed", 1)
	check(t, s.Close())
	// Removed while nobody served.
	files, err = filepath.Glob(home(root, "new", "*"))
	check(t, err)
	check(t, os.Remove(files[0]))
	s = storeWith(t, root, func(o *Options) { noGrace(o); o.Clock = now })
	expect("removed between two runs", 0)
	check(t, s.Close())
}

// TestUsageSurvivesAKill: maildirsize has every change at once, and what a crash
// left in doubt is counted.
func TestUsageSurvivesAKill(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	s := storeWith(t, root, noGrace)
	acc, size := limitedTo(7), int64(len(message("x")))
	expect := func(what string, messages int64) {
		t.Helper()
		data, err := os.ReadFile(home(root, "maildirsize"))
		check(t, err)
		if d, ok := maildir.ParseDirSize(data); !ok || d.Bytes != messages*size || d.Messages != messages {
			t.Errorf("%s: maildirsize says %q", what, data)
		}
	}
	for i := range 5 {
		check(t, s.Deliver(t.Context(), acc, &Delivery{ID: fmt.Sprintf("ID%d", i), Content: message("x")}))
		expect("delivered", int64(i)+1)
	}
	u, err := s.User(t.Context(), acc)
	check(t, err)
	_, _, err = u.Append(t.Context(), "INBOX", nil, time.Time{}, message("x"))
	check(t, err)
	expect("appended", 6)
	v := openView(t, u, "INBOX")
	_, _, err = v.Copy(t.Context(), []uint32{1}, "INBOX")
	check(t, err)
	expect("copied", 7)
	check(t, v.Expunge(t.Context(), []uint32{1, 2}))
	expect("expunged", 5)
	for i := range 2 {
		check(t, s.Deliver(t.Context(), acc, &Delivery{ID: fmt.Sprintf("ID%d", i+5), Content: message("x")}))
	}
	expect("full", 7)
	check(t, v.Close())
	check(t, u.Close())

	// The process died between the file and its line in maildirsize: the
	// delivery is repeated, found, and the room counted anew.
	data, err := os.ReadFile(home(root, "maildirsize"))
	check(t, err)
	line := fmt.Sprintf("%d 1\n", size)
	i := strings.LastIndex(string(data), line)
	check(t, s.Close())
	check(t, os.WriteFile(home(root, "maildirsize"), append(data[:i:i], data[i+len(line):]...), 0o600))
	expect("a line was lost", 6)
	s = storeWith(t, root, noGrace)
	check(t, s.Deliver(t.Context(), acc, &Delivery{ID: "ID4", Replay: true, Content: message("x")}))
	if err := s.Fits(t.Context(), acc, size); !errors.Is(err, ErrOverQuota) {
		t.Errorf("what is there is not counted: %v", err)
	}
	if used, err := s.Usage(t.Context(), acc); err != nil || used != (Usage{Bytes: 7 * size, Messages: 7}) {
		t.Errorf("%+v %v", used, err)
	}
	check(t, s.Close())
}

// TestACountMeetsDeliveries: mail that comes while the folders are added up is
// counted once.
func TestACountMeetsDeliveries(t *testing.T) {
	t.Parallel()
	s := storeWith(t, t.TempDir(), noGrace)
	acc, size := limitedTo(1000), int64(len(message("x")))
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 25 {
				if err := s.Deliver(t.Context(), acc, &Delivery{Content: message("x")}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Go(func() {
		a, err := s.acquire(acc)
		if err != nil {
			t.Error(err)
			return
		}
		defer s.putAccount(a)
		for range 50 {
			if _, err := a.Quota.Count(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
	all.Wait()
	a, err := s.acquire(acc)
	check(t, err)
	defer s.putAccount(a)
	// What a count could not settle the next look does.
	s.vol.Config.SyncInterval = 0
	check(t, a.Quota.Look(t.Context()))
	if used, err := a.Quota.Used(t.Context()); err != nil || used != (Usage{Bytes: 100 * size, Messages: 100}) {
		t.Errorf("%+v %v", used, err)
	}
	check(t, s.Close())
}
