package plan

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/msglog"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore"
	"toastmaster/mailstore/storetest"
)

// story is a delivery with a plan of several actions, what its owner does with the
// copies then, and what was answered of it.
type story struct {
	t       *testing.T
	plan    Planner
	outbox  *outbox // outlives the process: the queue has its own disk
	sends   int     // that each delivery that succeeds makes
	done    bool    // the delivery was answered
	durable bool
	expunge bool // of the copy in INBOX was begun
	gone    bool // and answered
	covered bool // a checkpoint was answered after the delivery
}

func newStory(t *testing.T, sends bool) *story {
	actions := []Action{
		FileInto{Mailbox: "Junk", Create: true, Flags: []imap.Flag{imap.FlagSeen}}, FileInto{Mailbox: "New/Sub", Create: true}, Keep{Flags: []imap.Flag{imap.FlagFlagged}},
	}
	st := &story{t: t, outbox: &outbox{}}
	if sends {
		actions = append(actions, Redirect{address(t, "bob@elsewhere.test")}, Redirect{address(t, "carol@elsewhere.test")})
		st.sends = 1
	}
	st.plan = planOf(actions...)
	return st
}

// deliver is what the queue does: once, and again with replay after that failed or a
// process ended.
func (st *story) deliver(ctx context.Context, s *mailstore.Store, o mailstore.Options, replay bool) (*Outcome, error) {
	m := message(st.t, "3Q1")
	m.Replay = replay
	x := New(Options{Store: s, Plan: st.plan, Params: o.Store, Submit: st.outbox, Spool: s.Spool(), Log: msglog.Discard()})
	out, failed := x.Deliver(ctx, m)
	if failed != nil {
		if !failed.Temporary() {
			st.t.Errorf("a disk that fails makes mail bounce: %v", failed)
		}
		return nil, failed
	}
	return out, nil
}

// run tells the story until something fails. again tries a delivery that failed once
// more, in the same process.
func (st *story) run(ctx context.Context, fsys vfs.FS, again bool) error {
	o := options(st.t, "/mail", fsys)
	s, err := mailstore.Open(ctx, o)
	if err != nil {
		return err
	}
	defer s.Close()
	out, err := st.deliver(ctx, s, o, false)
	if err != nil && again {
		out, err = st.deliver(ctx, s, o, true)
	}
	if err != nil {
		return err
	}
	st.done, st.durable = true, out.Durable
	u, err := s.User(ctx, storetest.Account(st.t, "alice"))
	if err != nil {
		return err
	}
	defer u.Close()
	if err := st.change(ctx, u); err != nil {
		return err
	}
	if err := s.Checkpoint(ctx); err != nil {
		return err
	}
	st.covered = true
	return nil
}

// change moves one copy and removes another.
func (st *story) change(ctx context.Context, u *mailstore.User) error {
	junk, err := u.Open(ctx, "Junk", false)
	if err != nil {
		return err
	}
	defer junk.Close()
	if _, _, err := junk.Move(ctx, []uint32{1}, "Archive"); err != nil {
		return err
	}
	inbox, err := u.Open(ctx, "INBOX", false)
	if err != nil {
		return err
	}
	defer inbox.Close()
	st.expunge = true
	if err := inbox.Expunge(ctx, []uint32{1}); err != nil {
		return err
	}
	st.gone = true
	return nil
}

// verify opens the store after the end of the process, lets the queue deliver again,
// or not, and counts.
func (st *story) verify(disk vfs.FS, replay bool) {
	t := st.t
	t.Helper()
	o := options(t, "/mail", disk)
	s, err := mailstore.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("open after the end: %v", err)
	}
	if replay {
		before := len(st.outbox.sent)
		if _, err := st.deliver(t.Context(), s, o, true); err != nil {
			t.Fatalf("the repetition: %v %+v", err, *st)
		}
		if n := len(st.outbox.sent) - before; n != st.sends {
			t.Errorf("the repetition sent %d times", n)
		}
	}
	count := map[string]int{}
	for folder := range strings.FieldsSeq(mail(t, s, "alice")) {
		name, _, _ := strings.Cut(folder, "[")
		count[name]++
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(count["Junk"]+count["Archive"], count["New/Sub"], count["INBOX"])
	want := "1 1 1"
	if st.gone || st.expunge && count["INBOX"] == 0 {
		want = "1 1 0"
	}
	if got != want {
		t.Errorf("copies %s, want %s (%v; replay %t, %+v)", got, want, count, replay, *st)
	}
	for _, line := range st.outbox.sent {
		if line != st.outbox.sent[0] {
			t.Errorf("sent %q and %q", st.outbox.sent[0], line)
		}
	}
}

// each runs f for a plan that sends nothing and for one that does, at every operation.
func each(t *testing.T, f func(st *story, n int)) {
	for _, sends := range []bool{false, true} {
		t.Run(fmt.Sprint("sends ", sends), func(t *testing.T) {
			t.Parallel()
			all := faultfs.Wrap(faultfs.NewDisk())
			if err := newStory(t, sends).run(t.Context(), all, false); err != nil {
				t.Fatal(err)
			}
			total := all.Count(faultfs.Any)
			t.Logf("%d operations", total)
			for n := 1; n <= total; n++ {
				if f(newStory(t, sends), n); t.Failed() {
					t.Fatalf("at operation %d of %d", n, total)
				}
			}
		})
	}
}

