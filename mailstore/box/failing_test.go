package box_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/configs"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/mailstore/account"
	"toastmaster/mailstore/box"
)

// act is one change, with what INBOX and Other have when it was done; nil is what they had
// before.
type act struct {
	do           func(ctx context.Context, d *desk, v *box.View) error
	inbox, other []string
	// apart: of a failure some messages have what they get, and others what they had.
	apart bool
	// stays: what failed may be done all the same, as the caller hears when it tries again.
	stays bool
	// ends: no view goes on.
	ends bool
}

func inboxBefore() []string { return []string{`1 one [\Seen]`, "2 two [work]", "3 three []"} }

func otherBefore() []string { return []string{"1 other []"} }

func delivery(subject string) *box.Delivery { return &box.Delivery{Content: message(subject)} }

// acts are the changes that a mailbox knows.
func acts() map[string]act {
	with := func(more ...string) []string { return append(inboxBefore(), more...) }
	return map[string]act{
		"deliver": {
			do:    func(ctx context.Context, d *desk, _ *box.View) error { return d.box("").Deliver(ctx, delivery("new")) },
			inbox: with("4 new []"),
		},
		"deliver durably": {
			do: func(ctx context.Context, d *desk, _ *box.View) error {
				m := delivery("new")
				m.Durable = true
				return d.box("").Deliver(ctx, m)
			},
			inbox: with("4 new []"),
		},
		"deliver what may be repeated": {
			do: func(ctx context.Context, d *desk, _ *box.View) error {
				m := delivery("new")
				m.Durable, m.ID, m.Date = true, "ID", time.Unix(1e9, 0)
				return d.box("").Deliver(ctx, m)
			},
			inbox: with("4 new []"), stays: true,
		},
		"append": {
			do: func(ctx context.Context, d *desk, _ *box.View) error {
				_, _, err := d.box("").Append(ctx, []imap.Flag{`\Flagged`, "fresh"}, time.Unix(5e8, 0), message("new"))
				return err
			},
			inbox: with(`4 new [\Flagged fresh]`),
		},
		"add flags": {
			do: func(ctx context.Context, _ *desk, v *box.View) error {
				_, err := v.SetFlags(ctx, []uint32{1, 2, 3}, box.FlagsAdd, []imap.Flag{`\Deleted`, "fresh"}, 0)
				return err
			},
			inbox: []string{`1 one [\Deleted \Seen fresh]`, `2 two [\Deleted fresh work]`, `3 three [\Deleted fresh]`}, apart: true,
		},
		"take flags away": {
			do: func(ctx context.Context, _ *desk, v *box.View) error {
				_, err := v.SetFlags(ctx, []uint32{1, 2}, box.FlagsRemove, []imap.Flag{`\Seen`, "work", "none"}, 0)
				return err
			},
			inbox: []string{"1 one []", "2 two []", "3 three []"}, apart: true,
		},
		"expunge": {
			do:    func(ctx context.Context, _ *desk, v *box.View) error { return v.Expunge(ctx, []uint32{1, 3}) },
			inbox: []string{"2 two [work]"}, stays: true,
		},
		"copy": {
			do: func(ctx context.Context, _ *desk, v *box.View) error {
				_, _, err := v.Copy(ctx, []uint32{1, 2}, "Other")
				return err
			},
			other: append(otherBefore(), `2 one [\Seen]`, "3 two [work]"),
		},
		"move": {
			do: func(ctx context.Context, _ *desk, v *box.View) error {
				_, _, err := v.Move(ctx, []uint32{2, 3}, "Other")
				return err
			},
			inbox: inboxBefore()[:1], other: append(otherBefore(), "2 two [work]", "3 three []"),
		},
		"lazy work": {
			do: func(ctx context.Context, d *desk, _ *box.View) error {
				d.clock.Advance(d.vol.Config.UIDListDelay)
				d.vol.Config.LogLimit = 0
				return d.box("").Tidy(ctx, d.vol.Points.Durable())
			},
		},
		"leaving memory": {
			do: func(ctx context.Context, d *desk, v *box.View) error {
				mb := d.box("")
				check(d.t, v.Close())
				delete(d.boxes, "")
				return mb.Shut(ctx)
			},
			ends: true,
		},
	}
}

