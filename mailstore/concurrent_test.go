package mailstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
)

// quick has short intervals, so that background work happens in a test.
func quick(root string) Options {
	o := options(root)
	o.Store.CheckpointInterval = 20 * time.Millisecond
	o.Store.SyncInterval = 20 * time.Millisecond
	o.Store.UIDListDelay = 0
	o.Store.LogLimit = 4 << 10
	return o
}

// start opens a store and runs it until the test ends.
func start(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), o)
	check(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// TestTwoProcesses lets two stores deliver, flag, move and expunge in the same
// mailboxes at once. Every message must end up in one place, with one UID.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	stores := []*Store{start(t, quick(root)), start(t, quick(root))}
	const each, workers = 30, 3
	var wg sync.WaitGroup
	errs := make(chan error, 1000)
	for k, s := range stores {
		for w := range workers {
			wg.Go(func() {
				for i := range each {
					subject := fmt.Sprintf("s%dw%dn%d", k, w, i)
					d := &Delivery{ID: subject, Content: message(subject), Durable: i%5 == 0}
					if err := s.Deliver(t.Context(), alice(), d); err != nil {
						errs <- fmt.Errorf("deliver: %w", err)
					}
				}
			})
		}
		wg.Go(func() {
			if err := mover(t.Context(), s, each); err != nil {
				errs <- fmt.Errorf("mover: %w", err)
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
	for k, s := range stores {
		subjects := subjectsOf(t, s, "INBOX", "Archive")
		if len(subjects) != 2*workers*each {
			t.Errorf("store %d sees %d messages of %d", k, len(subjects), 2*workers*each)
		}
		for subject, n := range subjects {
			if n != 1 {
				t.Errorf("store %d: %q is there %d times", k, subject, n)
			}
		}
	}
}

// mover reads INBOX as a session does and moves every second message.
func mover(ctx context.Context, s *Store, rounds int) error {
	u, err := s.User(ctx, alice())
	if err != nil {
		return err
	}
	defer u.Close()
	v, err := u.Open(ctx, "INBOX", false)
	if err != nil {
		return err
	}
	defer v.Close()
	for range rounds {
		if _, err := v.Update(ctx, true); err != nil {
			return fmt.Errorf("update: %w", err)
		}
		for seq := uint32(1); seq <= uint32(v.Len()); seq++ {
			if v.UID(seq)%2 == 0 {
				if _, err := v.SetFlags(ctx, []uint32{seq}, FlagsAdd, []imap.Flag{imap.FlagSeen, "kw"}, 0); err != nil {
					return fmt.Errorf("flags: %w", err)
				}
				continue
			}
			// The other process may have been faster.
			if _, _, err := v.Move(ctx, []uint32{seq}, "Archive"); err != nil && !errors.Is(err, ErrExpunged) {
				return fmt.Errorf("move: %w", err)
			}
		}
	}
	return nil
}

func subjectsOf(t testing.TB, s *Store, folders ...string) map[string]int {
	t.Helper()
	u := openUser(t, s)
	defer u.Close()
	return subjectsOfUser(t, u, folders...)
}

func subjectsOfUser(t testing.TB, u *User, folders ...string) map[string]int {
	t.Helper()
	subjects := map[string]int{}
	for _, folder := range folders {
		v, err := u.Open(t.Context(), folder, true)
		check(t, err)
		last := imap.UID(0)
		for seq := uint32(1); seq <= uint32(v.Len()); seq++ {
			if v.UID(seq) <= last {
				t.Errorf("UID %d after %d", v.UID(seq), last)
			}
			last = v.UID(seq)
			subject, err := subjectOf(v, seq)
			if err != nil {
				t.Errorf("%s %d: %v", folder, v.UID(seq), err)
			}
			subjects[subject]++
		}
		check(t, v.Close())
	}
	return subjects
}

// TestManySessions has sessions that watch, change and read one mailbox while
// mail arrives; each keeps a model of what it was told.
func TestManySessions(t *testing.T) {
	t.Parallel()
	s := start(t, quick(t.TempDir()))
	const deliveries = 200
	for i := range 20 {
		deliver(t, s, Delivery{Content: message(fmt.Sprint("old", i))})
	}
	var wg sync.WaitGroup
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for k := range 6 {
		wg.Go(func() {
			if err := session(ctx, s, k); err != nil {
				t.Errorf("session %d: %v", k, err)
			}
		})
	}
	for i := range deliveries {
		deliver(t, s, Delivery{Content: message(fmt.Sprint("new", i))})
	}
	deliver(t, s, Delivery{Content: message("the end"), Flags: []imap.Flag{imap.FlagFlagged}})
	wg.Wait()
}

func session(ctx context.Context, s *Store, k int) error {
	u, err := s.User(ctx, alice())
	if err != nil {
		return err
	}
	defer u.Close()
	v, err := u.Open(ctx, "INBOX", k%3 == 0)
	if err != nil {
		return err
	}
	defer v.Close()
	model := make([]imap.UID, v.Len())
	for i := range model {
		model[i] = v.UID(uint32(i) + 1)
	}
	for round := 0; ; round++ {
		expunge := round%2 == 0
		up, err := v.Update(ctx, expunge)
		if err != nil {
			return err
		}
		if model, err = follow(model, v, up); err != nil {
			return err
		}
		n := uint32(v.Len())
		if n > 0 && len(v.Message(n).Flags) > 0 && v.Message(n).Flags[0] == imap.FlagFlagged {
			return nil
		}
		if k%3 != 0 && n > 5 {
			seq := uint32(round)%n + 1
			if _, err := v.SetFlags(ctx, []uint32{seq}, FlagsAdd, []imap.Flag{imap.FlagSeen}, 0); err != nil {
				return err
			}
			if _, err := v.Read(ctx, seq); err != nil && !errors.Is(err, ErrExpunged) {
				return err
			}
			if _, err := recordOf(ctx, v, seq); err != nil && !errors.Is(err, ErrExpunged) {
				return err
			}
			if k == 1 && round%4 == 0 {
				if err := v.Expunge(ctx, []uint32{1}); err != nil {
					return err
				}
			}
		}
		select {
		case <-v.Changed():
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// follow applies an update to the model and compares it with the view.
func follow(model []imap.UID, v *View, up Update) ([]imap.UID, error) {
	for i, seq := range up.Expunged {
		if int(seq) > len(model) || model[seq-1] != up.ExpungedUIDs[i] {
			return nil, fmt.Errorf("EXPUNGE %d is not %d", seq, up.ExpungedUIDs[i])
		}
		model = append(model[:seq-1:seq-1], model[seq:]...)
	}
	if up.Exists == 0 && v.Len() != len(model) || up.Exists != 0 && int(up.Exists) != v.Len() {
		return nil, fmt.Errorf("EXISTS %d, view has %d, model %d", up.Exists, v.Len(), len(model))
	}
	for i, uid := range model {
		if v.UID(uint32(i)+1) != uid {
			return nil, fmt.Errorf("message %d is %d, was %d", i+1, v.UID(uint32(i)+1), uid)
		}
	}
	for i := len(model); i < v.Len(); i++ {
		model = append(model, v.UID(uint32(i)+1))
	}
	return model, nil
}
