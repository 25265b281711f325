package storetest_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/testkit/seeds"
	"toastmaster/mailstore"
)

// couple is two processes on one store.
func couple(t *testing.T, parameters map[string]any) [2]*worker {
	t.Helper()
	root := filepath.Join(t.TempDir(), "mail")
	return [2]*worker{startWorker(t, root, parameters), startWorker(t, root, parameters)}
}

// atOnce has both do something; what has %d for the number of the process.
func atOnce(t *testing.T, both [2]*worker, o order) (answers [2]answer) {
	t.Helper()
	var wg sync.WaitGroup
	for i, w := range both {
		own := o
		own.Name = strings.ReplaceAll(o.Name, "%d", fmt.Sprint(i))
		wg.Go(func() { answers[i] = w.do(t, own) })
	}
	wg.Wait()
	return answers
}

// TestUIDValidityIsGivenOnce: two processes make mailboxes in one account, and none of two
// mailboxes has the UIDVALIDITY of another, nor has one that was made again that of before.
func TestUIDValidityIsGivenOnce(t *testing.T) {
	t.Parallel()
	both := couple(t, nil)
	const each = 60
	seen := map[uint32]string{}
	for round := range 2 {
		atOnce(t, both, order{Do: "create", Name: "p%dn", N: each})
		for i, a := range atOnce(t, both, order{Do: "status", Name: "p%dn", N: each}) {
			for n, validity := range a.UIDs {
				name := fmt.Sprintf("p%dn%d of round %d", i, n, round)
				if other := seen[validity]; other != "" {
					t.Errorf("UIDVALIDITY %d of %s was %s's", validity, name, other)
				}
				seen[validity] = name
			}
		}
		atOnce(t, both, order{Do: "delete", Name: "p%dn", N: each})
	}
	if len(seen) != 4*each {
		t.Errorf("%d of %d", len(seen), 4*each)
	}
}

// TestSmallFilesKeepTheChangesOfBoth: subscriptions, special use and default folders.
func TestSmallFilesKeepTheChangesOfBoth(t *testing.T) {
	t.Parallel()
	const each = 60
	var defaults []string
	for i := range 2 {
		for n := range each {
			defaults = append(defaults, fmt.Sprintf("default%dn%d", i, n))
		}
	}
	both := couple(t, map[string]any{"DefaultFolders": defaults})
	atOnce(t, both, order{Do: "create", Name: "p%dn", N: each, To: string(imap.MailboxAttrArchive)})
	atOnce(t, both, order{Do: "subscribe", Name: "p%dn", N: each})
	atOnce(t, both, order{Do: "unsubscribe", Name: "default%dn", N: each / 2})
	atOnce(t, both, order{Do: "delete", Name: "default%dn", N: each})
	for i, w := range both {
		for _, f := range w.do(t, order{Do: "list"}).Folders {
			var p, n int
			_, err := fmt.Sscanf(f.Name, "p%dn%d", &p, &n)
			switch isDefault := strings.HasPrefix(f.Name, "default"); {
			case isDefault && (!f.NoSelect || f.Subscribed != subscribedStill(f.Name, each/2)):
				t.Errorf("process %d: %+v was deleted, and not unsubscribed from half", i, f)
			case err == nil && (!f.Subscribed || f.SpecialUse != imap.MailboxAttrArchive || f.NoSelect):
				t.Errorf("process %d: %+v", i, f)
			}
		}
	}
}

func subscribedStill(name string, from int) bool {
	var p, n int
	_, err := fmt.Sscanf(name, "default%dn%d", &p, &n)
	return err == nil && n >= from
}

