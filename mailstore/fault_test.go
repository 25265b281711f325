package mailstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/envelope"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/vfs"
)

// story runs a fixed series of changes and keeps what was answered OK.
type story struct {
	fs vfs.FS
	// must: acknowledged as durable, not removed. may: to be removed, but not
	// acknowledged; gone: acknowledged. queued: accepted without durability,
	// the sender has it.
	must, may, gone map[string]bool
	queued          map[string]string // ID -> subject
	stored          map[string]bool   // IDs whose delivery succeeded
	subjects        map[string]string // "folder/validity/uid" -> subject
	next            map[string]uint32 // folder/validity -> UIDNEXT told
}

func newStory(fsys vfs.FS) *story {
	return &story{fs: fsys, must: map[string]bool{}, may: map[string]bool{}, gone: map[string]bool{}, queued: map[string]string{}, stored: map[string]bool{},
		subjects: map[string]string{}, next: map[string]uint32{}}
}

func (st *story) options() Options {
	o := options("/mail")
	o.FS = st.fs
	o.Store.JournalSegment = 64 << 10
	o.Store.DefaultFolders = []string{"Archive"}
	// Nothing in the background: every run has the same operations.
	o.Store.CheckpointInterval = time.Hour
	return o
}

// run tells the story until something fails. Then the queue makes its next
// checkpoint.
func (st *story) run(ctx context.Context) error {
	s, err := Open(ctx, st.options())
	if err != nil {
		return err
	}
	defer s.Close()
	if err = st.tell(ctx, s); s.Checkpoint(ctx) == nil {
		st.settle()
	}
	return err
}

func (st *story) tell(ctx context.Context, s *Store) error {
	if err := st.arrive(ctx, s); err != nil {
		return err
	}
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
	return st.change(ctx, s, u, v)
}

func (st *story) arrive(ctx context.Context, s *Store) error {
	for i := range 3 {
		id, subject := fmt.Sprintf("id%d", i), fmt.Sprintf("queued%d", i)
		st.queued[id] = subject
		if err := s.Deliver(ctx, alice(), &Delivery{ID: id, Content: message(subject), Date: time.Unix(1e9, 0)}); err != nil {
			return err
		}
		st.stored[id] = true
	}
	if err := s.Deliver(ctx, alice(), &Delivery{Content: message("lmtp"), Durable: true, Prefix: []byte("Return-Path: <>\n")}); err != nil {
		return err
	}
	st.must["lmtp"] = true
	big := &spoolContent{Memory: envelope.Memory("Subject: big\n\n" + strings.Repeat("x\n", 4000))}
	if err := s.Deliver(ctx, alice(), &Delivery{Content: big, Durable: true}); err != nil {
		return err
	}
	st.must["big"] = true
	return nil
}

// spoolContent hides that it lies in memory, as a spooled file does.
type spoolContent struct{ envelope.Memory }

func (c *spoolContent) Bytes() ([]byte, bool) { return nil, false }

func (st *story) change(ctx context.Context, s *Store, u *User, v *View) error {
	st.told("INBOX", v)
	// The first of these need a reservation, the others are within it.
	for i := 3; i < 7; i++ {
		id, subject := fmt.Sprintf("id%d", i), fmt.Sprintf("queued%d", i)
		st.queued[id] = subject
		if err := s.Deliver(ctx, alice(), &Delivery{ID: id, Content: message(subject), Date: time.Unix(1e9, 0)}); err != nil {
			return err
		}
		st.stored[id] = true
		if i%2 == 1 {
			continue
		}
		if _, err := v.Update(ctx, true); err != nil {
			return err
		}
		st.told("INBOX", v)
	}
	validity, uid, err := u.Append(ctx, "Archive", []imap.Flag{imap.FlagFlagged, "work"}, time.Unix(5e8, 0), message("append"))
	if err != nil {
		return err
	}
	st.must["append"] = true
	st.subjects[fmt.Sprint("Archive/", validity, "/", uid)] = "append"
	if _, err := v.SetFlags(ctx, []uint32{1, 2}, FlagsAdd, []imap.Flag{imap.FlagSeen, imap.FlagDeleted}, 0); err != nil {
		return err
	}
	// queued0 goes before any checkpoint covers its delivery.
	st.may["queued0"] = true
	if err := v.Expunge(ctx, []uint32{1}); err != nil {
		return err
	}
	st.gone["queued0"] = true
	if _, err := v.Update(ctx, true); err != nil {
		return err
	}
	st.told("INBOX", v)
	if _, _, err := v.Move(ctx, []uint32{1, 3}, "Archive"); err != nil {
		return err
	}
	st.must["queued1"], st.must["lmtp"] = true, true
	if _, err := v.Update(ctx, true); err != nil {
		return err
	}
	if _, _, err := v.Copy(ctx, []uint32{1}, "Archive"); err != nil {
		return err
	}
	if err := v.Expunge(ctx, []uint32{1}); err != nil {
		return err
	}
	st.must["queued2"] = true
	return s.Checkpoint(ctx)
}

// settle is what the queue does after a checkpoint: it forgets what it
// delivered, which must be there from now on.
func (st *story) settle() {
	for id := range st.stored {
		if subject := st.queued[id]; subject != "" && !st.may[subject] {
			st.must[subject] = true
		}
		delete(st.queued, id)
	}
}

