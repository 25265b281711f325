package mailstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"testing"
	"time"

	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/vfs"
)

// TestRemovalAndDeliveries: mail that is on its way while an account is removed
// leaves nothing behind, at whatever moment it comes; a mailbox that is made
// anew in the same place gets its mail.
func TestRemovalAndDeliveries(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	s := openStore(t, root)
	for round := range 20 {
		a := alice().AskedAt(time.Now())
		check(t, s.Deliver(t.Context(), a, &Delivery{Content: message("first")}))
		var load sync.WaitGroup
		ctx, stop := context.WithCancel(t.Context())
		t.Cleanup(load.Wait)
		stored := make(chan struct{}, 100)
		for k := range 4 {
			load.Go(func() {
				for ctx.Err() == nil {
					d := &Delivery{Content: message("on its way"), Durable: k%2 == 0}
					err := s.Deliver(t.Context(), a, d)
					if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, fs.ErrNotExist) {
						t.Errorf("%v", err)
						return
					}
					if err == nil {
						select {
						case stored <- struct{}{}:
						default:
						}
					}
				}
			})
		}
		// The removal comes while the next ones are on their way, each time somewhere else.
		for range 1 + round%6*3 {
			select {
			case <-stored:
			case <-time.After(time.Minute):
				t.Fatal("nothing is delivered")
			}
		}
		check(t, s.RemoveAccount(t.Context(), alice()))
		stop()
		load.Wait()
		if _, err := os.Stat(home(root)); !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("round %d: left behind: %q, %v", round, tree(t, home(root)), err)
		}
	}
	check(t, s.Deliver(t.Context(), alice().AskedAt(time.Now()), &Delivery{Content: message("anew")}))
	check(t, s.Close())
	s = openStore(t, root)
	if got := subjectsOf(t, s, "INBOX"); len(got) != 1 || got["anew"] != 1 {
		t.Errorf("%v", got)
	}
	check(t, s.Close())
}

// TestRemovedByTwoAtOnce: whoever removes an account that another is removing
// has the same answer, and nothing stays.
func TestRemovedByTwoAtOnce(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	s := openStore(t, root)
	for round := range 30 {
		for range 5 {
			check(t, s.Deliver(t.Context(), alice().AskedAt(time.Now()), &Delivery{Content: message("x")}))
		}
		var all sync.WaitGroup
		start := make(chan struct{})
		for range 8 {
			all.Go(func() {
				<-start
				if err := s.RemoveAccount(t.Context(), alice()); err != nil {
					t.Errorf("round %d: %v", round, err)
				}
			})
		}
		close(start)
		all.Wait()
		if _, err := os.Stat(home(root)); !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("round %d: left behind: %q, %v", round, tree(t, home(root)), err)
		}
	}
	check(t, s.Close())
}

// messagesIn counts the messages of folders.
func messagesIn(t *testing.T, u *User, folders []string) string {
	t.Helper()
	out := ""
	for _, name := range folders {
		status, err := u.Status(t.Context(), name)
		if err != nil && !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
		out += fmt.Sprint(name, ":", status.Messages, " ")
	}
	return out
}

// TestRemovalAndAKill: no start brings back what was removed, or puts mail of
// before into it. A kill leaves all of an account or nothing.
func TestRemovalAndAKill(t *testing.T) {
	t.Parallel()
	for n := 1; ; n += 2 {
		disk := faultfs.NewDisk()
		f := faultfs.Wrap(disk)
		l := &ledger{fs: f}
		s, err := Open(t.Context(), l.options())
		check(t, err)
		check(t, l.prepare(t.Context(), s))
		u := openUser(t, s)
		for _, c := range []change{appending("Work", "a"), copying("INBOX", "Work", "m0"), moving("INBOX", "Archive", "m1")} {
			check(t, c.do(t.Context(), s, u))
		}
		folders := []string{"INBOX", "Work", "Archive"}
		before := messagesIn(t, u, folders)
		f.Reset()
		var killed, cut *faultfs.Disk
		var dies sync.Once // the journal works beside the removal
		die := func() { killed, cut = disk.Clone(), disk.Crash() }
		f.Hook(func(faultfs.Op, string) error {
			if f.Count(faultfs.Any) >= n {
				dies.Do(die)
			}
			return nil
		})
		check(t, s.RemoveAccount(t.Context(), alice()))
		f.Hook(nil)
		done := false
		dies.Do(func() { done = true; die() })
		check(t, u.Close())
		check(t, s.Close())
		for _, fsys := range []vfs.FS{killed, cut} {
			l.fs = fsys
			again, err := Open(t.Context(), l.options())
			check(t, err)
			there, err := again.HasAccount(alice())
			check(t, err)
			if done && there {
				t.Errorf("it is back")
			}
			if there && fsys == vfs.FS(killed) {
				u := openUser(t, again)
				if got := messagesIn(t, u, folders); got != before {
					t.Errorf("operation %d: half of it is left: %s, before %s", n, got, before)
				}
				check(t, u.Close())
			}
			// The command is given again.
			check(t, again.RemoveAccount(t.Context(), alice()))
			check(t, again.Close())
			again, err = Open(t.Context(), l.options())
			check(t, err)
			if there, err := again.HasAccount(alice()); err != nil || there {
				t.Errorf("operation %d: it is back, %v", n, err)
			}
			check(t, again.Close())
		}
		if done || t.Failed() {
			return
		}
	}
}
