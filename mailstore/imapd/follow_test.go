package imapd

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"toastmaster/mailstore/storetest"
)

// TestMailboxRenamedUnderASession: the session goes along, whoever renamed the
// mailbox, and hears of new mail; in IDLE too.
func TestMailboxRenamedUnderASession(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	h.deliver("alice", plain, plain)
	own, idler, other := h.login("alice", ""), h.login("alice", ""), h.login("alice", "")
	own.ok("CREATE Work")
	own.ok("CREATE Work/Sub")
	own.ok("SELECT INBOX")
	own.ok("COPY 1:2 Work")
	own.ok("COPY 1:2 Work/Sub")
	own.ok("SELECT Work")
	idler.ok("SELECT Work/Sub")
	idler.send("i IDLE\r\n")
	idler.expect("+ idling")

	for i, name := range []string{"Jobs", "Tasks", "Work"} {
		from := []string{"Work", "Jobs", "Tasks"}[i]
		if i == 1 {
			other.ok("RENAME " + from + " " + name)
		} else {
			own.ok("RENAME " + from + " " + name)
		}
		other.ok("APPEND " + name + "/Sub {1+}\r\nx")
		for line := ""; line != map[int]string{0: "* 3 EXISTS", 1: "* 4 EXISTS", 2: "* 5 EXISTS"}[i]; {
			line = idler.line()
		}
		other.ok("APPEND " + name + " {1+}\r\nx")
		got := own.ok("NOOP")
		if len(got) != 2 || got[0] != map[int]string{0: "* 3 EXISTS", 1: "* 4 EXISTS", 2: "* 5 EXISTS"}[i] {
			t.Fatalf("after %s: %q", name, got)
		}
		own.ok("FETCH 1:* (UID BODY.PEEK[] ENVELOPE)")
		own.ok(`STORE 1 +FLAGS (\Flagged)`)
		other.ok("STATUS " + name + " (MESSAGES)")
	}
	idler.send("DONE\r\n")
	for line := ""; len(line) < 4 || line[:4] != "i OK"; {
		line = idler.line()
	}
	own.ok(`STORE 2 +FLAGS.SILENT (\Deleted)`)
	own.answers("EXPUNGE", "* 2 EXPUNGE")
	own.ok("MOVE 1 INBOX")
}

// TestMailboxDeletedUnderASession: it ends with BYE, at once in IDLE, and never
// shows a message of a mailbox that is made in the same place.
func TestMailboxDeletedUnderASession(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	h.deliver("alice", plain, plain)
	other := h.login("alice", "")
	for _, command := range []string{"NOOP", "FETCH 1 UID", "FETCH 1 BODY[]", `STORE 1 +FLAGS (\Seen)`, "SEARCH ALL", "EXPUNGE", "COPY 1 INBOX", "IDLE"} {
		other.ok("CREATE Work")
		other.ok("SELECT INBOX")
		other.ok("COPY 1:2 Work")
		c := h.login("alice", "Work")
		if command == "IDLE" {
			c.send("x IDLE\r\n")
			c.expect("+ idling")
		}
		other.ok("DELETE Work")
		if command == "FETCH 1 UID" {
			other.ok("CREATE Work")
			other.ok("COPY 1:2 Work")
		}
		if command != "IDLE" {
			c.send("x " + command + "\r\n")
		}
		for {
			line := c.line()
			if line == "* BYE Mailbox was deleted" {
				break
			}
			if line == "x OK" || len(line) > 6 && line[2:] == "EXPUNGE" {
				t.Errorf("%s: %q", command, line)
			}
		}
		if line, err := c.r.ReadString('\n'); err == nil {
			t.Errorf("%s: %q after BYE", command, line)
		}
		_, _ = other.run("DELETE Work")
	}
	// Leaving it is no trouble.
	for _, command := range []string{"CLOSE", "UNSELECT", "SELECT INBOX", "LOGOUT"} {
		other.ok("CREATE Work")
		c := h.login("alice", "Work")
		other.ok("DELETE Work")
		c.ok(command)
	}
}

// TestIndexVanishesUnderASession: UIDVALIDITY does not change within a session,
// and the UIDs that it has are those that the next one gets.
func TestIndexVanishesUnderASession(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	h.deliver("alice", plain, plain, plain)
	c := h.login("alice", "INBOX")
	c.ok(`STORE 1 +FLAGS (\Deleted)`)
	c.answers("EXPUNGE", "* 1 EXPUNGE")
	before := c.ok("STATUS INBOX (UIDVALIDITY)")
	uids := c.ok("UID SEARCH ALL")
	home := filepath.Join(h.root, storetest.Account(t, "alice").Home)
	for _, pattern := range []string{"toastmaster.*", "dovecot-uid*"} {
		names, err := filepath.Glob(filepath.Join(home, pattern))
		if err != nil || len(names) == 0 {
			t.Fatalf("%v %v", names, err)
		}
		for _, name := range names {
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	c.answers("NOOP")
	c.answers("UID SEARCH ALL", uids...)
	c.ok("FETCH 1:2 (UID ENVELOPE)")
	next := h.login("alice", "INBOX")
	next.answers("STATUS INBOX (UIDVALIDITY)", before...)
	next.answers("UID SEARCH ALL", uids...)
	h.deliver("alice", plain)
	c.answers("NOOP", "* 3 EXISTS", "* 3 RECENT")
	if got := c.ok("UID SEARCH 3"); got[0] == "* SEARCH 1" || got[0] == uids[0] {
		t.Errorf("the new one has %q, the others %q", got, uids)
	}
}

// TestPiecesOfTwoMailboxes: where a partial fetch stopped is remembered for one
// mailbox. The messages have one UID, and line ends at other places.
func TestPiecesOfTwoMailboxes(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	h.deliver("alice", "Subject: a\n\n"+strings.Repeat("x\n", 1000))
	c := h.login("alice", "INBOX")
	c.ok("CREATE Other")
	other := "Subject: b\r\n\r\n"
	for i := range 800 {
		other += fmt.Sprintf("%d,", i)
	}
	c.ok(fmt.Sprintf("APPEND Other {%d+}\r\n%s", len(other), other))
	c.ok("FETCH 1 BODY.PEEK[]<0.1000>")
	c.ok("SELECT Other")
	c.answers("FETCH 1 BODY.PEEK[]<1000.10>", "* 1 FETCH (BODY[]<1000> {10}\r\n"+other[1000:1010]+")")
}
