package imapd

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/vfs"
)

// nasty are messages with headers that readers disagree about.
func nasty(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../internal/mime/testdata/*/*.eml")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d messages: %v", len(files), err)
	}
	var all []string
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(text))
	}
	long := strings.Repeat("x", 40<<10)
	return append(all,
		"", "\n", "body without a header", " folded first\nFrom: a\n\nb", "From: a", "From: a\nSubject: b\nTo: c", "From: a\r\nTo: b\r\n\r\nc", "From: a\r\nSubject: b",
		"Subject : spaced\nsubject: again\nSUBJECT:\tthird\n\n", "no field\n goes on\nSubject: x\n\ty\n \n z\n\n", ": empty name\nTo: x\n\n",
		"Subject: nul\x00 here\rand a CR\nDate: \x80\xff\n\n", "To: "+strings.Repeat("a@example.test,\n ", 2000)+"b@example.test\nFrom: small\nSubject: behind a large one\n\n",
		"Subject: "+long+"\nFrom: a\n\n", long+"From: a\nSubject: b\n\n", long+": a\nTo: b\n\n", "List-Id: <"+strings.Repeat("l", 300)+">\nlist-post: x\nList-\u212a: kelvin\n\n",
		"From \x01: control\nFrom: a\n\n", "From: =?utf-8?q?J=C3=B6rg?= <a@b>\nSubject: =?iso-8859-1?q?gr=FC=DF?=\n =?utf-8?q?e?=\nReferences: <1@x>\n <2@x>\n\n",
		"Date: Thu, 26 Nov 2026 23:30:00 -0800\nMessage-ID: <m@x>\nIn-Reply-To: <r@x>\nX-Mailer: y\nX-Priority: 1\nX-Spam-Flag: YES\nX-Spam-Report: long\n\nb",
		strings.Repeat("X-Many: 1\n", 3000)+"Subject: last\n\n", manyNames()+"Subject: last\n\n",
	)
}

func manyNames() string {
	var b strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&b, "X-Name-%d: %d\n", i, i)
	}
	return b.String()
}

// recordQuestions are what the record may answer, and what it may not.
func recordQuestions() []string {
	lists := []string{
		"From", "subject", "To Cc Bcc", "Date From Subject To Message-ID In-Reply-To References", "X-Priority X-Mailer", "Received", "X-Nobody",
		`"" Subject`, "List-Id List-Post", "List-k", "x-spam-flag X-Spam-Report", strings.Repeat("From ", 30) + "Subject", "X-Name-500", "X-Many Subject",
		"From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups In-Reply-To Content-Type Reply-To",
		`"From "`, "MIME-Version Content-Type Content-Transfer-Encoding", strings.Repeat("y", 65) + " To",
	}
	var all []string
	for _, list := range lists {
		all = append(all, "FETCH 1:* BODY.PEEK[HEADER.FIELDS ("+list+")]")
	}
	all = append(all,
		"FETCH 1:* (ENVELOPE BODYSTRUCTURE RFC822.SIZE)", "FETCH 1:* BODY.PEEK[HEADER.FIELDS.NOT (From Subject)]",
		"FETCH 1:* (BODY.PEEK[HEADER.FIELDS (From Subject)]<0.7> BODY.PEEK[HEADER.FIELDS (From Subject)]<5.1000> BODY.PEEK[HEADER.FIELDS (Subject)]<100000.5>)",
		"FETCH 1:* (ENVELOPE BODY.PEEK[HEADER.FIELDS (To)] BODY.PEEK[HEADER.FIELDS (X-Mailer)] BODY.PEEK[HEADER])", "FETCH 1:* (BODY.PEEK[1.HEADER.FIELDS (From)])",
		"SEARCH SENTON 26-Nov-2026", "SEARCH SENTSINCE 1-Jan-2000", "SEARCH NOT SENTBEFORE 1-Jan-2030", "SEARCH CHARSET utf-8 FROM {5+}\r\nj\u00f6rg", "SEARCH TO b@example.test",
		"SEARCH CHARSET utf-8 SUBJECT {7+}\r\ngr\u00fc\u00dfe", "SEARCH OR SUBJECT last CC x", "SEARCH TEXT small BODY b",
	)
	for _, name := range []string{"From", "To", "Subject", "References", "X-Mailer", "X-Nobody", "List-Id", "X-Name-7", "X-Many", "Message-Id", `""`, "Received", "List-k"} {
		for _, needle := range []string{`""`, "a", "x", "example", `"<1@x> <2@x>"`, "2000", "1"} {
			all = append(all, "SEARCH HEADER "+name+" "+needle)
		}
	}
	return all
}

// TestTheRecordAnswersAsTheMessage: a server that keeps fields in its records and one
// that keeps none, and reads messages, say the same.
func TestTheRecordAnswersAsTheMessage(t *testing.T) {
	t.Parallel()
	messages := nasty(t)
	hosts := []*host{
		newHost(t, nil),
		newHost(t, func(h *host) { h.config.Store.CachedFields = 0 }),
		newHost(t, func(h *host) { h.config.Store.CachedFields, h.config.Store.SearchMemory = 300, 0 }),
	}
	var clients []*client
	for _, h := range hosts {
		for _, m := range messages {
			h.deliver("alice", m)
		}
		clients = append(clients, h.login("alice", "INBOX"))
	}
	for _, q := range recordQuestions() {
		want, status := clients[1].run(q)
		for i, c := range clients {
			got, other := c.run(q)
			if other != status || !slices.Equal(got, want) {
				t.Errorf("%.100q: server %d says %.100q, without fields %.100q", q, i, other, status)
				for k := range min(len(got), len(want)) {
					if got[k] != want[k] {
						t.Errorf("%.300q\nwithout %.300q", got[k], want[k])
						break
					}
				}
			}
		}
	}
}

// TestAListOpensNoMessage: what Thunderbird, K-9 and Roundcube ask for to list a
// folder, and searches in it, are answered from the cache.
func TestAListOpensNoMessage(t *testing.T) {
	t.Parallel()
	// The hook is called by the journal's goroutines, too.
	var mu sync.Mutex
	var opened []string
	watching := false
	h := newHost(t, func(h *host) {
		faults := faultfs.Wrap(vfs.OS{})
		faults.Hook(func(op faultfs.Op, name string) error {
			mu.Lock()
			defer mu.Unlock()
			if dir := filepath.Base(filepath.Dir(name)); watching && op == faultfs.Open && (dir == "cur" || dir == "new") {
				opened = append(opened, name)
			}
			return nil
		})
		h.fs = faults
	})
	for i := range 100 {
		h.deliver("alice", fmt.Sprintf("Received: by x\nFrom: a\nTo: b\nSubject: %d\nDate: Thu, 26 Nov 2026 23:30:00 -0800\nMessage-ID: <%d@x>\nX-Mailer: y\nDKIM-Signature: z\n\nbody\n", i, i))
	}
	c := h.login("alice", "INBOX")
	taken := func() []string {
		mu.Lock()
		defer mu.Unlock()
		names := opened
		opened, watching = nil, true
		return names
	}
	taken()
	for _, command := range []string{
		"FETCH 1:* (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups In-Reply-To Content-Type Reply-To)])",
		"FETCH 1:* (UID INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (date subject from content-type to cc bcc reply-to message-id references in-reply-to list-post list-unsubscribe sender X-K9mail-Identity Chat-Version)])",
		"FETCH 1:* (UID RFC822.SIZE FLAGS INTERNALDATE BODY.PEEK[HEADER.FIELDS (DATE FROM TO SUBJECT CONTENT-TYPE CC REPLY-TO LIST-POST DISPOSITION-NOTIFICATION-TO X-PRIORITY)])",
		"FETCH 1:* (BODY.PEEK[HEADER.FIELDS (date subject from to cc message-id in-reply-to references x-priority x-uniform-type-identifier x-universally-unique-identifier list-id list-unsubscribe)])",
		"FETCH 1:* (ENVELOPE BODYSTRUCTURE)", "SEARCH HEADER Message-Id <7@x>", "SEARCH SUBJECT 9", "SEARCH HEADER References x", "SEARCH SENTSINCE 1-Nov-2026", "SEARCH HEADER X-Absent \"\"",
		"STATUS INBOX (MESSAGES UNSEEN SIZE)",
	} {
		c.ok(command)
		if opened := taken(); len(opened) > 0 {
			t.Errorf("%s opens %q", command, opened[0])
		}
	}
	c.ok("FETCH 1 BODY.PEEK[HEADER.FIELDS (X-Mailer)]")
	if opened := taken(); len(opened) != 1 {
		t.Errorf("%d messages were opened for a field that no record keeps", len(opened))
	}
}
