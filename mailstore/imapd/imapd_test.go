package imapd

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/wire"
)

const (
	plain = "From: Ann <ann@example.org>\nTo: alice@example.test\nSubject: first\nDate: Thu, 1 Jan 2026 10:00:00 +0100\nMessage-ID: <1@example.org>\n\nline one\nline two\n"
	mixed = "From: =?utf-8?q?J=C3=B6rg?= <joerg@example.org>\nTo: alice@example.test\nSubject: =?utf-8?b?R3LDvMOfZQ==?=\n" +
		"Date: Fri, 2 Jan 2026 10:00:00 +0100\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\npreamble\n--b\n" +
		"Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\nSch=F6ne Gr=FC=\n=DFe\n--b\n" +
		"Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: base64\n\nPGI+V8Okcm1l\nPC9iPg==\n--b\n" +
		"Content-Type: message/rfc822\n\nSubject: inner\n\ninside\n--b--\n"
	eightBit = "Subject: no end of line\nX-Nul: a\x00b\n\nbody \x00\xff without end"
)

func onWire(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

func TestFetchBodies(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	h.deliver("alice", plain, mixed, eightBit)
	c := h.login("alice", "INBOX")
	fetch := func(seq int, item, label, want string) {
		t.Helper()
		want = strings.ReplaceAll(want, "\x00", "\x80") // a literal has no NUL
		c.answers(fmt.Sprintf("FETCH %d %s", seq, item), fmt.Sprintf("* %d FETCH (%s {%d}\r\n%s)", seq, label, len(want), want))
	}
	for i, m := range []string{plain, mixed, eightBit} {
		fetch(i+1, "BODY.PEEK[]", "BODY[]", onWire(m))
		head, body, _ := strings.Cut(m, "\n\n")
		fetch(i+1, "BODY.PEEK[HEADER]", "BODY[HEADER]", onWire(head+"\n\n"))
		fetch(i+1, "RFC822.HEADER", "RFC822.HEADER", onWire(head+"\n\n"))
		fetch(i+1, "BODY.PEEK[TEXT]", "BODY[TEXT]", onWire(body))
		fetch(i+1, "BODY.PEEK[HEADER.FIELDS (subject X-None)]", "BODY[HEADER.FIELDS (subject X-None)]", onWire(fieldOf(m, "Subject")+"\n"))
	}
	fetch(2, "BODY.PEEK[1]", "BODY[1]", "Sch=F6ne Gr=FC=\r\n=DFe")
	fetch(2, "BODY.PEEK[3.HEADER]", "BODY[3.HEADER]", "Subject: inner\r\n\r\n")
	fetch(2, "BODY.PEEK[3.TEXT]", "BODY[3.TEXT]", "inside")
	fetch(2, "BODY.PEEK[3.MIME]", "BODY[3.MIME]", "Content-Type: message/rfc822\r\n\r\n")
	c.answers("FETCH 2 BODY.PEEK[9]", "* 2 FETCH (BODY[9] NIL)")
	c.answers("FETCH 1 BODY.PEEK[]<100000.10>", "* 1 FETCH (BODY[]<100000> {0}\r\n)")
}

func fieldOf(message, name string) string {
	from := strings.Index(message, name+":")
	return message[from:from+strings.IndexByte(message[from:], '\n')] + "\n"
}

// TestFetchPartial asks for every piece of a message with every length, in
// both directions, because the place of the last one is remembered.
func TestFetchPartial(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	h.deliver("alice", "A: b\r\r\nB: c\n\n\n\nx\r\n\ny\r", "A: b\x00\n c\nB: d\nno colon\nA: e", mixed, "A: x\r\n\r\n\x00\r\n", "A: b\r")
	c := h.login("alice", "INBOX")
	for _, s := range []struct{ seqs, section string }{
		{"12345", ""}, {"1245", "HEADER"}, {"1245", "TEXT"}, {"1245", "HEADER.FIELDS (a)"}, {"1245", "HEADER.FIELDS.NOT (A)"}, {"1", "HEADER.FIELDS (Z)"},
		{"124", "1"}, {"124", "1.MIME"}, {"3", "2"}, {"3", "2.MIME"}, {"3", "3.HEADER"}, {"3", "3.TEXT"},
		{"3", "3.HEADER.FIELDS (SUBJECT)"}, {"3", "3.HEADER.FIELDS.NOT (Subject)"},
	} {
		for _, seq := range s.seqs {
			c.pieces(string(seq), s.section)
		}
	}
}

// pieces fetches a section piece by piece and compares with the whole.
func (c *client) pieces(seq, section string) {
	c.t.Helper()
	got := c.ok("FETCH " + seq + " BODY.PEEK[" + section + "]")[0]
	whole := got[strings.Index(got, "}\r\n")+3 : len(got)-1]
	check := func(offset, length int) {
		c.t.Helper()
		want := whole[min(offset, len(whole)):min(offset+length, len(whole))]
		c.answers(fmt.Sprintf("FETCH %s BODY.PEEK[%s]<%d.%d>", seq, section, offset, length),
			fmt.Sprintf("* %s FETCH (BODY[%s]<%d> {%d}\r\n%s)", seq, section, offset, len(want), want))
	}
	for length := 1; length < 5; length++ {
		for offset := 0; offset <= len(whole); offset += length {
			check(offset, length)
		}
		for offset := len(whole) + 1; offset >= 0; offset-- {
			check(offset, length)
		}
	}
	check(2, 1<<30)
}

// TestLargeMessage appends and fetches a message of several blocks, whole and
// in pieces.
func TestLargeMessage(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	var b bytes.Buffer
	b.WriteString("Subject: large\r\n\r\n")
	for i := 0; b.Len() < 3<<20; i++ {
		b.WriteString(strings.Repeat("x", i%200) + "\r\n")
	}
	message := b.String()
	c := h.login("alice", "")
	c.ok(fmt.Sprintf("APPEND INBOX {%d+}\r\n%s", len(message), message))
	c.ok("SELECT INBOX")
	c.answers("FETCH 1 (RFC822.SIZE)", fmt.Sprintf("* 1 FETCH (RFC822.SIZE %d)", len(message)))
	c.answers("FETCH 1 BODY.PEEK[]", fmt.Sprintf("* 1 FETCH (BODY[] {%d}\r\n%s)", len(message), message))
	const step = 99_991
	for at := 0; at < len(message); at += step {
		want := message[at:min(at+step, len(message))]
		c.answers(fmt.Sprintf("FETCH 1 BODY.PEEK[]<%d.%d>", at, step),
			fmt.Sprintf("* 1 FETCH (BODY[]<%d> {%d}\r\n%s)", at, len(want), want))
	}
}

func TestSearch(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	h.deliver("alice", plain, mixed, eightBit)
	h.behind("alice", addFlags(1, imap.FlagSeen, "$Label"))
	h.behind("alice", addFlags(3, imap.FlagDeleted))
	c := h.login("alice", "INBOX")
	for _, q := range []struct{ keys, want string }{
		{"ALL", " 1 2 3"}, {"2:*", " 2 3"}, {"9", ""}, {"UID 1,3:9", " 1 3"}, {"NOT 2", " 1 3"}, {"1:2 2:3", " 2"},
		{"SEEN", " 1"}, {"UNSEEN", " 2 3"}, {"DELETED", " 3"}, {"KEYWORD $label", " 1"}, {"UNKEYWORD $Label", " 2 3"},
		{"OR SEEN DELETED", " 1 3"}, {"NOT (OR SEEN DELETED)", " 2"}, {"OR (1) (NOT (1:2))", " 1 3"},
		{"SINCE 2-Jan-2026", " 1 2 3"}, {"BEFORE 2-Jan-2026", ""}, {"ON 2-Jan-2026", " 1 2 3"},
		{`SENTON "1-Jan-2026"`, " 1"}, {"SENTSINCE 2-Jan-2026", " 2"}, {"SENTBEFORE 2-Jan-2026", " 1"},
		{"LARGER 0", " 1 2 3"}, {"SMALLER 0", ""}, {"SMALLER 200 LARGER 100", " 1"},
		{"OLDER 10", " 1 2 3"}, {"YOUNGER 10", ""},
		{"FROM ann", " 1"}, {"FROM Ann@Example.ORG", " 1"}, {"CHARSET UTF-8 FROM {6+}\r\nJÖRG", ""}, {"CHARSET UTF-8 FROM {5+}\r\nJÖRG", " 2"},
		{"TO alice", " 1 2"}, {"CC x", ""}, {"CHARSET UTF-8 SUBJECT {7+}\r\ngrüße", " 2"}, {"SUBJECT FIRST", " 1"},
		{"CHARSET ISO-8859-1 SUBJECT {4+}\r\nr\xfc\xdfe", " 2"},
		{"HEADER Message-ID <1@", " 1"}, {`HEADER Message-ID ""`, " 1"}, {`HEADER MIME-Version ""`, " 2"}, {"HEADER Content-Type mixed", " 2"},
		{"BODY two", " 1"}, {"BODY first", ""}, {"TEXT first", " 1"}, {"BODY inside", " 2"}, {"BODY inner", " 2"}, {"BODY preamble", ""},
		{"CHARSET UTF-8 BODY {14+}\r\nschöne GRÜSS", ""}, {"CHARSET UTF-8 BODY {15+}\r\nschöne GRÜße", " 2"},
		{"CHARSET UTF-8 BODY {6+}\r\nwärm", ""}, {"CHARSET UTF-8 BODY {5+}\r\nwärm", " 2"}, {"BODY without", " 3"},
		// Several keys that look into texts read them once.
		{"BODY two TEXT first", " 1"}, {"BODY two BODY first", ""}, {"OR BODY inside BODY two", " 1 2"}, {"NOT TEXT two NOT BODY inside", " 3"},
		{`TEXT "" BODY ""`, " 1 2 3"}, {"TEXT content-type TEXT multipart", " 2"}, {"BODY content-type TEXT multipart", ""}, {"BODY subject BODY inner", " 2"},
		{"BODY innerinside TEXT inner", ""}, {"OR TEXT J\u00f6rg TEXT X-Nul", " 2 3"},
	} {
		if q.want == "" && strings.Contains(q.keys, "+}") && q.keys[strings.Index(q.keys, "{")+1] != '0' {
			continue // lengths that do not fit are for the dialogue of literals
		}
		c.answers("SEARCH "+q.keys, "* SEARCH"+q.want)
	}
	c.answers("UID SEARCH RETURN (MIN MAX COUNT ALL) 2:3", fmt.Sprintf(`* ESEARCH (TAG "t%d") UID MIN 2 MAX 3 ALL 2:3 COUNT 2`, c.tag+1))
	c.answers("SEARCH RETURN (SAVE) DELETED")
	c.answers("FETCH $ UID", "* 3 FETCH (UID 3)")
	c.refused("SEARCH CHARSET KLINGON ALL", "NO [BADCHARSET (US-ASCII UTF-8)]")
	c.refused("SEARCH NONSENSE", "BAD ")
	c.refused("SEARCH "+strings.Repeat("NOT ", 100)+"ALL", "BAD ")
}

// TestSearchComposition writes the same text in every form, in the message and
// in the key.
func TestSearchComposition(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	// The second form is composed, the third is not, the last is of full width.
	forms := []string{"Gr\u00fc\u00dfe", "gru\u0308\u00dfe", "GRU\u0308\u00dfE", "\uff27\uff52\u00fc\u00df\uff45"}
	for _, form := range forms {
		h.deliver("alice", "Subject: "+form+"\nFrom: "+form+" <a@b>\nX-Form: "+form+"\nContent-Type: text/plain; charset=utf-8\n\nsome "+form+" here\n")
	}
	// The marks stand at the edges of the pieces in which a text is read.
	for pad := wire.BlockSize - 8; pad < wire.BlockSize+4; pad++ {
		h.deliver("alice", "Content-Type: text/plain; charset=utf-8\n\n"+strings.Repeat("x", pad)+"gru\u0308\u00dfe\n"+strings.Repeat("\u0308", 40)+"\n")
	}
	c := h.login("alice", "INBOX")
	for _, form := range forms {
		literal := fmt.Sprintf(" {%d+}\r\n%s", len(form), form)
		for _, key := range []string{"SUBJECT", "FROM", "HEADER X-Form", "HEADER SUBJECT"} {
			c.answers("SEARCH CHARSET UTF-8 "+key+literal, "* SEARCH 1 2 3 4")
		}
		for _, keys := range []string{"BODY" + literal, "TEXT" + literal, "TEXT" + literal + " BODY" + literal} {
			c.answers("SEARCH "+keys, "* SEARCH 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16")
		}
	}
	c.answers("SEARCH CHARSET ISO-8859-1 SUBJECT {5+}\r\nGr\xfc\xdfe", "* SEARCH 1 2 3 4")
	c.answers("SEARCH SUBJECT gru", "* SEARCH")
}

// TestSearchLargeTexts has texts that are too large to be kept for several keys.
func TestSearchLargeTexts(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	h.deliver("alice", "Subject: s\n\n"+strings.Repeat(strings.Repeat("a", 99)+"\n", (1<<20)/100)+"needle\n", plain)
	c := h.login("alice", "INBOX")
	c.answers("SEARCH BODY needle NOT BODY two", "* SEARCH 1")
	c.answers("SEARCH OR BODY needle BODY two", "* SEARCH 1 2")
	c.answers("SEARCH BODY needle BODY nothing", "* SEARCH")
}

// TestTwoSessions has one session expunge under another.
func TestTwoSessions(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	h.deliver("alice", plain, plain, plain, plain)
	c, d := h.login("alice", "INBOX"), h.login("alice", "INBOX")
	c.ok(`STORE 2 +FLAGS.SILENT (\Deleted)`)
	c.answers("EXPUNGE", "* 2 EXPUNGE")
	// The other may not be told while it uses sequence numbers ...
	d.answers("FETCH 4 UID", "* 4 FETCH (UID 4)", `* 2 FETCH (FLAGS (\Deleted))`)
	d.refused("FETCH 2 BODY.PEEK[]", "NO [EXPUNGEISSUED]")
	d.answers("SEARCH ALL", "* SEARCH 1 2 3 4")
	// ... but with UIDs and in NOOP.
	d.answers("UID FETCH 4 FLAGS", `* 4 FETCH (UID 4 FLAGS ())`, "* 2 EXPUNGE")
	d.answers("FETCH 3 UID", "* 3 FETCH (UID 4)")
	d.ok(`STORE 1 +FLAGS.SILENT (\Flagged)`)
	c.answers("NOOP", `* 1 FETCH (FLAGS (\Flagged \Recent))`)
	h.deliver("alice", plain)
	c.answers("NOOP", "* 4 EXISTS", "* 4 RECENT")
}

// TestIdle waits for news of a delivery, of flags and of an expunge.
func TestIdle(t *testing.T) {
	t.Parallel()
	h := newHost(t, func(h *host) { h.config.IMAPD.IdleNotify = 0 })
	h.deliver("alice", plain)
	c := h.login("alice", "INBOX")
	c.send("i IDLE\r\n")
	c.expect("+ idling")
	began := time.Now()
	h.deliver("alice", plain)
	c.expect("* 2 EXISTS")
	c.expect("* ")
	h.behind("alice", addFlags(1, imap.FlagFlagged))
	c.expect(`* 1 FETCH (FLAGS (\Flagged \Recent))`)
	h.behind("alice", expungeOne(1))
	c.expect("* 1 EXPUNGE")
	if took := time.Since(began); took > 5*time.Minute { // without being told it waits half an hour
		t.Errorf("news took %v", took)
	}
	c.send("done\r\nn NOOP\r\n")
	c.expect("i OK")
	c.expect("n OK")
	c.send("j IDLE\r\n")
	c.expect("+ idling")
	h.Finish()
	c.expect("* BYE ")
}

// TestIdleNotify has the server say that it is still here.
func TestIdleNotify(t *testing.T) {
	t.Parallel()
	h := newHost(t, func(h *host) { h.config.IMAPD.IdleNotify = 20 * time.Millisecond })
	c := h.login("alice", "INBOX")
	c.send("i IDLE\r\n")
	c.expect("+ idling")
	c.expect("* OK Still here")
	c.expect("* OK Still here")
	c.send("DONE\r\n")
	for {
		if line := c.line(); line != "* OK Still here" {
			if !strings.HasPrefix(line, "i OK") {
				t.Fatal(line)
			}
			return
		}
	}
}

func TestAutologout(t *testing.T) {
	t.Parallel()
	h := newHost(t, func(h *host) { h.config.IMAPD.IdleTimeout = 50 * time.Millisecond })
	c := h.login("alice", "")
	c.expect("* BYE Autologout: you were quiet for too long")
}

// TestOneWritePerBatch counts the reads of a pipelined batch's answers.
func TestOneWritePerBatch(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	h.deliver("alice", plain)
	server, peer := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.handler.ServeConn(t.Context(), server)
		_ = server.Close()
	}()
	_ = peer.SetDeadline(time.Now().Add(time.Minute))
	buf := make([]byte, 64<<10)
	read := func() string {
		n, err := peer.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
	read()
	if _, err := peer.Write([]byte("a LOGIN alice@example.test \"secret word\"\r\nb SELECT INBOX\r\nc FETCH 1 (FLAGS ENVELOPE)\r\nd NOOP\r\n")); err != nil {
		t.Fatal(err)
	}
	// A pipe hands over one write at a time.
	if answer := read(); !strings.Contains(answer, "a OK") || !strings.HasSuffix(answer, "d OK NOOP completed\r\n") {
		t.Errorf("not one write: %q", answer)
	}
	_ = peer.Close()
	<-done
}

// TestImplicitTLS talks on the TLS port, with a large answer.
func TestImplicitTLS(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	for range 100 {
		h.deliver("alice", plain)
	}
	c := h.client(1)
	c.ok(`LOGIN alice@example.test "secret word"`)
	c.ok("SELECT INBOX")
	if got := c.ok("FETCH 1:* (FLAGS BODY.PEEK[])"); len(got) != 100 {
		t.Errorf("%d responses", len(got))
	}
	c.send("i IDLE\r\n")
	c.expect("+ idling")
	h.deliver("alice", plain)
	c.expect("* 101 EXISTS")
}
