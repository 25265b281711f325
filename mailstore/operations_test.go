package mailstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/vfs"
)

// boxes are the subjects in each folder; a folder without any is there, too.
type boxes map[string][]string

func (b boxes) clone() boxes {
	c := boxes{}
	for folder, subjects := range b {
		c[folder] = slices.Clone(subjects)
	}
	return c
}

func (b boxes) String() string {
	var out []string
	for _, folder := range slices.Sorted(maps.Keys(b)) {
		subjects := slices.Clone(b[folder])
		slices.Sort(subjects)
		out = append(out, folder+":"+strings.Join(subjects, ","))
	}
	return strings.Join(out, " ")
}

func (b boxes) add(folder string, subjects ...string) { b[folder] = append(b[folder], subjects...) }

func (b boxes) remove(folder string, subjects ...string) {
	b[folder] = slices.DeleteFunc(b[folder], func(s string) bool { return slices.Contains(subjects, s) })
}

// change is one command of a client: what it does, and what is to be seen when
// it was answered OK.
type change struct {
	name string
	do   func(ctx context.Context, s *Store, u *User) error
	see  func(boxes)
}

// on runs f on a view with the sequence numbers of subjects.
func on(ctx context.Context, u *User, folder string, subjects []string, f func(v *View, seqs []uint32) error) error {
	v, err := u.Open(ctx, folder, false)
	if err != nil {
		return err
	}
	defer v.Close()
	var seqs []uint32
	for _, want := range subjects {
		for seq := uint32(1); seq <= uint32(v.Len()); seq++ {
			got, err := subjectOf(v, seq)
			if err != nil {
				return err
			}
			if got == want {
				seqs = append(seqs, seq)
			}
		}
	}
	if len(seqs) != len(subjects) {
		return fmt.Errorf("of %v in %s there are %d", subjects, folder, len(seqs))
	}
	return f(v, seqs)
}

func moving(from, to string, subjects ...string) change {
	return change{"move " + strings.Join(subjects, ",") + " " + from + " " + to, func(ctx context.Context, _ *Store, u *User) error {
		return on(ctx, u, from, subjects, func(v *View, seqs []uint32) error {
			_, uids, err := v.Move(ctx, seqs, to)
			if err == nil && len(uids) != len(seqs) {
				return fmt.Errorf("%d UIDs", len(uids))
			}
			return err
		})
	}, func(b boxes) {
		b.remove(from, subjects...)
		b.add(to, subjects...)
	}}
}

func copying(from, to string, subjects ...string) change {
	return change{"copy " + strings.Join(subjects, ",") + " " + from + " " + to, func(ctx context.Context, _ *Store, u *User) error {
		return on(ctx, u, from, subjects, func(v *View, seqs []uint32) error {
			_, _, err := v.Copy(ctx, seqs, to)
			return err
		})
	}, func(b boxes) { b.add(to, subjects...) }}
}

func expunging(folder string, subjects ...string) change {
	return change{"expunge " + strings.Join(subjects, ",") + " " + folder, func(ctx context.Context, _ *Store, u *User) error {
		return on(ctx, u, folder, subjects, func(v *View, seqs []uint32) error { return v.Expunge(ctx, seqs) })
	}, func(b boxes) { b.remove(folder, subjects...) }}
}

func flagging(folder, subject string, flags ...imap.Flag) change {
	return change{"flags " + subject, func(ctx context.Context, _ *Store, u *User) error {
		return on(ctx, u, folder, []string{subject}, func(v *View, seqs []uint32) error {
			_, err := v.SetFlags(ctx, seqs, FlagsAdd, flags, 0)
			return err
		})
	}, func(boxes) {}}
}

func appending(folder, subject string) change {
	return change{"append " + subject, func(ctx context.Context, _ *Store, u *User) error {
		_, _, err := u.Append(ctx, folder, []imap.Flag{imap.FlagSeen, "work"}, time.Unix(1e9, 0), message(subject))
		return err
	}, func(b boxes) { b.add(folder, subject) }}
}

func arriving(subject string) change {
	return change{"deliver " + subject, func(ctx context.Context, s *Store, _ *User) error {
		return s.Deliver(ctx, alice(), queuedDelivery(subject))
	}, func(b boxes) { b.add("INBOX", subject) }}
}

func queuedDelivery(subject string) *Delivery {
	return &Delivery{ID: subject, Content: message(subject), Date: time.Unix(1e9, 0)}
}