// TestTheLastRoomOfAQuotaIsGivenOnce: two processes deliver as much as they can, and what
// came in is what fits; both know what is used.
func TestTheLastRoomOfAQuotaIsGivenOnce(t *testing.T) {
	t.Parallel()
	const quota, each = 50, 60
	for _, do := range []string{"deliver", "reserve"} {
		both := couple(t, map[string]any{"QuotaGrace": 0})
		// One of them has begun before.
		both[0].do(t, order{Do: "deliver", Name: "first", Quota: quota})
		done := 1
		for _, a := range atOnce(t, both, order{Do: "try " + do, Name: "p%dn", N: each, Quota: quota}) {
			done += a.Done
			if a.Err == "" || !strings.Contains(a.Err, mailstore.ErrOverQuota.Error()) {
				t.Errorf("%s: %+v", do, a)
			}
		}
		if done != quota {
			t.Errorf("%s: %d of %d fit", do, done, quota)
		}
		for i, w := range both {
			have := int64(len(w.do(t, order{Do: "messages", Name: "INBOX", Quota: quota}).Messages))
			if used := w.do(t, order{Do: "usage", Quota: quota}).Usage.Messages; used != have {
				t.Errorf("%s: process %d says that %d messages are used of %d", do, i, used, have)
			}
		}
	}
}

// TestKeywordsOfBoth: no keyword gets the number of another.
func TestKeywordsOfBoth(t *testing.T) {
	t.Parallel()
	both := couple(t, nil)
	both[0].do(t, order{Do: "deliver", Name: "x"})
	const each = 30
	atOnce(t, both, order{Do: "keyword", Name: "p%dn", N: each})
	var want []imap.Flag
	for i := range 2 {
		for n := range each {
			want = append(want, imap.Flag(fmt.Sprintf("p%dn%d", i, n)))
		}
	}
	slices.Sort(want)
	for i, w := range both {
		a := w.do(t, order{Do: "messages", Name: "INBOX"})
		if len(a.Messages) != 1 {
			t.Fatalf("%+v", a)
		}
		got := a.Messages[0].Flags
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("process %d: %q", i, got)
		}
	}
}

// TestAProcessThatIsStopped: one of two is stopped, as by kill -STOP, in the middle of what
// it does. The other one does its work, or hears that it should come again. Afterwards all is
// as if nothing had happened.
func TestAProcessThatIsStopped(t *testing.T) {
	t.Parallel()
	seeds.Run(t, 3, func(t *testing.T, r *rand.Rand) {
		const quota, each = 1000, 40
		both := couple(t, map[string]any{"LockTimeout": 100 * time.Millisecond, "QuotaGrace": 0})
		orders := []order{
			{Do: "try deliver", Name: "p%dn", N: each, Quota: quota},
			{Do: "try create", Name: "p%dn", N: each, Quota: quota},
			{Do: "try subscribe", Name: "p%dn", N: each, Quota: quota},
			{Do: "try keyword", Name: "p%dn", N: 10, Quota: quota},
		}
		both[0].do(t, order{Do: "deliver", Name: "first", Quota: quota})
		stopped := make(chan [4]answer, 1)
		go func() {
			var all [4]answer
			for i, o := range orders {
				o.Name = strings.ReplaceAll(o.Name, "%d", "0")
				all[i] = both[0].do(t, o)
			}
			stopped <- all
		}()
		done := [2]int{}
		for i, o := range orders {
			time.Sleep(time.Duration(r.IntN(3000)) * time.Microsecond) // any moment will do
			both[0].signal(t, syscall.SIGSTOP)
			o.Name = strings.ReplaceAll(o.Name, "%d", "1")
			a := both[1].do(t, o)
			if a.Err != "" && !strings.Contains(a.Err, mailstore.ErrBusy.Error()) && !strings.Contains(a.Err, mailstore.ErrNotFound.Error()) {
				t.Errorf("%+v: %s", o, a.Err)
			}
			if i == 0 {
				done[1] = a.Done
			}
			both[0].signal(t, syscall.SIGCONT)
		}
		all := <-stopped
		done[0] = all[0].Done
		for _, a := range all {
			if a.Err != "" && !strings.Contains(a.Err, mailstore.ErrBusy.Error()) {
				t.Errorf("%+v", a)
			}
		}
		// A lock may be held for longer than the limit by a process that gets no processor.
		patiently := func(w *worker, o order) answer {
			for {
				if a := w.do(t, o); !strings.Contains(a.Err, mailstore.ErrBusy.Error()) {
					return a
				}
			}
		}
		for i, w := range both {
			all := patiently(w, order{Do: "try messages", Name: "INBOX", Quota: quota})
			if have := len(all.Messages); all.Err != "" || have != 1+done[0]+done[1] {
				t.Errorf("process %d has %d messages, %v came in; %s", i, have, done, all.Err)
			}
			if use := patiently(w, order{Do: "try usage", Quota: quota}); use.Err != "" || use.Usage.Messages != int64(len(all.Messages)) {
				t.Errorf("process %d says that %d messages are used of %d; %s", i, use.Usage.Messages, len(all.Messages), use.Err)
			}
		}
		for _, w := range both {
			w.stop(t)
		}
	})
}