// told notes what a client saw.
func (st *story) told(folder string, v *View) {
	validity := v.Info().UIDValidity
	st.next[fmt.Sprint(folder, "/", validity)] = v.Info().UIDNext
	for seq := uint32(1); seq <= uint32(v.Len()); seq++ {
		if subject, err := subjectOf(v, seq); err == nil {
			st.subjects[fmt.Sprint(folder, "/", validity, "/", v.UID(seq))] = subject
		}
	}
}

func subjectOf(v *View, seq uint32) (string, error) {
	c, err := v.Read(context.Background(), seq)
	if err != nil {
		return "", err
	}
	defer c.Close()
	b, err := io.ReadAll(envelope.Reader(c))
	if err != nil {
		return "", err
	}
	_, rest, _ := strings.Cut(string(b), "Subject: ")
	subject, _, _ := strings.Cut(rest, "\n")
	return subject, nil
}

// verify opens the store after a crash, lets the queue try again, and counts.
func (st *story) verify(t *testing.T, disk vfs.FS) {
	t.Helper()
	st.fs = disk
	s, err := Open(t.Context(), st.options())
	if err != nil {
		t.Fatalf("open after the crash: %v", err)
	}
	defer s.Close()
	// In another order than before, so that a UID used twice shows.
	ids := slices.Sorted(maps.Keys(st.queued))
	slices.Reverse(ids)
	for _, id := range ids {
		subject := st.queued[id]
		d := &Delivery{ID: id, Replay: true, Content: message(subject), Date: time.Unix(1e9, 0)}
		if err := s.Deliver(t.Context(), alice(), d); err != nil {
			t.Fatalf("replay: %v", err)
		}
		st.stored[id] = true
	}
	u, err := s.User(t.Context(), alice())
	check(t, err)
	defer u.Close()
	count := map[string]int{}
	for _, folder := range []string{"INBOX", "Archive"} {
		v, err := u.Open(t.Context(), folder, true)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		check(t, err)
		key := fmt.Sprint(folder, "/", v.Info().UIDValidity)
		if v.Info().UIDNext < st.next[key] {
			t.Errorf("%s: UIDNEXT went back from %d to %d", key, st.next[key], v.Info().UIDNext)
		}
		for seq := uint32(1); seq <= uint32(v.Len()); seq++ {
			subject, err := subjectOf(v, seq)
			if err != nil {
				t.Errorf("%s %d: %v", folder, v.UID(seq), err)
			}
			count[subject]++
			if was, ok := st.subjects[fmt.Sprint(key, "/", v.UID(seq))]; ok && was != subject {
				t.Errorf("%s: UID %d was %q, is %q", folder, v.UID(seq), was, subject)
			}
		}
		check(t, v.Close())
	}
	for subject := range st.must {
		if count[subject] == 0 {
			t.Errorf("%q is lost", subject)
		}
	}
	for _, subject := range st.queued {
		switch {
		case st.gone[subject] && count[subject] > 0:
			t.Errorf("%q was removed and came back", subject)
		case !st.may[subject] && count[subject] == 0:
			t.Errorf("%q is lost though it was sent again", subject)
		}
	}
	if t.Failed() {
		t.Logf("found %v", count)
	}
}

// operations counts those of a whole run.
func operations(t *testing.T) int {
	t.Helper()
	f := faultfs.Wrap(faultfs.NewDisk())
	if err := newStory(f).run(t.Context()); err != nil {
		t.Fatal(err)
	}
	return f.Count(faultfs.Any)
}

func TestPowerLossAtEveryOperation(t *testing.T) {
	t.Parallel()
	total := operations(t)
	t.Logf("%d operations", total)
	for n := 1; n <= total; n++ {
		disk := faultfs.NewDisk()
		f := faultfs.Wrap(disk)
		f.FailFrom(faultfs.Any, n, faultfs.EIO)
		st := newStory(f)
		if err := st.run(t.Context()); err == nil && n < total-30 { // the last ones are those of Close
			t.Fatalf("operation %d failed and nobody noticed", n)
		}
		st.verify(t, disk.Crash())
		rng := rand.New(rand.NewPCG(uint64(n), 1))
		st.verify(t, disk.CrashRandom(rng))
		st.verify(t, disk.Clone())
		if t.Failed() {
			t.Fatalf("at operation %d of %d", n, total)
		}
	}
}

// TestEveryOperationFailsOnce: a process whose disk failed once is followed by
// another, with the power on or off in between; and when that one has made a
// checkpoint, by a power loss. A sync that fails loses what it should have
// written, and nobody can see that in what is read.
func TestEveryOperationFailsOnce(t *testing.T) {
	t.Parallel()
	total := operations(t)
	for n := 1; n <= total; n++ {
		for _, cause := range []error{faultfs.EIO, faultfs.ENOSPC} {
			disk := faultfs.NewDisk()
			f := faultfs.Wrap(disk)
			f.FailNth(faultfs.Any, n, cause)
			st := newStory(f)
			_ = st.run(t.Context())
			st.verify(t, disk.Crash())
			next := disk.Clone()
			st.verify(t, next)
			// The second process made a checkpoint, so the queue forgets.
			st.settle()
			st.verify(t, next.Crash())
			if t.Failed() {
				t.Fatalf("at operation %d of %d, %v", n, total, cause)
			}
		}
	}
}
