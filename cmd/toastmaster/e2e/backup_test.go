package e2e

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/testkit/peers"
)

const (
	mover         = "mover@example.test"
	movedMessages = 40
)

// TestBackupWhileMailFlowsLosesAndDoublesNothing: whatever was accepted before
// the backup began is there once when it is restored, under its UID and with its
// flags, though clients deliver, append, move and expunge all the while.
func TestBackupWhileMailFlowsLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	b := serve(t, map[string]string{"smtp.relayhost": `"[127.0.0.1]:1"`})
	ctx := testContext(t)
	boxes := []string{mover}
	for i := range crashMailboxes {
		boxes = append(boxes, crashAddress(i))
	}
	must(t, b.AddMailboxes(ctx, crashWord, boxes...))
	must(t, b.AddAlias(ctx, "team@example.test", boxes[1], boxes[2]))
	flags := b.fillAlice(t)
	outside := b.queueOutside(t)
	moved := b.fillMover(t)

	l := newLedger()
	loadCtx, stop := context.WithCancel(ctx)
	var load sync.WaitGroup
	t.Cleanup(load.Wait)
	t.Cleanup(stop)
	seed := crashSeed(t)
	t.Logf("TOASTMASTER_SEED=%d repeats this run", seed)
	for i, work := range []func(context.Context, *rand.Rand){
		b.smtpLoad(l), b.smtpLoad(l), b.smtpLoad(l), b.lmtpLoad(l), b.appendLoad(l), b.appendLoad(l), b.popLoad(l), b.imapLoad(l),
		b.moveLoad(),
	} {
		r := rand.New(rand.NewPCG(seed, uint64(i)+1))
		load.Go(func() { repeat(loadCtx, r, work) })
	}
	to := filepath.Join(b.dir, "backups")
	l.waitAnswers(t, 300)
	first := b.backup(t, to)
	l.waitAnswers(t, 300)
	before := l.sure()
	b.backup(t, to)
	after := l.unsure()
	l.waitAnswers(t, 100)
	stop()
	load.Wait()
	b.Kill()

	// Any backup is whole without those before it.
	must(t, os.RemoveAll(first))
	b.toastmaster(t, "backup", "verify", to)
	data := b.Data()
	must(t, os.Rename(data, data+".lost"))
	b.toastmaster(t, "restore", to)
	if text, err := exec.Command(program, "restore", to).CombinedOutput(); err == nil || !strings.Contains(string(text), "nothing is overwritten") {
		t.Errorf("a second restore: %v: %s", err, text)
	}
	b.start(t)
	b.waitQueued(t, outside)
	b.waitDelivered(t)
	have := b.crashMail(t)
	for r := range before {
		if n := have[r]; n > 1 || n == 0 && !after[r] {
			t.Errorf("%s in %s was accepted before the backup and is there %d times", r.id, r.mailbox, n)
		}
	}
	for r, n := range have {
		if n > 1 {
			t.Errorf("%s in %s is there %d times", r.id, r.mailbox, n)
		}
	}
	if len(before) < 200 {
		t.Errorf("only %d messages: too few to show anything", len(before))
	}
	b.compareWithIMAP(t, l)
	l.compareUIDs(t)
	if now := b.aliceFlags(t); !maps.Equal(now, flags) {
		t.Errorf("alice has\n%v\nand had\n%v", now, flags)
	}
	b.checkMover(t, moved)
	checkNoCorruption(t, b)
}

// sure are the messages that were accepted and that nobody expunges.
func (l *ledger) sure() map[row]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[row]bool{}
	for r, f := range l.rows {
		if f.accepted && !f.expunging {
			out[r] = true
		}
	}
	return out
}

// unsure are those that somebody has begun to expunge.
func (l *ledger) unsure() map[row]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[row]bool{}
	for r, f := range l.rows {
		if f.expunging {
			out[r] = true
		}
	}
	return out
}

// compareUIDs fails for UIDs that became another message's.
func (l *ledger) compareUIDs(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, text := range l.bad {
		t.Error(text)
	}
	l.bad = nil
}