func renaming(from, to string) change {
	return change{"rename " + from, func(ctx context.Context, _ *Store, u *User) error { return u.Rename(ctx, from, to) }, func(b boxes) {
		for folder := range b.clone() {
			if rest, ok := strings.CutPrefix(folder+"/", from+"/"); ok {
				b[strings.TrimSuffix(to+"/"+rest, "/")] = b[folder]
				delete(b, folder)
			}
		}
	}}
}

func creating(folder string) change {
	return change{"create " + folder, func(ctx context.Context, _ *Store, u *User) error { return u.Create(ctx, folder, "") },
		func(b boxes) { b[folder] = nil }}
}

func deleting(folder string) change {
	return change{"delete " + folder, func(ctx context.Context, _ *Store, u *User) error { return u.Delete(ctx, folder) },
		func(b boxes) { delete(b, folder) }}
}

// changes are what clients do after everything was made durable once.
func changes() []change {
	return []change{
		moving("INBOX", "Archive", "m0", "m1"),
		expunging("INBOX", "m2"),
		copying("INBOX", "Archive", "m3", "m4", "m5"),
		expunging("INBOX", "m3"),
		appending("Work/Sub", "a0"),
		moving("INBOX", "Old", "m6"),
		moving("Old", "Archive", "o0"),
		renaming("Work", "Jobs"),
		appending("Jobs", "a1"),
		moving("INBOX", "Jobs/Sub", "m7"),
		deleting("Old"),
		flagging("INBOX", "m8", imap.FlagFlagged, "later"),
		moving("INBOX", "Jobs", "m8"),
		moving("Jobs", "Archive", "m8", "a1"),
		arriving("q0"),
		moving("INBOX", "Archive", "q0"),
		arriving("q1"),
		expunging("INBOX", "q1"),
		arriving("q2"),
		copying("INBOX", "Jobs", "q2"),
		expunging("INBOX", "q2"),
		moving("Archive", "INBOX", "m0"),
		moving("INBOX", "INBOX", "m4"),
		appending("Archive", "a2"),
		expunging("Archive", "a2", "m1"),
		copying("Archive", "INBOX", "q0"),
		expunging("INBOX", "q0"),
		creating("Fresh"),
		moving("INBOX", "Fresh", "m5"),
	}
}

// ledger is what clients were told.
type ledger struct {
	fs     vfs.FS
	before boxes // what is to be seen
	after  boxes // or this: the last change was not answered
	last   string
	queued []string // deliveries that the queue repeats
}

func (l *ledger) options() Options {
	o := newStory(l.fs).options()
	o.Store.SyncInterval = time.Hour
	return o
}

func (l *ledger) prepare(ctx context.Context, s *Store) error {
	u, err := s.User(ctx, alice())
	if err != nil {
		return err
	}
	defer u.Close()
	l.before = boxes{"INBOX": nil, "Archive": nil, "Work": nil, "Work/Sub": nil, "Old": nil}
	for _, folder := range []string{"Work", "Work/Sub", "Old"} {
		if err := u.Create(ctx, folder, ""); err != nil {
			return err
		}
	}
	for i := range 9 {
		subject := fmt.Sprint("m", i)
		if err := s.Deliver(ctx, alice(), &Delivery{Content: message(subject), Date: time.Unix(1e9, 0)}); err != nil {
			return err
		}
		l.before.add("INBOX", subject)
	}
	for _, subject := range []string{"o0", "o1"} {
		if err := s.Deliver(ctx, alice(), &Delivery{Folder: "Old", Content: message(subject)}); err != nil {
			return err
		}
		l.before.add("Old", subject)
	}
	return s.Checkpoint(ctx)
}

// run makes the changes until one fails, by one process after the other.
func (l *ledger) run(ctx context.Context, stores ...*Store) error {
	var users []*User
	for _, s := range stores {
		u, err := s.User(ctx, alice())
		if err != nil {
			return err
		}
		defer u.Close()
		users = append(users, u)
	}
	for i, c := range changes() {
		s, u := stores[i%len(stores)], users[i%len(stores)]
		l.after, l.last = l.before.clone(), c.name
		c.see(l.after)
		if subject, ok := strings.CutPrefix(c.name, "deliver "); ok {
			l.queued = append(l.queued, subject)
		}
		if err := c.do(ctx, s, u); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		l.before = l.after
	}
	return nil
}

