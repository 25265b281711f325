package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// waiting is an instance with one message to carol that cannot be delivered
// until unblock is called: a file lies in her mailbox's place.
func waiting(t *testing.T) (b *box, unblock func()) {
	t.Helper()
	b = serve(t, map[string]string{"qmgr.minimal_backoff_time": `"1s"`, "qmgr.maximal_backoff_time": `"1s"`, "directory.cache_entries": "0"})
	must(t, b.AddMailbox(testContext(t), carol, carolsWord))
	home := b.Maildir(carol)
	must(t, os.MkdirAll(filepath.Dir(home), 0o700))
	must(t, os.WriteFile(home, nil, 0o600))
	b.sendOne(t, alice, carol, "waits")
	eventually(t, func() error { return b.queued(t, "deferred") })
	return b, func() { must(t, os.Remove(home)) }
}

// queued wants the one message to be in a place of the queue.
func (b *box) queued(t *testing.T, place string) error {
	t.Helper()
	out, err := b.Run(testContext(t), "", "queue", "list", "--json", "--place", place)
	if err == nil && strings.Count(out, `"id"`) != 1 {
		err = errors.New(place + ": " + out)
	}
	return err
}

// setAside moves files away and returns what moves them back.
func setAside(t *testing.T, names ...string) (back func()) {
	t.Helper()
	for _, n := range names {
		must(t, os.Rename(n, n+".aside"))
	}
	return func() {
		for _, n := range names {
			must(t, os.Rename(n+".aside", n))
		}
	}
}

// TestAStartWithoutAPartLosesNothing: without the database, the store or the
// queue nothing starts (status 2), and with it back the mail arrives.
func TestAStartWithoutAPartLosesNothing(t *testing.T) {
	t.Parallel()
	b, unblock := waiting(t)
	must(t, b.Stop())
	for _, part := range []string{"directory.db", "mail", "queue"} {
		path := filepath.Join(b.Data(), part)
		back := setAside(t, path)
		_, err := b.Run(testContext(t), "", "serve")
		if err == nil || !strings.Contains(err.Error(), "exit status 2") || !strings.Contains(err.Error(), "is missing") {
			t.Errorf("without %s: %v", part, err)
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s was made", part)
		}
		back()
	}
	b.start(t)
	unblock()
	b.waitMail(t, carol, 1)
	b.queueEmpty(t)
}

// TestADatabaseThatVanishesIsUnavailable while the server runs: nobody is
// unknown, nothing is bounced, no log-in fails for good, no change is confirmed.
func TestADatabaseThatVanishesIsUnavailable(t *testing.T) {
	t.Parallel()
	b, unblock := waiting(t)
	s, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer s.Close()
	_, err = s.command("250", "MAIL FROM:<%s>", alice)
	must(t, err)
	back := setAside(t, filepath.Join(b.Data(), "directory.db"))
	unblock()
	for _, to := range []string{bob, "nobody@example.test", "somebody@example.com"} {
		if _, err := s.command("451 4.3.0", "RCPT TO:<%s>", to); err != nil {
			t.Errorf("RCPT TO:<%s>: %v", to, err)
		}
	}
	if text := converse(t, b.IMAP()).say(t, "a LOGIN "+bob+" "+bobsWord+"\r\n", "a "); !strings.Contains(text, "a NO [UNAVAILABLE]") {
		t.Errorf("IMAP: %s", text)
	}
	pop := converse(t, b.POP3())
	pop.say(t, "USER "+bob+"\r\n", "+OK")
	if text := pop.say(t, "PASS "+bobsWord+"\r\n", "-ERR"); !strings.Contains(text, "-ERR [SYS/TEMP]") {
		t.Errorf("POP3: %s", text)
	}
	if err := b.AddMailbox(testContext(t), "dave@example.test", "secret"); err == nil {
		t.Error("a mailbox was added to a database that is not there")
	}
	// The message is tried meanwhile, and stays.
	eventually(t, func() error {
		if log := b.LogTail(1 << 20); !strings.Contains(log, "status=deferred") || !strings.Contains(log, "directory.db is unavailable: the file was removed") {
			return errors.New("not tried yet")
		}
		return nil
	})
	if err := b.queued(t, "deferred"); err != nil {
		t.Error(err)
	}
	back()
	_, err = s.command("250", "RCPT TO:<%s>", bob)
	must(t, err)
	b.waitMail(t, carol, 1)
	b.queueEmpty(t)
	if log := b.LogTail(1 << 20); strings.Contains(log, "status=bounced") {
		t.Errorf("a report was made:\n%s", log)
	}
}
