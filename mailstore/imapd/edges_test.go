package imapd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"golang.org/x/sys/unix"

	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/testkit/seeds"
	"toastmaster/internal/vfs"
)

// TestSetsMeanWhatTheySay: random sets, by number and by UID, in FETCH and in SEARCH, in a
// mailbox whose UIDs have gaps, against what RFC 3501 says of each of its numbers.
func TestSetsMeanWhatTheySay(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	for range 20 {
		h.deliver("alice", plain)
	}
	c := h.login("alice", "INBOX")
	c.ok(`STORE 1,4:6,9,13,17:20 +FLAGS.SILENT (\Deleted)`)
	c.ok("EXPUNGE")
	uids := []uint32{2, 3, 7, 8, 10, 11, 12, 14, 15, 16}
	seeds.Run(t, 3, func(t *testing.T, r *rand.Rand) {
		c := h.login("alice", "INBOX")
		for range 100 {
			uid := r.IntN(2) == 0
			last, most := uint32(len(uids)), uint32(len(uids))
			if uid {
				last, most = uids[len(uids)-1], 1<<32-1
			}
			number := func() (uint32, string) {
				switch r.IntN(6) {
				case 0:
					return last, "*"
				case 1:
					return most, strconv.FormatUint(uint64(most), 10)
				}
				n := 1 + r.Uint32N(last)
				return n, strconv.FormatUint(uint64(n), 10)
			}
			var set []string
			var ranges [][2]uint32
			for range 1 + r.IntN(4) {
				a, text := number()
				b := a
				if r.IntN(2) == 0 {
					var second string
					b, second = number()
					text += ":" + second
				}
				set, ranges = append(set, text), append(ranges, [2]uint32{min(a, b), max(a, b)})
			}
			var want, numbers []string
			for i, u := range uids {
				n := uint32(i + 1)
				if uid {
					n = u
				}
				if slices.ContainsFunc(ranges, func(r [2]uint32) bool { return r[0] <= n && n <= r[1] }) {
					want, numbers = append(want, fmt.Sprintf("* %d FETCH (UID %d)", i+1, u)), append(numbers, " "+strconv.Itoa(i+1))
				}
			}
			text, prefix := strings.Join(set, ","), ""
			if uid {
				prefix = "UID "
			}
			c.answers(prefix+"FETCH "+text+" UID", want...)
			c.answers("SEARCH "+prefix+text, "* SEARCH"+strings.Join(numbers, ""))
			slices.Reverse(set)
			c.answers("SEARCH RETURN (COUNT) "+prefix+strings.Join(set, ","), fmt.Sprintf(`* ESEARCH (TAG "t%d") COUNT %d`, c.tag+1, len(want)))
		}
	})
}

// TestSetsAreWrittenShort: what COPYUID and ESEARCH tell is the same messages in the same
// order, with each run as one range.
func TestSetsAreWrittenShort(t *testing.T) {
	t.Parallel()
	for want, uids := range map[string][]imap.UID{
		"": nil, "1": {1}, "1:2": {1, 2}, "1:3,5": {1, 2, 3, 5}, "1,3,5": {1, 3, 5}, "3,1:2": {3, 1, 2}, "2,1": {2, 1}, "1,1": {1, 1}, "4294967294:4294967295": {4294967294, 4294967295},
		"7:9,1": {7, 8, 9, 1},
	} {
		if got := string(appendUIDSet(nil, uids)); got != want {
			t.Errorf("%v: %q", uids, got)
		}
	}
	for _, c := range []struct{ in, want []seqRange }{
		{nil, nil},
		{[]seqRange{{First: 3, Last: 4}, {First: 1, Last: 2}}, []seqRange{{First: 1, Last: 4}}},
		{[]seqRange{{First: 1, Last: 9}, {First: 2, Last: 3}, {First: 11, Last: 11}}, []seqRange{{First: 1, Last: 9}, {First: 11, Last: 11}}},
		{[]seqRange{{First: 1<<32 - 2, Last: 1<<32 - 2}, {First: 1, Last: 1}}, []seqRange{{First: 1, Last: 1}, {First: 1<<32 - 2, Last: 1<<32 - 2}}},
	} {
		if got := merge(slices.Clone(c.in)); !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.in, got, c.want)
		}
	}
}