// see reads what a client finds.
func see(ctx context.Context, u *User) (boxes, error) {
	folders, err := u.List(ctx)
	if err != nil {
		return nil, err
	}
	b := boxes{}
	for _, f := range folders {
		if f.NoSelect {
			continue
		}
		v, err := u.Open(ctx, f.Name, true)
		if err != nil {
			return nil, err
		}
		b[f.Name] = nil
		for seq := uint32(1); seq <= uint32(v.Len()); seq++ {
			subject, err := subjectOf(v, seq)
			if err != nil {
				return nil, errors.Join(fmt.Errorf("%s %d: %w", f.Name, seq, err), v.Close())
			}
			b.add(f.Name, subject)
		}
		if err := v.Close(); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// verify starts a new process after the crash, lets the queue repeat its
// deliveries, and compares.
func (l *ledger) verify(t *testing.T, how string, disk vfs.FS) {
	t.Helper()
	after := &ledger{fs: disk}
	s, err := Open(t.Context(), after.options())
	if err != nil {
		t.Fatalf("%s: open after %s: %v", how, l.last, err)
	}
	for _, subject := range l.queued {
		d := queuedDelivery(subject)
		d.Replay = true
		check(t, s.Deliver(t.Context(), alice(), d))
	}
	u := openUser(t, s)
	got, err := see(t.Context(), u)
	if how == "torn" && strings.HasPrefix(l.last, "append ") && got.String() != l.before.String() {
		// Of a message that was never answered OK a part may be there, or all but
		// its content: its name and its record in the index.
		for folder := range got {
			got.remove(folder, "")
		}
	}
	if err != nil || got.String() != l.before.String() && got.String() != l.after.String() {
		t.Errorf("%s, in %q: %v\nis     %s\nbefore %s\nafter  %s", how, l.last, err, got, l.before, l.after)
	}
	check(t, u.Close())
	check(t, s.Close())
}

// changesOn prepares a disk and makes the changes, by so many processes, with the faults
// that arm sets.
func changesOn(t *testing.T, disk *faultfs.Disk, processes int, arm func(*faultfs.Faults)) (l *ledger, f *faultfs.Faults, failed error) {
	t.Helper()
	f = faultfs.Wrap(disk)
	l = &ledger{fs: f}
	var stores []*Store
	for range processes {
		s, err := Open(t.Context(), l.options())
		check(t, err)
		stores = append(stores, s)
	}
	check(t, l.prepare(t.Context(), stores[0]))
	f.Reset()
	arm(f)
	failed = l.run(t.Context(), stores...)
	for _, s := range stores {
		_ = s.Close() // it may fail, on a dead disk
	}
	if failed == nil || len(l.after) == 0 {
		l.after = l.before
	}
	return l, f, failed
}

// TestPowerCutKeepsWhatWasAnswered cuts the power at every operation of the disk:
// each MOVE, EXPUNGE, COPY, APPEND, RENAME and DELETE that was answered OK has
// happened, the last has happened or not, wholly.
func TestPowerCutKeepsWhatWasAnswered(t *testing.T) { powerCuts(t, 1) }

// TestPowerCutOfTwoProcesses is the same where two processes make the changes in turn, each
// on what the other has done: what one was answered for does not hang on the other's journal.
func TestPowerCutOfTwoProcesses(t *testing.T) { powerCuts(t, 2) }

func powerCuts(t *testing.T, processes int) {
	t.Parallel()
	_, f, err := changesOn(t, faultfs.NewDisk(), processes, func(*faultfs.Faults) {})
	check(t, err)
	total := f.Count(faultfs.Any)
	t.Logf("%d operations", total)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	step := 2*processes - 1 // of two every third, and another one of them each time
	for n := 1 + int(seed%uint64(step)); n <= total; n += step {
		disk := faultfs.NewDisk()
		// The picture is taken before anybody cleans up.
		var cut, killed, torn *faultfs.Disk
		l, _, _ := changesOn(t, disk, processes, func(f *faultfs.Faults) {
			count := 0
			var mu sync.Mutex // the store's goroutines ask at the same time
			f.Hook(func(op faultfs.Op, _ string) error {
				mu.Lock()
				defer mu.Unlock()
				if cut == nil && f.Count(faultfs.Any) >= n {
					cut, killed = disk.Crash(), disk.Clone()
					torn = disk.CrashRandom(rand.New(rand.NewPCG(seed, uint64(n))))
				}
				if cut != nil {
					count++
					return faultfs.EIO
				}
				return nil
			})
		})
		if cut == nil {
			continue
		}
		l.verify(t, "power cut", cut)
		l.verify(t, "kill", killed)
		l.verify(t, "torn", torn)
		if t.Failed() {
			t.Fatalf("at operation %d of %d", n, total)
		}
	}
}

// TestAFailedChangeIsWhole fails every operation of the disk once: the change
// in which it did has happened or not, for those who look at it now and after a
// kill or a power cut.
func TestAFailedChangeIsWhole(t *testing.T) {
	t.Parallel()
	_, f, err := changesOn(t, faultfs.NewDisk(), 1, func(*faultfs.Faults) {})
	check(t, err)
	total := f.Count(faultfs.Any)
	const parts = 4 // beside each other: it takes long
	for part := range parts {
		for _, cause := range []error{faultfs.EIO, faultfs.ENOSPC} {
			t.Run(fmt.Sprintf("%v %d of %d", cause, part+1, parts), func(t *testing.T) {
				t.Parallel()
				for n := 1 + part; n <= total; n += parts {
					if failedChange(t, n, cause); t.Failed() {
						t.Fatalf("at operation %d of %d", n, total)
					}
				}
			})
		}
	}
}

// failedChange makes the changes on a disk whose n-th operation fails.
func failedChange(t *testing.T, n int, cause error) {
	t.Helper()
	disk := faultfs.NewDisk()
	f := faultfs.Wrap(disk)
	l := &ledger{fs: f}
	s, err := Open(t.Context(), l.options())
	check(t, err)
	check(t, l.prepare(t.Context(), s))
	f.Reset()
	f.FailNth(faultfs.Any, n, cause)
	if l.run(t.Context(), s) == nil {
		l.after = l.before
	}
	f.Heal()
	cut, killed := disk.Crash(), disk.Clone()
	u := openUser(t, s)
	got, err := see(t.Context(), u)
	if err != nil || got.String() != l.before.String() && got.String() != l.after.String() {
		t.Errorf("in %q: %v\nis     %s\nbefore %s\nafter  %s", l.last, err, got, l.before, l.after)
	}
	check(t, u.Close())
	_ = s.Close() // a sync may have failed
	l.verify(t, "power cut", cut)
	l.verify(t, "kill", killed)
}

// TestACopyOfAFileWithAllItsNames: a file system allows a file a number of
// names, ext4 65,000.
func TestACopyOfAFileWithAllItsNames(t *testing.T) {
	t.Parallel()
	disk := faultfs.NewDisk()
	f := faultfs.Wrap(disk)
	l := &ledger{fs: f}
	s, err := Open(t.Context(), l.options())
	check(t, err)
	check(t, l.prepare(t.Context(), s))
	f.Reset()
	f.FailFrom(faultfs.Link, 1, syscall.EMLINK)
	f.Hook(func(op faultfs.Op, name string) error {
		if op == faultfs.Create && strings.Contains(name, "/tmp") {
			f.Heal() // the copy has no other name
		}
		return nil
	})
	u := openUser(t, s)
	c := copying("INBOX", "Archive", "m0")
	check(t, c.do(t.Context(), s, u))
	f.FailFrom(faultfs.Link, 1, syscall.EMLINK)
	big := &spoolContent{Memory: message("m10")}
	check(t, s.Deliver(t.Context(), alice(), &Delivery{Content: big, Durable: true}))
	c.see(l.before)
	l.before.add("INBOX", "m10")
	l.after = l.before
	check(t, u.Close())
	l.verify(t, "power cut", disk.Crash())
	check(t, s.Close())
	l.verify(t, "stop", disk)
}

// TestACopyThatFailsAtItsEndLeavesNothing: what fails after the file of a copy has
// its name takes the name away, or the next look would find a message there.
func TestACopyThatFailsAtItsEndLeavesNothing(t *testing.T) {
	t.Parallel()
	disk := faultfs.NewDisk()
	f := faultfs.Wrap(disk)
	l := &ledger{fs: f}
	s, err := Open(t.Context(), l.options())
	check(t, err)
	check(t, l.prepare(t.Context(), s))
	f.Reset()
	f.FailFrom(faultfs.Link, 1, syscall.EMLINK)
	f.Hook(func(op faultfs.Op, name string) error {
		switch {
		case op == faultfs.Create && strings.Contains(name, "/tmp"):
			f.Heal()
		case op == faultfs.Chtimes:
			return syscall.EIO
		}
		return nil
	})
	u := openUser(t, s)
	if err := copying("INBOX", "Archive", "m0").do(t.Context(), s, u); !errors.Is(err, syscall.EIO) {
		t.Errorf("%v", err)
	}
	f.Hook(nil)
	got, err := see(t.Context(), u)
	if check(t, err); got.String() != l.before.String() {
		t.Errorf("is  %s\nwas %s", got, l.before)
	}
	check(t, u.Close())
	check(t, s.Close())
}

// TestARenameThatAStartFinished is not finished again by the next: what was put
// into the folder before is not looked for under its old name, and a new folder
// of that name stays.
func TestARenameThatAStartFinished(t *testing.T) {
	t.Parallel()
	disk := faultfs.NewDisk()
	f := faultfs.Wrap(disk)
	l := &ledger{fs: f}
	s, err := Open(t.Context(), l.options())
	check(t, err)
	check(t, l.prepare(t.Context(), s))
	u := openUser(t, s)
	ctx := t.Context()
	check(t, appending("Work", "a").do(ctx, s, u))
	check(t, copying("INBOX", "Work/Sub", "m1").do(ctx, s, u))
	var killed *faultfs.Disk
	f.Hook(func(op faultfs.Op, name string) error {
		if op == faultfs.Rename && strings.HasSuffix(name, "/.Work") && killed == nil {
			killed = disk.Clone() // the one below it has its new name
		}
		return nil
	})
	check(t, u.Rename(ctx, "Work", "Jobs"))
	check(t, u.Close())
	check(t, s.Close())
	want := ""
	for range 3 {
		l.fs = killed
		s, err = Open(ctx, l.options())
		check(t, err)
		u = openUser(t, s)
		got, err := see(ctx, u)
		check(t, err)
		switch {
		case want == "":
			if len(got["Jobs"]) != 1 || len(got["Jobs/Sub"]) != 1 || len(got) != 5 {
				t.Errorf("%s", got)
			}
			check(t, u.Rename(ctx, "Jobs", "Tasks"))
			check(t, u.Create(ctx, "Work", ""))
			got, err = see(ctx, u)
			check(t, err)
			want = got.String()
		case got.String() != want:
			t.Errorf("%s\nwas %s", got, want)
		}
		next := killed.Clone()
		check(t, u.Close())
		check(t, s.Close())
		killed = next
	}
}

// TestMailThatArrivesDuringARename: a message that is answered between the first
// word of a rename and its last goes with the folder, though the power fails
// before anything of it is on the disk, and once more while the next start puts
// it there.
func TestMailThatArrivesDuringARename(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	disk := faultfs.NewDisk()
	f := faultfs.Wrap(disk)
	l := &ledger{fs: f}
	s, err := Open(ctx, l.options())
	check(t, err)
	check(t, l.prepare(ctx, s))
	u := openUser(t, s)
	check(t, u.Create(ctx, "Work/Sub/Deep", ""))
	var cut *faultfs.Disk
	f.Hook(func(op faultfs.Op, name string) error {
		if op != faultfs.SyncFS || cut != nil {
			return nil
		}
		cut = disk // only once
		// The checkpoint before the first folder leaves, and another session.
		done := make(chan error, 1)
		go func() {
			done <- errors.Join(appending("Work", "late").do(ctx, s, u), appending("Work/Sub", "late").do(ctx, s, u))
		}()
		err := <-done
		cut = disk.Crash()
		return err
	})
	check(t, u.Rename(ctx, "Work", "Jobs"))
	f.Hook(nil)
	check(t, u.Close())
	check(t, s.Close())
	if cut == nil {
		t.Fatal("no checkpoint")
	}

	arrived := func(fs vfs.FS) {
		t.Helper()
		l.fs = fs
		s, err := Open(ctx, l.options())
		check(t, err)
		u := openUser(t, s)
		got, err := see(ctx, u)
		if check(t, err); !slices.Equal(got["Jobs"], []string{"late"}) || !slices.Equal(got["Jobs/Sub"], []string{"late"}) {
			t.Errorf("%s", got)
		}
		check(t, u.Close())
		check(t, s.Close())
	}
	// The power fails at every operation of the start.
	for n := 1; !t.Failed(); n++ {
		first := cut.Clone()
		f := faultfs.Wrap(first)
		var again *faultfs.Disk
		var mu sync.Mutex // the store's goroutines ask at the same time
		f.Hook(func(faultfs.Op, string) error {
			mu.Lock()
			defer mu.Unlock()
			if again == nil && f.Count(faultfs.Any) >= n {
				again = first.Crash()
			}
			return nil
		})
		arrived(f)
		if again == nil {
			break
		}
		arrived(again)
	}
}

// TestASpecialUseGoesWithItsMailbox: whatever operation of the disk fails in a
// rename, and wherever the process ends, the one mailbox of the two names has the
// use.
func TestASpecialUseGoesWithItsMailbox(t *testing.T) {
	t.Parallel()
	for n, over := 1, false; !over; n++ {
		disk := faultfs.NewDisk()
		f := faultfs.Wrap(disk)
		l := &ledger{fs: f}
		s, err := Open(t.Context(), l.options())
		check(t, err)
		u := openUser(t, s)
		check(t, u.Create(t.Context(), "Project", imap.MailboxAttrArchive))
		check(t, u.Create(t.Context(), "Project/Sub", ""))
		check(t, s.Checkpoint(t.Context()))
		var killed *faultfs.Disk
		f.Reset()
		at := ""
		var mu sync.Mutex
		f.Hook(func(op faultfs.Op, name string) error {
			mu.Lock()
			defer mu.Unlock()
			if killed != nil || f.Count(faultfs.Any) < n {
				return nil
			}
			killed, at = disk.Clone(), string(op)+" "+name
			return faultfs.EIO
		})
		failed := u.Rename(t.Context(), "Project", "Plan")
		f.Hook(nil)
		over = f.Count(faultfs.Any) < n
		names := []string{"Project", "Plan"} // told of an error, it may be either
		if failed == nil {
			names = names[1:]
		}
		used := func(how string, u *User, names ...string) {
			t.Helper()
			list, err := u.List(t.Context())
			check(t, err)
			var found []string
			for _, m := range list {
				if (m.Name == "Project" || m.Name == "Plan") && !m.NoSelect {
					found = append(found, m.Name)
					if m.SpecialUse != imap.MailboxAttrArchive {
						t.Errorf("%s: %s has lost its use", how, m.Name)
					}
				}
			}
			if len(found) != 1 || !slices.Contains(names, found[0]) {
				t.Errorf("%s: %v", how, found)
			}
		}
		used("failed", u, names...)
		_, _ = u.Close(), s.Close() // a sync may have failed
		if killed == nil {
			continue
		}
		s, err = Open(t.Context(), (&ledger{fs: killed}).options())
		check(t, err)
		u = openUser(t, s)
		used("killed", u, "Project", "Plan")
		check(t, u.Close())
		check(t, s.Close())
		if t.Failed() {
			t.Fatalf("operation %d, %s: %v", n, at, failed)
		}
	}
}

// TestADeletedMailboxTakesItsUseAlong: wherever the process ends in a DELETE, who
// makes a mailbox of that name anew, or gives the name to another, gets one without a
// use.
func TestADeletedMailboxTakesItsUseAlong(t *testing.T) {
	t.Parallel()
	disk := faultfs.NewDisk()
	f := faultfs.Wrap(disk)
	s, err := Open(t.Context(), (&ledger{fs: f}).options())
	check(t, err)
	u := openUser(t, s)
	check(t, u.Create(t.Context(), "Project", imap.MailboxAttrArchive))
	check(t, u.Create(t.Context(), "Plain", ""))
	var killed []*faultfs.Disk
	var mu sync.Mutex
	f.Hook(func(faultfs.Op, string) error {
		mu.Lock()
		defer mu.Unlock()
		killed = append(killed, disk.Clone())
		return nil
	})
	check(t, u.Delete(t.Context(), "Project"))
	f.Hook(nil)
	check(t, u.Close())
	check(t, s.Close())
	again := 0
	for n, disk := range killed {
		s, err := Open(t.Context(), (&ledger{fs: disk}).options())
		check(t, err)
		u := openUser(t, s)
		if n%2 == 0 {
			err = u.Create(t.Context(), "Project", "")
		} else {
			err = u.Rename(t.Context(), "Plain", "Project")
		}
		if err == nil {
			again++
			list, err := u.List(t.Context())
			check(t, err)
			for _, m := range list {
				if m.Name == "Project" && m.SpecialUse != "" {
					t.Errorf("operation %d: it has the use %s", n, m.SpecialUse)
				}
			}
		} else if !errors.Is(err, ErrExists) {
			t.Error(err)
		}
		check(t, u.Close())
		check(t, s.Close())
	}
	if again == 0 {
		t.Error("it was never deleted")
	}
}