// TestNumbersGoOnWithoutAGap: UIDNEXT and HIGHESTMODSEQ are as if one process had done it
// all, also where one that was killed begins anew while the other goes on.
func TestNumbersGoOnWithoutAGap(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "mail")
	a, b := startWorker(t, root, nil), startWorker(t, root, nil)
	next := uint32(1)
	deliver := func(w *worker) {
		t.Helper()
		for range 3 {
			got := w.do(t, order{Do: "deliver", Name: "x"})
			if len(got.UIDs) != 1 || got.UIDs[0] != next {
				t.Fatalf("UID %d, want %d", got.UIDs, next)
			}
			next++
			// Somebody looks, so that the number is promised.
			if s := w.do(t, order{Do: "status", Name: "INBOX"}).Status; s.UIDNext != next || s.HighestModSeq > uint64(100+10*next) {
				t.Fatalf("UIDNEXT %d, want %d; HIGHESTMODSEQ %d", s.UIDNext, next, s.HighestModSeq)
			}
		}
	}
	deliver(a)
	deliver(b)
	deliver(a)
	a.kill()
	deliver(b)
	a = startWorker(t, root, nil)
	deliver(a)
	b.kill()
	b = startWorker(t, root, nil)
	deliver(b)
	deliver(a)
	b.stop(t)
	deliver(a)
	a.stop(t)
	a = startWorker(t, root, nil)
	deliver(a)
}

