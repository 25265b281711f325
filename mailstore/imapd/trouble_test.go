package imapd

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"toastmaster/internal/dsn"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore"
	"toastmaster/mailstore/storetest"
)

// home is where alice's mail lies.
func (h *host) home(parts ...string) string {
	return filepath.Join(append([]string{h.root, storetest.Account(h.t, "alice").Home}, parts...)...)
}

// TestMailboxNotAvailable: the selected mailbox cannot be brought up to date, because
// its disk fails. The session ends, with no word about the disk, in IDLE too; and a
// new one works when the disk does.
func TestMailboxNotAvailable(t *testing.T) {
	t.Parallel()
	faults := faultfs.Wrap(vfs.OS{})
	h := newHost(t, func(h *host) { h.fs = faults })
	h.deliver("alice", plain, plain)
	c, idler := h.login("alice", "INBOX"), h.login("alice", "INBOX")
	faults.Hook(func(op faultfs.Op, name string) error {
		if op == faultfs.ReadDir && strings.HasSuffix(name, "/new") {
			return unix.EIO
		}
		return nil
	})
	// Another program lays a message there, which both have to look for.
	if err := os.WriteFile(h.home("new", "1767326645.M1P1.other"), []byte(plain), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, one := range []struct {
		*client
		command string
	}{{c, "NOOP"}, {idler, "IDLE"}} {
		line := ""
		// A folder that was read a moment ago is not read again at once.
		for line == "" || line == "x OK NOOP completed" || line == "+ idling" {
			if line != "+ idling" {
				one.send("x " + one.command + "\r\n")
			}
			line = one.line()
		}
		if line != "* BYE Mailbox is not available, please reconnect" {
			t.Errorf("%s: %q", one.command, line)
		}
		for {
			line, err := one.r.ReadString('\n')
			if err != nil {
				break
			}
			if strings.Contains(line, "input/output") || strings.Contains(line, h.root) {
				t.Errorf("%s tells the cause: %q", one.command, line)
			}
		}
	}
	h.login("alice", "").refused("SELECT INBOX", "NO [SERVERBUG] Internal error, please try again later")
	faults.Hook(nil)
	if got := h.login("alice", "INBOX").ok("SEARCH ALL"); got[0] != "* SEARCH 1 2 3" {
		t.Errorf("afterwards %q", got)
	}
}

// TestRefusalsOfTheStore: each error of the store has its code, however it is
// wrapped; another one is temporary, and no text has the cause.
func TestRefusalsOfTheStore(t *testing.T) {
	t.Parallel()
	cause := errors.New("/srv/mail is on fire")
	for _, c := range []struct {
		err        error
		kind, code string
	}{
		{mailstore.ErrNotFound, "NO", "NONEXISTENT"},
		{mailstore.ErrExists, "NO", "ALREADYEXISTS"},
		{mailstore.ErrBusy, "NO", "INUSE"},
		{mailstore.ErrOverQuota, "NO", "OVERQUOTA"},
		{mailstore.ErrFull, "NO", "UNAVAILABLE"},
		{mailstore.ErrTooManyFolders, "NO", "LIMIT"},
		{mailstore.ErrLittleRoom, "NO", "LIMIT"},
		{mailstore.ErrLimit, "NO", "LIMIT"},
		{mailstore.ErrGone, "NO", "NONEXISTENT"},
		{mailstore.ErrExpunged, "NO", "EXPUNGEISSUED"},
		{dsn.Wrap(dsn.SystemFull, "Insufficient system storage", cause), "NO", "UNAVAILABLE"},
		{dsn.Wrap(dsn.MailSystem, "x", cause), "NO", "SERVERBUG"},
		{mailstore.ErrNotDurable, "NO", "SERVERBUG"},
		{mailstore.ErrClosed, "NO", "SERVERBUG"},
		{io.ErrUnexpectedEOF, "NO", "SERVERBUG"},
		{bad("Syntax"), "BAD", ""},
	} {
		for _, err := range []error{c.err, fmt.Errorf("copy: %w", fmt.Errorf("%w: %w", c.err, cause)), errors.Join(cause, c.err)} {
			r := refuse(err)
			if r.kind != c.kind || r.code != c.code {
				t.Errorf("%v: %s [%s] %s", err, r.kind, r.code, r.text)
			}
			if strings.Contains(r.text, "fire") || r.text == "" {
				t.Errorf("%v says %q", err, r.text)
			}
			if r.kind == "NO" && !errors.Is(r, c.err) {
				t.Errorf("%v: the cause is lost for the log", err)
			}
		}
	}
	if r := refuse(tryCreate(fmt.Errorf("x: %w", mailstore.ErrNotFound))); r.code != "TRYCREATE" {
		t.Errorf("a destination that is not there: %s", r.code)
	}
	if r := refuse(tryCreate(mailstore.ErrInvalidName)); r.code != "CANNOT" {
		t.Errorf("a destination that can never be there: %s", r.code)
	}
}

// TestExpungeWhileFetching: one session reads its messages again and again by
// sequence numbers, in one command each, while another expunges them. What is under a
// number is never another message, and the numbers change only by EXPUNGE.
func TestExpungeWhileFetching(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	const messages = 30
	for i := range messages {
		h.deliver("alice", fmt.Sprintf("Subject: number %d\n\n%d\n", i+1, i+1))
	}
	reader, other := h.login("alice", "INBOX"), h.login("alice", "INBOX")
	uids := make([]int, messages)
	for i := range uids {
		uids[i] = i + 1
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for uid := 1; uid <= messages; uid += 2 {
			other.ok(fmt.Sprintf(`UID STORE %d +FLAGS.SILENT (\Deleted)`, uid))
			other.ok("EXPUNGE")
		}
	}()
	for over := false; !over; {
		select {
		case <-done:
			over = true
		default:
		}
		untagged, tagged := reader.run("FETCH 1:* (UID BODY.PEEK[TEXT])")
		if !strings.HasPrefix(tagged, "OK") && !strings.HasPrefix(tagged, "NO [EXPUNGEISSUED]") {
			t.Fatal(tagged)
		}
		for _, line := range untagged {
			var seq, uid, length, text int
			switch n, _ := fmt.Sscanf(line, "* %d FETCH (UID %d BODY[TEXT] {%d}\r\n%d", &seq, &uid, &length, &text); {
			case n == 4 && (uids[seq-1] != uid || text != uid):
				t.Fatalf("%q, but %d is UID %d", line, seq, uids[seq-1])
			case n != 4 && strings.HasSuffix(line, "EXPUNGE"):
				t.Fatalf("%q during a FETCH by numbers", line)
			}
		}
		for _, line := range reader.ok("NOOP") {
			var seq int
			if n, _ := fmt.Sscanf(line, "* %d EXPUNGE", &seq); n == 1 && strings.HasSuffix(line, "EXPUNGE") {
				uids = append(uids[:seq-1], uids[seq:]...)
			}
		}
	}
	reader.ok("NOOP")
	if got := reader.ok("UID SEARCH ALL")[0]; got != "* SEARCH 2 4 6 8 10 12 14 16 18 20 22 24 26 28 30" {
		t.Errorf("in the end %s", got)
	}
}

// TestDatesOfAppend: what APPEND is given is what INTERNALDATE and the search keys
// say, in another session and after a restart of nothing but the index.
func TestDatesOfAppend(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	c := h.login("alice", "INBOX")
	dates := []string{
		` 1-Jan-1970 00:00:00 +0000`, `31-Dec-1999 23:59:59 +0000`, `29-Feb-2000 12:00:00 +0000`, `19-Jan-2038 03:14:08 +0000`, `31-Dec-2099 23:59:59 +0000`,
	}
	for _, d := range dates {
		c.ok(`APPEND INBOX "` + d + "\" {3+}\r\na:b")
	}
	check := func(c *client) {
		t.Helper()
		for i, d := range dates {
			want := fmt.Sprintf(`* %d FETCH (INTERNALDATE "%s")`, i+1, d)
			if got := c.ok(fmt.Sprintf("FETCH %d INTERNALDATE", i+1)); len(got) != 1 || got[0] != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		c.answers("SEARCH ON 29-Feb-2000", "* SEARCH 3")
		c.answers("SEARCH SINCE 19-Jan-2038", "* SEARCH 4 5")
		c.answers("SEARCH BEFORE 2-Jan-1970", "* SEARCH 1")
	}
	c.ok("NOOP")
	check(c)
	check(h.login("alice", "INBOX"))
}