// TestTheEndAtEveryOperation: a kill or a power cut at any point of a plan. The queue
// delivers again what has no mark yet; each copy is there once, what its owner removed
// stays away, and what is sent again is the same.
func TestTheEndAtEveryOperation(t *testing.T) {
	t.Parallel()
	each(t, func(st *story, n int) {
		disk := faultfs.NewDisk()
		f := faultfs.Wrap(disk)
		f.FailFrom(faultfs.Any, n, faultfs.EIO)
		_ = st.run(st.t.Context(), f, false)
		st.verify(disk.Clone(), true)
		st.verify(disk.Crash(), true)
		st.verify(disk.CrashRandom(rand.New(rand.NewPCG(uint64(n), 1))), true)
		if st.done && (st.durable || st.covered) { // the queue has its mark, and forgets
			st.verify(disk.Crash(), false)
		}
		if st.done {
			st.verify(disk.Clone(), false)
		}
	})
}

// TestOneFailureAndAnotherTry: an operation fails, the delivery with it, and the queue
// tries again in the same process; then the power fails. No copy is made twice, and an
// attempt that failed has sent nothing.
func TestOneFailureAndAnotherTry(t *testing.T) {
	t.Parallel()
	each(t, func(st *story, n int) {
		disk := faultfs.NewDisk()
		f := faultfs.Wrap(disk)
		f.FailNth(faultfs.Any, n, faultfs.ENOSPC)
		err := st.run(st.t.Context(), f, true)
		if sent := len(st.outbox.sent); sent > st.sends || st.done && sent != st.sends {
			st.t.Errorf("sent %d times, %v", sent, err)
		}
		st.verify(disk.Clone(), true)
		st.verify(disk.Crash(), true)
		if err == nil {
			st.verify(disk.Crash(), false)
		}
	})
}

// TestPartsOfAPlanFail: the second of three copies cannot be made now, later ones can.
func TestPartsOfAPlanFail(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"3Q1", ""} {
		for _, where := range []string{"/.Junk/new/", "/.Sent/new/", "outbox"} {
			t.Run(id+where, func(t *testing.T) {
				t.Parallel()
				faults := faultfs.Wrap(faultfs.NewDisk())
				o := options(t, "/mail", faults)
				s, err := mailstore.Open(t.Context(), o)
				check(t, err)
				b := &bed{t: t, store: s, out: &outbox{}}
				plan := planOf(Keep{}, FileInto{Mailbox: "Junk"}, FileInto{Mailbox: "Sent"}, Redirect{address(t, "bob@elsewhere.test")})
				b.x = New(Options{Store: s, Plan: plan, Params: o.Store, Submit: b.out, Spool: s.Spool(), Log: msglog.Discard()})
				b.out.fail = errors.New("the queue is full")
				if where != "outbox" {
					b.out.fail = nil
					faults.Hook(func(op faultfs.Op, name string) error {
						if strings.Contains(name, where) && op == faultfs.Link {
							return faultfs.EIO
						}
						return nil
					})
				}
				m := message(t, id)
				for range 3 {
					if _, err := b.deliver(m); err == nil || !err.Temporary() {
						t.Fatalf("%v", err)
					}
					m.Replay = id != ""
				}
				left := mail(t, s, "alice")
				if id == "" && left != "" || len(b.out.sent) > 0 {
					t.Errorf("left %s, sent %q", left, b.out.sent)
				}
				faults.Hook(nil)
				b.out.fail = nil
				if _, err := b.deliver(m); err != nil {
					t.Fatal(err)
				}
				if got := mail(t, s, "alice"); got != "INBOX[] Junk[] Sent[]" || len(b.out.sent) != 1 {
					t.Errorf("%s, sent %q", got, b.out.sent)
				}
				check(t, s.Close())
			})
		}
	}
}

// TestAnotherPlanAtTheRepetition: what a plan has done is recognised by what it did,
// also where the planner has changed its mind meanwhile.
func TestAnotherPlanAtTheRepetition(t *testing.T) {
	t.Parallel()
	b := newBed(t, nil)
	m := message(t, "3Q1")
	for _, actions := range [][]Action{
		{FileInto{Mailbox: "Junk"}, FileInto{Mailbox: "Sent"}}, {FileInto{Mailbox: "Sent"}, Keep{}}, {FileInto{Mailbox: "Trash"}, FileInto{Mailbox: "Junk"}, Keep{}},
	} {
		b.x.o.Plan = planOf(actions...)
		if _, err := b.deliver(m); err != nil {
			t.Fatal(err)
		}
		m.Replay = true
	}
	if got := mail(t, b.store, "alice"); got != "INBOX[] Junk[] Sent[] Trash[]" {
		t.Errorf("%s", got)
	}
}

// TestQuotaOfAPlan: a message that does not fit at all is refused; one that fits once
// has arrived.
func TestQuotaOfAPlan(t *testing.T) {
	t.Parallel()
	b := newBed(t, planOf(FileInto{Mailbox: "Junk"}, Keep{}, Redirect{address(t, "bob@elsewhere.test")}))
	m := message(t, "3Q1")
	m.Account.QuotaMessages = 1
	for range 2 {
		out, err := b.deliver(m)
		if err != nil || len(out.Redirected) != 1 {
			t.Fatalf("%+v %v", out, err)
		}
		if got := mail(t, b.store, "alice"); got != "Junk[]" {
			t.Errorf("%s", got)
		}
		m.Replay = true
	}
	next := message(t, "3Q2")
	next.Account.QuotaMessages = 1
	if _, err := b.deliver(next); err == nil || err.Status.String() != "5.2.2" || len(b.out.sent) != 2 {
		t.Errorf("%v, sent %q", err, b.out.sent)
	}
}