// toastmaster runs the program without -c.
func (b *box) toastmaster(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("toastmaster %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// backup makes one and returns its path.
func (b *box) backup(t *testing.T, to string) string {
	t.Helper()
	out, err := b.Run(testContext(t), "", "backup", to)
	must(t, err)
	t.Log(strings.TrimSpace(out))
	path, _, _ := strings.Cut(out, ": ")
	return path
}

// fillAlice gives alice messages with flags and keywords, and says what she has.
func (b *box) fillAlice(t *testing.T) map[string]string {
	t.Helper()
	c := b.imapLogin(t, alice, alicesWord, nil)
	for i := range 20 {
		text := fmt.Sprintf("Subject: %d\r\nMessage-ID: <%d@example.net>\r\n\r\nText.\r\n", i, i)
		o := &imap.AppendOptions{}
		for j, f := range []imap.Flag{imap.FlagSeen, imap.FlagFlagged, imap.FlagAnswered, "work", "$Label1"} {
			if i>>j&1 == 1 {
				o.Flags = append(o.Flags, f)
			}
		}
		a := c.Append("INBOX", int64(len(text)), o)
		_, err := a.Write([]byte(text))
		must(t, err)
		must(t, a.Close())
		_, err = a.Wait()
		must(t, err)
	}
	must(t, c.Create("Projekte/Ä", nil).Wait())
	must(t, c.Subscribe("Projekte/Ä").Wait())
	must(t, c.Logout().Wait())
	return b.aliceFlags(t)
}

// aliceFlags is everything of INBOX that a client remembers, and the subscriptions.
func (b *box) aliceFlags(t *testing.T) map[string]string {
	t.Helper()
	c := b.imapLogin(t, alice, alicesWord, nil)
	selected, err := c.Select("INBOX", nil).Wait()
	must(t, err)
	all, err := c.Fetch(imap.SeqSet{{Start: 1, Stop: 0}}, &imap.FetchOptions{UID: true, Flags: true, Envelope: true, InternalDate: true}).Collect()
	must(t, err)
	out := map[string]string{"UIDVALIDITY": fmt.Sprint(selected.UIDValidity), "messages": fmt.Sprint(len(all))}
	for _, m := range all {
		var flags []string
		for _, f := range m.Flags {
			if f != "\\Recent" {
				flags = append(flags, string(f))
			}
		}
		slices.Sort(flags)
		out[m.Envelope.Subject] = fmt.Sprint(m.UID, flags, m.InternalDate.Unix())
	}
	subscribed, err := c.List("", "*", &imap.ListOptions{SelectSubscribed: true}).Collect()
	must(t, err)
	for _, s := range subscribed {
		out["subscribed "+s.Mailbox] = "yes"
	}
	must(t, c.Logout().Wait())
	return out
}

// queueOutside queues mail that cannot be delivered now, some of it on hold, and
// returns how many.
func (b *box) queueOutside(t *testing.T) int {
	t.Helper()
	s, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer s.Close()
	for i := range 10 {
		_, err := s.send("a@example.test", []string{fmt.Sprintf("x%d@elsewhere.example", i)}, "Subject: out\r\n\r\nText.\r\n")
		must(t, err)
	}
	b.waitQueued(t, 10)
	eventually(t, func() error {
		out, err := b.Run(testContext(t), "", "queue", "hold", "--all", "--recipient", "x3@elsewhere.example")
		if err == nil && !strings.HasPrefix(out, "1 message held") {
			err = fmt.Errorf("hold: %s", out)
		}
		return err
	})
	return 10
}

func (b *box) waitQueued(t *testing.T, n int) {
	t.Helper()
	eventually(t, func() error {
		out, err := b.Run(testContext(t), "", "queue", "list", "--json")
		if err == nil && strings.Count(out, "@elsewhere.example") < n {
			err = fmt.Errorf("not %d messages to elsewhere: %s", n, out)
		}
		return err
	})
}

// waitDelivered waits until only mail to elsewhere is queued.
func (b *box) waitDelivered(t *testing.T) {
	t.Helper()
	eventually(t, func() error {
		out, err := b.Run(testContext(t), "", "queue", "list", "--json")
		if err == nil && strings.Contains(out, "\"address\": \"box") {
			err = fmt.Errorf("still queued: %s", out)
		}
		return err
	})
}

func (b *box) fillMover(t *testing.T) []string {
	t.Helper()
	c, err := b.crashLogin(mover)
	must(t, err)
	defer c.Close()
	must(t, c.Create("Box", nil).Wait())
	var ids []string
	for i := range movedMessages {
		id := fmt.Sprintf("move.%d@example.net", i)
		text := fmt.Sprintf("Message-ID: <%s>\r\n\r\nText.\r\n", id)
		a := c.Append("INBOX", int64(len(text)), nil)
		_, err := a.Write([]byte(text))
		must(t, err)
		must(t, a.Close())
		_, err = a.Wait()
		must(t, err)
		ids = append(ids, id)
	}
	return ids
}

// moveLoad moves messages to and fro, and changes flags.
func (b *box) moveLoad() func(context.Context, *rand.Rand) {
	return func(ctx context.Context, r *rand.Rand) {
		c, err := b.crashLogin(mover)
		if err != nil {
			return
		}
		defer c.Close()
		names := []string{"INBOX", "Box"}
		for ctx.Err() == nil {
			from := r.IntN(2)
			selected, err := c.Select(names[from], nil).Wait()
			if err != nil {
				return
			}
			n := selected.NumMessages
			if n == 0 {
				continue
			}
			one := imap.SeqSetNum(1 + r.Uint32N(n))
			flip := &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagFlagged}, Silent: true}
			if r.IntN(2) == 0 {
				flip.Op = imap.StoreFlagsDel
			}
			if err := c.Store(one, flip, nil).Close(); err != nil {
				return
			}
			if _, err := c.Move(one, names[1-from]).Wait(); err != nil {
				return
			}
		}
	}
}