// TestAnnouncementsOfLiterals: only what ends a line in full is one.
func TestAnnouncementsOfLiterals(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]struct {
		size int64
		sync bool
		from int
		is   bool
	}{
		"x {0}": {0, true, 2, true}, "x {12+}": {12, false, 2, true}, "{999999999999999}": {999999999999999, true, 0, true}, "{9999999999999999}": {}, "x {1}{2}": {2, true, 5, true},
		"": {}, "}": {}, "{}": {}, "{+}": {}, "{1": {}, "{1} ": {}, "{-1}": {}, "{ 1}": {}, "{1 }": {}, "{1++}": {}, "{+1}": {}, "{1-}": {}, "{0x1}": {}, "{\xff}": {}, "x{1}": {1, true, 1, true},
	} {
		lit, from := literalAt([]byte(line))
		if lit.pending != want.is || want.is && (lit.size != want.size || lit.sync != want.sync || from != want.from) {
			t.Errorf("%q: %+v at %d", line, lit, from)
		}
	}
}

// TestArgumentsAtTheirBounds: what a reader of an argument takes, and where it stops.
func TestArgumentsAtTheirBounds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, line string
		read       func(a *args) any
		want       any
		err        error
		rest       string
	}{
		{"number", "0", func(a *args) any { return a.number() }, int64(0), nil, ""},
		{"leading zeros", "007 x", func(a *args) any { return a.number() }, int64(7), nil, " x"},
		{"largest number", "2882303761517117449", func(a *args) any { return a.number() }, int64(2882303761517117449), nil, ""},
		{"one larger", "2882303761517117450", func(a *args) any { return a.number() }, int64(0), errSyntax, ""},
		{"number of another kind", "+1", func(a *args) any { return a.number() }, int64(0), errSyntax, ""},
		{"atom", "in~Box]x y", func(a *args) any { return a.atom() }, "IN~BOX]X", nil, " y"},
		{"no atom", "(x", func(a *args) any { return a.atom() }, "", errSyntax, ""},
		{"empty string", `"" x`, func(a *args) any { return a.astring() }, "", nil, " x"},
		{"escapes", `"a\"\\b"x`, func(a *args) any { return a.astring() }, `a"\b`, nil, "x"},
		{"another escape", `"a\b"`, func(a *args) any { return a.astring() }, "", errSyntax, ""},
		{"escape of nothing", `"a\`, func(a *args) any { return a.astring() }, "", errSyntax, ""},
		{"no end", `"a`, func(a *args) any { return a.astring() }, "", errSyntax, ""},
		{"eight bits", "\"\xc3\xa9\"", func(a *args) any { return a.astring() }, "\u00e9", nil, ""},
		{"CR", "\"a\rb\"", func(a *args) any { return a.astring() }, "a\rb", errBadCharacter, ""},
		{"NUL behind an escape", "\"\\\\\x00\"", func(a *args) any { return a.astring() }, "\\\x00", errBadCharacter, ""},
		{"nothing", "", func(a *args) any { return a.astring() }, "", errMissing, ""},
		{"NIL", "nil", func(a *args) any { s, ok := a.nstring(); return s + fmt.Sprint(ok) }, "false", nil, ""},
		{"a string NIL", `"NIL"`, func(a *args) any { s, ok := a.nstring(); return s + fmt.Sprint(ok) }, "NILtrue", nil, ""},
		{"not NIL", "nils", func(a *args) any { s, ok := a.nstring(); return s + fmt.Sprint(ok) }, "false", errSyntax, ""},
		{"list", "(  a  b )x", func(a *args) any { return fmt.Sprint(a.flagList()) }, "[a b]", nil, "x"},
		{"list without an end", "(a", func(a *args) any { return fmt.Sprint(a.flagList()) }, "[a]", errMissing, ""},
		{"list without blanks", "(a(b))", func(a *args) any { return fmt.Sprint(a.flagList()) }, "[a]", errSyntax, ""},
		{"flag in another case", `\sEEN`, func(a *args) any { return a.flag() }, imap.FlagSeen, nil, ""},
		{"a backslash", `\`, func(a *args) any { return a.flag() }, imap.Flag(""), errSyntax, ""},
		{"day", "1-feb-1994 x", func(a *args) any { return a.date().Format(time.DateOnly) }, "1994-02-01", nil, " x"},
		{"quoted day", `"29-Feb-2024"`, func(a *args) any { return a.date().Format(time.DateOnly) }, "2024-02-29", nil, ""},
		{"time", `" 1-Feb-1994 23:59:59 -1200"`, func(a *args) any { return a.dateTime().UTC().Format(time.DateTime) }, "1994-02-02 11:59:59", nil, ""},
		{"one blank too many", "x  y", func(a *args) any { a.atom(); a.space(); return a.atom() }, "Y", nil, ""},
		{"more", " \t", func(a *args) any { return a.more() }, true, nil, "\t"},
		{"no more", "   ", func(a *args) any { return a.more() }, false, nil, ""},
	} {
		a := &args{line: []byte(c.line)}
		if got := c.read(a); got != c.want && c.err == nil || a.err != c.err {
			t.Errorf("%s: %v %v, want %v %v", c.name, got, a.err, c.want, c.err)
		}
		if c.err == nil && string(a.rest()) != c.rest {
			t.Errorf("%s: left is %q, want %q", c.name, a.rest(), c.rest)
		}
		// After an error nothing is read, and the first one is told.
		if c.err != nil {
			a.astring()
			a.number()
			a.flag()
			if err := a.end(); err != c.err || a.more() || a.peek() != 0 {
				t.Errorf("%s: then %v", c.name, err)
			}
		}
	}
}

// TestIdleAtItsEdges: DONE in the packet of IDLE, in any case; what is none ends it with BAD
// and is no command; without a mailbox it waits for the client alone, and news of another
// mailbox are none.
func TestIdleAtItsEdges(t *testing.T) {
	t.Parallel()
	h := newHost(t, func(h *host) { h.config.IMAPD.IdleNotify = 0 })
	h.deliver("alice", plain)
	c := h.login("alice", "")
	for _, state := range []string{"NOOP", "SELECT Trash"} {
		c.ok(state)
		c.send("a IDLE\r\ndOnE\r\nb NOOP\r\n")
		c.expect("+ idling")
		c.expect("a OK Idle completed")
		c.expect("b OK")
		c.send("c IDLE\r\nd LOGOUT\r\ne NOOP\r\n")
		c.expect("+ idling")
		c.expect("c BAD Expected DONE")
		c.expect("e OK")
		c.send("f IDLE\r\n")
		c.expect("+ idling")
		h.deliver("alice", plain) // to INBOX
		c.send("DONE\r\n")
		c.expect("f OK")
		c.send("g IDLE\r\nDONE {10+}\r\nz LOGOUT\r\n\r\nh NOOP\r\n")
		c.expect("+ idling")
		c.expect("g BAD Expected DONE")
		c.expect("h OK")
		c.send("i IDLE\r\n" + strings.Repeat("x", 100_000) + "\r\nj NOOP\r\n")
		c.expect("+ idling")
		c.expect("i BAD Expected DONE")
		c.expect("j OK")
		c.refused("IDLE now", "BAD")
	}
}

// TestIdleTellsWhatCameBefore: what happened between two commands is told when IDLE begins,
// and with it nothing is told twice.
func TestIdleTellsWhatCameBefore(t *testing.T) {
	t.Parallel()
	h := newHost(t, func(h *host) { h.config.IMAPD.IdleNotify = 0 })
	h.deliver("alice", plain, plain, plain)
	c := h.login("alice", "INBOX")
	h.behind("alice", expungeOne(2))
	h.behind("alice", addFlags(1, imap.FlagFlagged))
	h.deliver("alice", plain)
	c.send("a IDLE\r\n")
	for _, want := range []string{"+ idling", "* 2 EXPUNGE", "* 3 EXISTS", "* ", `* 1 FETCH (FLAGS (\Flagged`} {
		c.expect(want)
	}
	for i := range 3 { // one after the other, and each once
		h.behind("alice", expungeOne(1))
		c.expect("* 1 EXPUNGE")
		h.deliver("alice", plain)
		c.expect("* 3 EXISTS")
		c.expect("* ")
		if i == 2 {
			c.send("DONE\r\n")
		}
	}
	c.expect("a OK Idle completed")
	c.answers("NOOP")
}

// failing has the disk of a host fail for files whose path has a word in it.
func failing(faults *faultfs.Faults, err error, word string, ops ...faultfs.Op) {
	faults.Hook(func(op faultfs.Op, name string) error {
		if slices.Contains(ops, op) && strings.Contains(name, word) {
			return err
		}
		return nil
	})
}

// TestAChangeThatTheDiskRefuses: STORE, COPY, MOVE, APPEND and EXPUNGE on a full disk, or one
// that fails, are NO; nothing of them is done, no session sees a part of them, and the same
// session does them when there is room again.
func TestAChangeThatTheDiskRefuses(t *testing.T) {
	t.Parallel()
	for name, cause := range map[string]struct {
		err  error
		says string
		ops  []faultfs.Op
	}{
		"full":   {unix.ENOSPC, "NO [UNAVAILABLE] Insufficient system storage", []faultfs.Op{faultfs.Write, faultfs.Create, faultfs.Link}},
		"broken": {unix.EIO, "NO [SERVERBUG] Internal error, please try again later", []faultfs.Op{faultfs.Create, faultfs.Link, faultfs.Rename}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			faults := faultfs.Wrap(vfs.OS{})
			h := newHost(t, func(h *host) { h.fs = faults })
			h.deliver("alice", plain, mixed, plain)
			c, other := h.login("alice", "INBOX"), h.login("alice", "INBOX")
			c.ok("CREATE Box")
			other.ok("NOOP")
			state := func(c *client) string {
				return fmt.Sprintf("%q %q", c.ok("UID FETCH 1:* FLAGS"), c.ok("STATUS Box (MESSAGES)"))
			}
			before := state(other)
			for _, command := range []string{
				"COPY 1:3 Box", "MOVE 1:3 Box", "APPEND Box {5+}\r\na: b\n", "COPY 2 INBOX",
			} {
				failing(faults, cause.err, "alice", cause.ops...)
				if untagged, tagged := c.run(command); !strings.HasPrefix(tagged, cause.says) || len(untagged) > 0 {
					t.Errorf("%s: %q %s", command, untagged, tagged)
				}
				faults.Hook(nil)
				if got := state(other); got != before {
					t.Errorf("after %s:\n%s, before\n%s", command, got, before)
				}
			}
			c.ok("COPY 1:3 Box")
			c.ok("MOVE 1 Box")
			if got := c.ok("STATUS Box (MESSAGES)"); got[0] != `* STATUS "Box" (MESSAGES 4)` {
				t.Errorf("in the end %q", got)
			}
			other.answers("NOOP", "* 1 EXPUNGE")
		})
	}
}

// TestAMessageThatCannotBeReadToItsEnd: the client was promised octets that the disk does not
// give. The session ends, and what came is no answer; the other messages are read by a new one.
func TestAMessageThatCannotBeReadToItsEnd(t *testing.T) {
	t.Parallel()
	faults := faultfs.Wrap(vfs.OS{})
	h := newHost(t, func(h *host) { h.fs = faults })
	large := "Subject: large\n\n" + strings.Repeat("a line of text\n", 20_000)
	h.deliver("alice", plain, large, plain)
	for _, command := range []string{"FETCH 1:3 BODY.PEEK[]", "FETCH 2 BODY.PEEK[TEXT]<100.200000>", "UID FETCH 2 RFC822.TEXT"} {
		c := h.login("alice", "INBOX")
		var reads atomic.Int32
		faults.Hook(func(op faultfs.Op, name string) error {
			info, err := os.Stat(name)
			if op == faultfs.Read && err == nil && info.Size() == int64(len(large)) {
				if reads.Add(1) > 1 {
					return unix.EIO
				}
			}
			return nil
		})
		c.send("x " + command + "\r\n")
		got, err := io.ReadAll(c.r)
		faults.Hook(nil)
		if n := reads.Load(); n < 2 {
			t.Fatalf("%s: %d reads of the file", command, n)
		}
		if err != nil || strings.Contains(string(got), "x OK") || strings.Contains(string(got), "x NO") || strings.Contains(string(got), "* 3 FETCH") || strings.Contains(string(got), "input/output") {
			t.Errorf("%s: %v, ends with %q", command, err, got[max(0, len(got)-100):])
		}
	}
	c := h.login("alice", "INBOX")
	if got := c.ok("FETCH 2 BODY.PEEK[]"); len(got) != 1 || !strings.Contains(got[0], onWire(large)) {
		t.Error("the message is not what it was")
	}
}

// TestAClientThatDoesNotRead is let go after imapd.write_timeout, in the middle of a response,
// and holds up nobody else; one that reads slowly gets all of it.
func TestAClientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	h := newHost(t, func(h *host) { h.config.IMAPD.WriteTimeout = 200 * time.Millisecond })
	large := "Subject: large\n\n" + strings.Repeat("a line of text\n", 100_000)
	h.deliver("alice", large)
	serve := func() (c *client, done chan struct{}) {
		server, peer := net.Pipe() // which has no buffer
		done = make(chan struct{})
		go func() {
			defer close(done)
			h.handler.ServeConn(context.Background(), server)
			_ = server.Close()
		}()
		t.Cleanup(func() { _ = peer.Close() })
		c = &client{t: t, Conn: peer, r: bufio.NewReaderSize(peer, 64<<10)}
		c.expect("* OK")
		c.ok(`LOGIN alice@example.test "secret word"`)
		c.ok("EXAMINE INBOX")
		return c, done
	}
	c, done := serve()
	c.send("x FETCH 1 BODY.PEEK[]\r\n")
	c.expect("* 1 FETCH (BODY[] {")
	<-done
	if rest, err := io.ReadAll(c.r); strings.Contains(string(rest), "x OK") || err != nil && !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("%d octets more, %v", len(rest), err)
	}
	c, done = serve()
	c.send("x FETCH 1 BODY.PEEK[]\r\ny LOGOUT\r\n")
	text, err := io.ReadAll(c.r)
	if err != nil || !strings.Contains(string(text), onWire(large)) || !strings.HasSuffix(string(text), "y OK Logout completed\r\n") {
		t.Errorf("%d octets, %v", len(text), err)
	}
	<-done
}

// TestSelectLeavesTheMailboxOfBefore, whether it works or not (RFC 3501 section 6.3.1): its
// messages, its saved search and its news are no more.
func TestSelectLeavesTheMailboxOfBefore(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	h.deliver("alice", plain, mixed)
	c := h.login("alice", "INBOX")
	for _, wrong := range []string{"SELECT", "SELECT INBOX x", "EXAMINE ("} { // no SELECT at all
		c.refused(wrong, "BAD")
		c.ok("FETCH 1 UID")
	}
	for _, command := range []string{"SELECT Nowhere", `SELECT "&bad"`, "EXAMINE a//b", "SELECT Trash"} {
		c := h.login("alice", "INBOX")
		c.ok("SEARCH RETURN (SAVE) ALL")
		_, tagged := c.run(command)
		h.behind("alice", addFlags(1, imap.FlagFlagged))
		c.answers("NOOP")
		if strings.HasPrefix(tagged, "OK") {
			c.answers("SEARCH $", "* SEARCH")
			continue
		}
		for _, next := range []string{"FETCH 1 FLAGS", "SEARCH $", "CLOSE", "EXPUNGE", "CHECK"} {
			c.refused(next, "BAD No mailbox selected")
			c.ok("NOOP")
		}
	}
}
