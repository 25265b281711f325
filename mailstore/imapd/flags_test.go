package imapd

import "testing"

const (
	flagsWith = `* FLAGS (\Answered \Flagged \Deleted \Seen \Draft `
	keepsWith = `* OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft `
	keepsEnd  = ` \*)] Flags permitted`
)

// TestKeywordIsToldBeforeItsUse makes keywords in every way in which a response
// can have one that the client does not know.
func TestKeywordIsToldBeforeItsUse(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	h.deliver("alice", plain, plain)
	c := h.login("alice", "INBOX")
	told := func(keywords string) []string {
		return []string{flagsWith + keywords + ")", keepsWith + keywords + keepsEnd}
	}
	c.answers("STORE 1 +FLAGS (k1)", append(told("k1"), `* 1 FETCH (FLAGS (k1 \Recent))`)...)
	c.answers("STORE 1 +FLAGS.SILENT (k2)", told("k1 k2")...)
	c.answers("UID STORE 1 FLAGS (K1 k3)", append(told("k1 k2 k3"), `* 1 FETCH (UID 1 FLAGS (k1 k3 \Recent))`)...)
	h.behind("alice", addFlags(1, "k4"))
	c.answers("FETCH 1 FLAGS", append(told("k1 k2 k3 k4"), `* 1 FETCH (FLAGS (k1 k3 k4 \Recent))`, `* 1 FETCH (FLAGS (k1 k3 k4 \Recent))`)...)
	h.behind("alice", addFlags(1, "k5"))
	c.answers("FETCH 1 BODY[HEADER.FIELDS (Subject)]", append(told("k1 k2 k3 k4 k5"),
		"* 1 FETCH (BODY[HEADER.FIELDS (Subject)] {18}\r\nSubject: first\r\n\r\n FLAGS (\\Seen k1 k3 k4 k5 \\Recent))", `* 1 FETCH (FLAGS (\Seen k1 k3 k4 k5 \Recent))`)...)
	h.behind("alice", addFlags(2, "k6"))
	c.answers("FETCH 1 UID", append(append([]string{"* 1 FETCH (UID 1)"}, told("k1 k2 k3 k4 k5 k6")...), `* 2 FETCH (FLAGS (k6 \Recent))`)...)
	c.send("i IDLE\r\n")
	c.expect("+ idling")
	h.behind("alice", addFlags(2, "k7"))
	for _, want := range append(told("k1 k2 k3 k4 k5 k6 k7"), `* 2 FETCH (FLAGS (k6 k7 \Recent))`) {
		c.expect(want)
	}
	c.send("DONE\r\n")
	c.expect("i OK")
	c.answers("NOOP")
	c.answers("STORE 2 -FLAGS (k8)", `* 2 FETCH (FLAGS (k6 k7 \Recent))`)
}

// TestExpungeIssued runs commands that come to messages which another session
// has expunged and which have their numbers still.
func TestExpungeIssued(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	h.deliver("alice", plain, mixed, plain)
	c := h.login("alice", "INBOX")
	h.behind("alice", expungeOne(1))
	issued := func(command string, want ...string) {
		t.Helper()
		got, tagged := c.run(command)
		if len(tagged) < 18 || tagged[:18] != "OK [EXPUNGEISSUED]" || len(got) != len(want) {
			t.Fatalf("%s: %q %s", command, got, tagged)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("%s: %q", command, got)
			}
		}
	}
	issued("SEARCH BODY one", "* SEARCH 3")
	issued("SEARCH SUBJECT first", "* SEARCH 3")
	issued("SEARCH NOT TEXT nothing", "* SEARCH 2 3")
	issued("SEARCH RETURN (COUNT SAVE) HEADER X-None {0+}\r\n", "* ESEARCH (TAG \"t6\") COUNT 0")
	issued(`STORE 1:2 +FLAGS.SILENT (\Flagged)`)
	c.answers("SEARCH ALL", "* SEARCH 1 2 3")
	c.answers(`STORE 2 FLAGS ()`, `* 2 FETCH (FLAGS (\Recent))`)
	c.refused("FETCH 1 ENVELOPE", "NO [EXPUNGEISSUED]")
	c.refused("FETCH 1:3 BODY.PEEK[TEXT]", "NO [EXPUNGEISSUED]")
	issued(`UID STORE 1 +FLAGS.SILENT (\Deleted)`, "* 1 EXPUNGE")
	h.behind("alice", expungeOne(1))
	c.refused("COPY 1 INBOX", "NO [EXPUNGEISSUED]")
	c.answers("NOOP")
	c.ok("SEARCH BODY one")
}