// checkMover: each message is in one of the two, once.
func (b *box) checkMover(t *testing.T, ids []string) {
	t.Helper()
	have := map[string]int{}
	files := append(b.mail(t, mover, ""), b.mail(t, mover, "Box")...)
	for _, f := range files {
		have[headerOf(strings.ReplaceAll(readFile(t, f), "\r", ""), "Message-ID")]++
	}
	for _, id := range ids {
		if have[id] != 1 {
			t.Errorf("%s, which was moved to and fro, is there %d times", id, have[id])
		}
	}
	c, err := b.crashLogin(mover)
	must(t, err)
	defer c.Close()
	shown := uint32(0)
	for _, name := range []string{"INBOX", "Box"} {
		s, err := c.Select(name, nil).Wait()
		must(t, err)
		shown += s.NumMessages
	}
	if int(shown) != len(ids) {
		t.Errorf("IMAP shows %d messages of %d", shown, len(ids))
	}
}

// TestBackupIsCheckedAndWholeOrNothing: an instance that nobody serves is backed
// up, damage is found, and half of a restored instance is not started.
func TestBackupIsCheckedAndWholeOrNothing(t *testing.T) {
	t.Parallel()
	b := serve(t, nil)
	flags := b.fillAlice(t)
	must(t, b.Stop())
	to := filepath.Join(peers.TempDir(t), "b")
	path := b.backup(t, to)
	b.toastmaster(t, "backup", "verify", path)

	// Elsewhere.
	elsewhere := filepath.Join(peers.TempDir(t), "new")
	b.toastmaster(t, "restore", path, "--to", elsewhere)
	must(t, os.RemoveAll(b.Data()))
	must(t, os.Rename(elsewhere, b.Data()))
	b.start(t)
	if now := b.aliceFlags(t); !maps.Equal(now, flags) {
		t.Errorf("alice has\n%v\nand had\n%v", now, flags)
	}

	// One octet of one message.
	message := maildirFiles(t, filepath.Join(path, "mail", "example.test", "alice"))[0]
	text := []byte(readFile(t, message))
	text[10] ^= 1
	must(t, os.WriteFile(message, text, 0o600))
	out, err := exec.Command(program, "backup", "verify", path).CombinedOutput()
	if err == nil || !strings.Contains(string(out), message+": other octets") {
		t.Errorf("verify of a damaged backup: %v: %s", err, out)
	}
	damaged := filepath.Join(peers.TempDir(t), "damaged")
	out, err = exec.Command(program, "restore", path, "--to", damaged).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "damaged") {
		t.Errorf("restore of a damaged backup: %v: %s", err, out)
	}
	// It has begun: nobody may take it for an instance.
	out, err = exec.Command(program, "serve", "-c", filepath.Join(damaged, "toastmaster.toml")).CombinedOutput()
	if err == nil {
		t.Errorf("serve of half an instance: %s", out)
	}
	// A missing file, one too much, a manifest cut off.
	must(t, os.Remove(message))
	must(t, os.WriteFile(filepath.Join(path, "queue", "stray"), nil, 0o600))
	out, _ = exec.Command(program, "backup", "verify", path).CombinedOutput()
	for _, want := range []string{message + ": missing", "stray: not in the manifest"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("verify does not say %q: %s", want, out)
		}
	}
	must(t, os.Truncate(filepath.Join(path, "manifest"), 300))
	if out, err := exec.Command(program, "backup", "verify", path).CombinedOutput(); err == nil {
		t.Errorf("verify of a backup with half a manifest: %s", out)
	}
}

