package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
)

const (
	// crashKills are kills under load; every fifth round kills the start that
	// follows one, too.
	crashKills     = 50
	crashRounds    = crashKills + crashKills/4
	crashMailboxes = 8
	// crashChangers are clients that change mailboxes, each its own.
	crashChangers = 4
	// The last two mailboxes are emptied by POP3 and IMAP all the time.
	popMailbox, imapMailbox = crashMailboxes - 2, crashMailboxes - 1
	crashWord               = "crash-test"
)

func crashAddress(i int) string { return fmt.Sprintf("box%d@example.test", i) }

// TestKilledAtAnyMomentLosesAndDoublesNothing is the promise of the house: what
// was answered 250 is there once, what was expunged stays away, and each COPY,
// MOVE, STORE, RENAME and DELETE has happened if it was answered, or else wholly
// or not at all, whenever the process dies.
func TestKilledAtAnyMomentLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	seed := crashSeed(t)
	t.Logf("TOASTMASTER_SEED=%d repeats this run", seed)
	b := serve(t, nil)
	var boxes []string
	for i := range crashMailboxes {
		boxes = append(boxes, crashAddress(i))
	}
	for i := range crashChangers {
		boxes = append(boxes, changerAddress(i))
	}
	must(t, b.AddMailboxes(testContext(t), crashWord, boxes...))
	must(t, b.AddAlias(testContext(t), "team@example.test", boxes[0], boxes[1]))

	l := newLedger()
	ctx, stop := context.WithCancel(testContext(t))
	var load sync.WaitGroup
	t.Cleanup(load.Wait)
	t.Cleanup(stop)
	for i, work := range []func(context.Context, *rand.Rand){
		b.smtpLoad(l), b.smtpLoad(l), b.smtpLoad(l), b.smtpLoad(l), b.smtpLoad(l), b.smtpLoad(l),
		b.lmtpLoad(l), b.lmtpLoad(l), b.lmtpLoad(l), b.appendLoad(l), b.appendLoad(l), b.popLoad(l), b.imapLoad(l),
	} {
		r := rand.New(rand.NewPCG(seed, uint64(i)+1))
		load.Go(func() { repeat(ctx, r, work) })
	}

	ops := newOperations()
	var changers []*changer
	for i := range crashChangers {
		w := newChanger(b, ops, changerAddress(i), rand.New(rand.NewPCG(seed, uint64(i)+100)))
		changers = append(changers, w)
		load.Go(func() { repeat(ctx, w.r, func(ctx context.Context, _ *rand.Rand) { w.work(ctx) }) })
	}

	r := rand.New(rand.NewPCG(seed, 0))
	begin := time.Now()
	for round := range crashRounds {
		if round%5 == 4 {
			// Killed while it starts and recovers, at any moment: nothing tells how far it
			// is, and an event to wait for would be the same place each time.
			time.Sleep(time.Duration(r.IntN(100)) * time.Millisecond)
		} else {
			b.waitReady(t)
			ops.wait(t)
			l.waitAnswers(t, 1+r.IntN(60))
			// Any moment from here on: right after an answer each life would end in
			// the same place. The test waits for nothing with it.
			time.Sleep(time.Duration(r.IntN(5000)) * time.Microsecond)
			ops.kill()
		}
		b.Kill()
		must(t, b.Launch())
	}
	b.waitReady(t)
	t.Logf("killed %d times in %s", crashRounds, time.Since(begin).Round(time.Second))
	stop()
	load.Wait()
	b.flushUntilEmpty(t)
	l.compare(t, b.inventory(t))
	b.compareWithIMAP(t, l)
	for _, w := range changers {
		w.last(t)
	}
	ops.report(t, crashKills)

	// A clean stop and start changes nothing.
	must(t, b.Stop())
	b.start(t)
	b.flushUntilEmpty(t)
	l.compare(t, b.inventory(t))
	for _, w := range changers {
		w.last(t)
	}
	ops.report(t, crashKills)
	checkNoCorruption(t, b)
}

func changerAddress(i int) string { return fmt.Sprintf("changer%d@example.test", i) }

func crashSeed(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("TOASTMASTER_SEED")
	if text == "" {
		return rand.Uint64()
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	must(t, err)
	return seed
}

func (b *box) waitReady(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	must(t, b.WaitReady(ctx))
}

// repeat calls work, which returns when its connection is gone, until ctx ends.
func repeat(ctx context.Context, r *rand.Rand, work func(context.Context, *rand.Rand)) {
	for ctx.Err() == nil {
		work(ctx, r)
		pause(ctx, r, 20)
	}
}

// pause waits up to most milliseconds.
func pause(ctx context.Context, r *rand.Rand, most int) {
	select {
	case <-ctx.Done():
	case <-time.After(time.Duration(r.IntN(most*1000)) * time.Microsecond):
	}
}

// inventory reads every message file of the test's mailboxes, and fails for any
// of others.
func (b *box) inventory(t *testing.T) map[row]int {
	t.Helper()
	for _, address := range []string{alice, bob} {
		if files := b.mail(t, address, ""); len(files) != 0 {
			t.Errorf("%s got %d messages: %.2000s", address, len(files), readFile(t, files[0]))
		}
	}
	return b.crashMail(t)
}

// crashMail counts the messages of the test's mailboxes.
func (b *box) crashMail(t *testing.T) map[row]int {
	t.Helper()
	have := map[row]int{}
	for i := range crashMailboxes {
		for _, f := range b.mail(t, crashAddress(i), "") {
			id, err := readCrashMessage(readFile(t, f))
			if err != nil {
				t.Errorf("%s: %v", f, err)
			}
			have[row{id, crashAddress(i)}]++
		}
	}
	return have
}

// compareWithIMAP checks that the index says what the files say.
func (b *box) compareWithIMAP(t *testing.T, l *ledger) {
	t.Helper()
	for i := range crashMailboxes {
		address := crashAddress(i)
		c := b.imapLogin(t, address, crashWord, nil)
		selected, err := c.Select("INBOX", nil).Wait()
		must(t, err)
		files := b.mail(t, address, "")
		if int(selected.NumMessages) != len(files) {
			t.Errorf("%s: IMAP has %d messages, the Maildir %d", address, selected.NumMessages, len(files))
		}
		if selected.NumMessages == 0 {
			continue
		}
		section := &imap.FetchItemBodySection{Specifier: imap.PartSpecifierHeader, Peek: true}
		fetch := c.Fetch(imap.SeqSet{{Start: 1, Stop: 0}}, &imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{section}})
		messages, err := fetch.Collect()
		must(t, err)
		for _, m := range messages {
			l.sawUID(uidKey{address, selected.UIDValidity, uint32(m.UID)}, headerOf(string(m.FindBodySection(section)), "Message-ID"))
		}
		must(t, c.Logout().Wait())
	}
}

// checkNoCorruption: a crash of the process damages no record.
func checkNoCorruption(t *testing.T, b *box) {
	t.Helper()
	corrupt, err := filepath.Glob(filepath.Join(b.Data(), "*", "corrupt", "*"))
	must(t, err)
	if len(corrupt) != 0 {
		t.Errorf("put aside as corrupt: %v", corrupt)
	}
	tmp, err := filepath.Glob(filepath.Join(b.Data(), "mail", "*", "*", "tmp", "*"))
	must(t, err)
	if len(tmp) > 100 {
		t.Errorf("%d files were left in tmp/", len(tmp))
	}
}