// TestEveryChangeOnAFailingDisk: whatever operation of the disk fails during a change, the
// change is whole: it is done, or nothing of it; what was answered is there; the quota has
// what the mailboxes hold; all views have the same numbers; and a process that begins now
// sees the same under the same UIDs. Where each message has its own file name for its flags,
// each is whole by itself.
func TestEveryChangeOnAFailingDisk(t *testing.T) {
	t.Parallel()
	for name, a := range acts() {
		for _, op := range []faultfs.Op{faultfs.Any, faultfs.Stat, faultfs.Open, faultfs.Read, faultfs.ReadDir, faultfs.Lock} {
			for _, cause := range []error{faultfs.EIO, faultfs.ENOSPC} {
				if cause == faultfs.ENOSPC && op != faultfs.Any {
					continue // reading takes no room
				}
				t.Run(name+" "+string(op)+" "+cause.Error(), func(t *testing.T) {
					t.Parallel()
					for n := 1; a.failing(t, op, n, cause) && !t.Failed(); n++ {
						if n > 200 {
							t.Fatal("it takes more than 200 operations")
						}
					}
				})
			}
		}
	}
}

// failing does a with the n-th operation failing; false when there were fewer.
func (a act) failing(t *testing.T, op faultfs.Op, n int, cause error) (more bool) {
	t.Helper()
	disk := faultfs.NewDisk()
	d := newDesk(t, disk, func(c *configs.Store) { c.QuotaGrace = 0 })
	d.acct.Quota.Limit(account.Usage{Bytes: 1 << 20})
	d.make("Other")
	d.append("", "one", `\Seen`)
	d.append("", "two", "work")
	check(t, d.box("").Deliver(t.Context(), delivery("three")))
	check(t, d.box(".Other").Deliver(t.Context(), delivery("other")))
	v, watcher := d.view(""), d.view("")
	d.counts()

	d.faults.Reset()
	d.faults.FailNth(op, n, cause)
	err := a.do(t.Context(), d, v)
	more = d.faults.Count(op) >= n
	d.faults.Reset()
	if !more && err != nil {
		t.Fatalf("nothing failed: %v", err)
	}

	inbox, other := d.see(""), d.see(".Other")
	a.whole(t, err, inbox, other)
	d.counts()
	if !a.ends {
		d.watch(watcher, inbox)
	}
	// That an operation was taken back is noted in the journal, unless that is what failed:
	// who begins then does it again, or nothing of it.
	noted := d.journal.Flush(t.Context()) == nil
	next := newDesk(t, disk.Clone(), nil)
	if noted {
		next.sees("", inbox...)
		next.sees(".Other", other...)
	} else {
		again := a
		again.stays = true
		again.whole(t, err, next.see(""), next.see(".Other"))
	}
	next.end()
	d.end()
	if t.Failed() {
		t.Logf("%s %d of the change failed, which said %v", op, n, err)
	}
	return more
}

// watch says that a view which was open all the time has what the mailbox has.
func (d *desk) watch(v *box.View, want []string) {
	d.t.Helper()
	_, err := v.Update(d.t.Context(), true)
	check(d.t, err)
	var got []string
	for seq := uint32(1); seq <= uint32(v.Len()); seq++ {
		got = append(got, d.message(v, seq))
	}
	if !slices.Equal(got, want) {
		d.t.Errorf("a view has\n%q, the mailbox\n%q", got, want)
	}
}

// whole says that what the mailboxes have is the change or nothing of it.
func (a act) whole(t *testing.T, err error, inbox, other []string) {
	t.Helper()
	wantInbox, wantOther := inboxBefore(), otherBefore()
	if a.inbox != nil {
		wantInbox = a.inbox
	}
	if a.other != nil {
		wantOther = a.other
	}
	done := slices.Equal(inbox, wantInbox) && slices.Equal(other, wantOther)
	undone := slices.Equal(inbox, inboxBefore()) && slices.Equal(other, otherBefore())
	switch {
	case err == nil && !done:
		t.Errorf("it was answered, and there is\n%q and\n%q", inbox, other)
	case err != nil && a.apart:
		for i, m := range inbox {
			if m != inboxBefore()[i] && m != wantInbox[i] {
				t.Errorf("%q is neither %q nor %q", m, inboxBefore()[i], wantInbox[i])
			}
		}
	case err != nil && !undone && !(a.stays && done):
		t.Errorf("it failed (%v), and there is\n%q and\n%q", err, inbox, other)
	}
	if err != nil && strings.Contains(err.Error(), "records refused") {
		t.Error(err)
	}
}