// TestBackupKilledLeavesNoBackup: at any moment; and the next one is whole.
func TestBackupKilledLeavesNoBackup(t *testing.T) {
	t.Parallel()
	b := serve(t, nil)
	flags := b.fillAlice(t)
	to := filepath.Join(b.dir, "backups")
	killed := 0
	for round := range 30 {
		cmd := exec.Command(program, "backup", to, "-c", b.ConfigFile())
		must(t, cmd.Start())
		// A little further each time, by what it has written.
		wanted := round * 3
		done := make(chan error, 1)
		go func() { done <- cmd.Wait() }()
		for running := true; running; {
			select {
			case <-done:
				running = false
			default:
				files, _ := filepath.Glob(filepath.Join(to, ".unfinished-*", "*"))
				more, _ := filepath.Glob(filepath.Join(to, ".unfinished-*", "mail", "*", "*", "*", "*"))
				if len(files)+len(more) >= wanted {
					must(t, cmd.Process.Kill())
					if err := <-done; err != nil {
						killed++
					}
					running = false
				}
			}
		}
		names, err := filepath.Glob(filepath.Join(to, "2*"))
		must(t, err)
		for _, name := range names {
			b.toastmaster(t, "backup", "verify", name)
		}
	}
	if killed < 5 {
		t.Errorf("only %d of the backups were killed", killed)
	}
	path := b.backup(t, to)
	b.toastmaster(t, "backup", "verify", path)
	if left, _ := filepath.Glob(filepath.Join(to, ".unfinished-*")); len(left) > 0 {
		t.Errorf("remains of interrupted backups: %v", left)
	}
	if left, _ := filepath.Glob(filepath.Join(b.Data(), "mail", ".toastmaster", "backup-*")); len(left) > 0 {
		t.Errorf("remains in the store: %v", left)
	}
	b.Kill()
	must(t, os.RemoveAll(b.Data()))
	b.toastmaster(t, "restore", to)
	b.start(t)
	if now := b.aliceFlags(t); !maps.Equal(now, flags) {
		t.Errorf("alice has\n%v\nand had\n%v", now, flags)
	}
}

// TestBackupTakesTheQueueFirst: mail that is delivered after its mailbox was
// looked at is in the copy of the queue. It waits in the queue because its mailbox
// cannot be written, and is let go while the backup copies another one.
func TestBackupTakesTheQueueFirst(t *testing.T) {
	t.Parallel()
	b := serve(t, nil)
	ctx := testContext(t)
	const first, last = "aaa@example.test", "zzz@example.test"
	must(t, b.AddMailboxes(ctx, crashWord, first, last))
	s, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer s.Close()
	for _, address := range []string{first, last} {
		_, err = s.send("a@example.net", []string{address}, "Subject: opens it\r\n\r\nText.\r\n")
		must(t, err)
		b.waitMail(t, address, 1)
	}
	b.queueEmpty(t)
	for i := range 4000 {
		must(t, os.WriteFile(filepath.Join(b.Maildir(last), "cur", fmt.Sprintf("%d.x:2,S", i)), []byte("Subject: x\n\nx\n"), 0o600))
	}
	sub := filepath.Join(b.Maildir(first), "new")
	must(t, os.Rename(sub, sub+".away"))
	must(t, os.WriteFile(sub, nil, 0o600))
	const waiting = 10
	for i := range waiting {
		_, err = s.send("a@example.net", []string{first}, fmt.Sprintf("Subject: waits %d\r\n\r\nText.\r\n", i))
		must(t, err)
	}
	eventually(t, func() error {
		out, err := b.Run(ctx, "", "queue", "list", "--json", "--place", "deferred")
		if n := strings.Count(out, `"id"`); err == nil && n != waiting {
			err = fmt.Errorf("%d are deferred", n)
		}
		return err
	})
	to := filepath.Join(b.dir, "backups")
	done := make(chan error, 1)
	go func() {
		_, err := b.Run(ctx, "", "backup", to)
		done <- err
	}()
	eventually(t, func() error {
		if names, _ := filepath.Glob(filepath.Join(to, "*", "manifests", "mail", "example.test", "aaa", ".manifest")); len(names) == 0 {
			return fmt.Errorf("the first account is not copied")
		}
		return nil
	})
	must(t, os.Remove(sub))
	must(t, os.Rename(sub+".away", sub))
	_, err = b.Run(ctx, "", "queue", "flush")
	must(t, err)
	b.waitMail(t, first, 1+waiting)
	must(t, <-done)
	b.Kill()
	must(t, os.RemoveAll(b.Data()))
	b.toastmaster(t, "restore", to)
	// What the backup saw of it.
	must(t, os.Remove(sub))
	must(t, os.RemoveAll(sub+".away"))
	b.start(t)
	_, err = b.Run(ctx, "", "queue", "flush")
	must(t, err)
	b.queueEmpty(t)
	if files := b.mail(t, first, ""); len(files) != waiting {
		t.Errorf("%d of %d messages are there", len(files), waiting)
	}
}