// TestASessionSeesWhatTheOtherProcessDoes at once: the time of a look is an hour away.
func TestASessionSeesWhatTheOtherProcessDoes(t *testing.T) {
	t.Parallel()
	both := couple(t, map[string]any{"SyncInterval": time.Hour, "CheckpointInterval": time.Minute})
	a, b := both[0], both[1]
	a.do(t, order{Do: "watch", Name: "INBOX"})
	saw := func(what string, ok func([]stored) bool) {
		t.Helper()
		for range 20 { // a change may come in pieces
			got := a.do(t, order{Do: "wait"})
			if ok(got.Messages) {
				return
			}
			if t.Failed() {
				t.FailNow()
			}
		}
		t.Fatalf("%s is not seen", what)
	}
	b.do(t, order{Do: "deliver", Name: "one"})
	saw("a delivery", func(all []stored) bool { return len(all) == 1 && all[0].Subject == "one" })
	uid := imap.UID(1)
	b.do(t, order{Do: "flag", Name: "INBOX", UID: uid, Flags: []imap.Flag{imap.FlagSeen, "work"}})
	saw("flags", func(all []stored) bool { return len(all) == 1 && len(all[0].Flags) == 2 })
	b.do(t, order{Do: "deliver", Name: "two"})
	saw("a delivery", func(all []stored) bool { return len(all) == 2 })
	b.do(t, order{Do: "expunge", Name: "INBOX", UID: uid})
	saw("EXPUNGE", func(all []stored) bool { return len(all) == 1 && all[0].Subject == "two" })
	b.do(t, order{Do: "create", Name: "Other"})
	b.do(t, order{Do: "subscribe", Name: "Other"})
	if !slices.ContainsFunc(a.do(t, order{Do: "list"}).Folders, func(f mailstore.Folder) bool { return f.Name == "Other" && f.Subscribed }) {
		t.Error("a subscription is not seen")
	}
	b.do(t, order{Do: "move", Name: "INBOX", UID: 2, To: "Other"})
	saw("MOVE", func(all []stored) bool { return len(all) == 0 })

	// A process that was killed and one that comes instead.
	b.kill()
	b = startWorker(t, b.root, nil)
	b.do(t, order{Do: "deliver", Name: "three"})
	saw("a delivery of a process that came later", func(all []stored) bool { return len(all) == 1 })
	a.do(t, order{Do: "watch", Name: "Other"})
	b.do(t, order{Do: "rename", Name: "Other", To: "Elsewhere"})
	b.do(t, order{Do: "deliver", Name: "four", To: "Elsewhere"})
	saw("what comes into a mailbox that was renamed", func(all []stored) bool { return len(all) == 2 })
	b.do(t, order{Do: "delete", Name: "Elsewhere"})
	got, err := a.try(order{Do: "wait"})
	if err != nil || !strings.Contains(got.Err, mailstore.ErrGone.Error()) {
		t.Errorf("a mailbox that was deleted: %+v %v", got, err)
	}
	a.do(t, order{Do: "watch", Name: "INBOX"})
	b.do(t, order{Do: "remove account"})
	got, err = a.try(order{Do: "wait"})
	if err != nil || !strings.Contains(got.Err, mailstore.ErrGone.Error()) {
		t.Errorf("an account that was removed: %+v %v", got, err)
	}
}

// TestAnAccountRemovedByTheOtherProcess: mail on its way does not make it again, mail that
// was asked for later does, with mailboxes of other UIDVALIDITYs.
func TestAnAccountRemovedByTheOtherProcess(t *testing.T) {
	t.Parallel()
	both := couple(t, map[string]any{"SyncInterval": time.Hour, "CheckpointInterval": 100 * time.Millisecond})
	seen := map[uint32]bool{}
	for round := range 4 {
		a, b := both[round%2], both[(round+1)%2]
		a.do(t, order{Do: "deliver", Name: "x"})
		a.do(t, order{Do: "create", Name: "n", N: 20})
		for _, validity := range append(a.do(t, order{Do: "status", Name: "n", N: 20}).UIDs, b.do(t, order{Do: "status", Name: "INBOX"}).UIDs...) {
			if seen[validity] {
				t.Errorf("round %d: UIDVALIDITY %d once more", round, validity)
			}
			seen[validity] = true
		}
		before := time.Now()
		b.do(t, order{Do: "remove account"})
		for _, w := range both {
			w.do(t, order{Do: "log out"})
			if got, err := w.try(order{Do: "deliver", Name: "late", Asked: before}); err != nil || !strings.Contains(got.Err, mailstore.ErrNotFound.Error()) {
				t.Errorf("round %d: mail that was on its way: %+v %v", round, got, err)
			}
		}
		// What one of them has of it in memory goes with the poke, or with the next look.
		for {
			got, err := a.try(order{Do: "deliver", Name: "new", Asked: time.Now()})
			if err != nil {
				t.Fatal(err)
			}
			if got.Err == "" {
				break
			}
			if !strings.Contains(got.Err, mailstore.ErrNotFound.Error()) {
				t.Fatalf("round %d: %s", round, got.Err)
			}
		}
		if have := b.do(t, order{Do: "messages", Name: "INBOX"}).Messages; len(have) != 1 || have[0].Subject != "new" {
			t.Errorf("round %d: %+v", round, have)
		}
	}
}
