package e2e

import (
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"
)

// ledger remembers, for every message and mailbox, what the server has said.
type ledger struct {
	mu   sync.Mutex
	next int
	// answers counts what was accepted or expunged.
	answers int
	rows    map[row]*fate
	// uids are the messages seen under a UID; a UID never changes its message.
	uids map[uidKey]string
	bad  []string
}

type row struct{ id, mailbox string }

type uidKey struct {
	mailbox     string
	uidValidity uint32
	uid         uint32
}

// fate is what is known of one message in one mailbox.
type fate struct {
	accepted bool // the answer was 250 or OK
	// expunging: asked for, may have happened. expunged: confirmed.
	expunging, expunged bool
}

func newLedger() *ledger {
	return &ledger{rows: map[row]*fate{}, uids: map[uidKey]string{}}
}

// newID makes the id of a message that is about to be sent.
func (l *ledger) newID(way string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next++
	return fmt.Sprintf("%s.%d@crash.example.net", way, l.next)
}

func (l *ledger) change(id, mailbox string, f func(*fate)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := row{id, mailbox}
	if l.rows[r] == nil {
		l.rows[r] = &fate{}
	}
	f(l.rows[r])
}

// sending must be called before the first octet leaves.
func (l *ledger) sending(id, mailbox string) { l.change(id, mailbox, func(*fate) {}) }

func (l *ledger) accepted(id, mailbox string) {
	l.change(id, mailbox, func(f *fate) { f.accepted = true; l.answers++ })
}

func (l *ledger) expunging(id, mailbox string) {
	l.change(id, mailbox, func(f *fate) { f.expunging = true })
}

func (l *ledger) expunged(id, mailbox string) {
	l.change(id, mailbox, func(f *fate) { f.expunged = true; l.answers++ })
}

// waitAnswers waits until the server has said yes n more times: the machine
// decides how long that takes. A server that stopped working is an error.
func (l *ledger) waitAnswers(t *testing.T, n int) {
	t.Helper()
	count := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.answers
	}
	want := count() + n
	deadline := time.Now().Add(2 * time.Minute)
	for count() < want {
		if time.Now().After(deadline) {
			t.Fatalf("%d answers are missing after two minutes", want-count())
		}
		time.Sleep(time.Millisecond)
	}
}

// sawUID notes that the server showed a message under a UID.
func (l *ledger) sawUID(k uidKey, id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if before, ok := l.uids[k]; ok && before != id {
		l.bad = append(l.bad, fmt.Sprintf("%s UID %d was %s and is %s", k.mailbox, k.uid, before, id))
	}
	l.uids[k] = id
}

// compare checks how often each message lies in each mailbox.
func (l *ledger) compare(t *testing.T, have map[row]int) {
	t.Helper()
	l.compareSome(t, have, 500, 50)
}

// compareSome is compare for a test that wants at least so many accepted and so many
// expunged.
func (l *ledger) compareSome(t *testing.T, have map[row]int, leastAccepted, leastGone int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var accepted, unanswered, gone int
	complain := func(format string, args ...any) { l.bad = append(l.bad, fmt.Sprintf(format, args...)) }
	for r, f := range l.rows {
		n := have[r]
		switch {
		case f.expunged:
			gone++
			if n != 0 {
				complain("%s in %s was expunged and is there %d times", r.id, r.mailbox, n)
			}
		case f.expunging || !f.accepted:
			unanswered++
			if n > 1 {
				complain("%s in %s is there %d times", r.id, r.mailbox, n)
			}
		default:
			accepted++
			if n != 1 {
				complain("%s in %s was accepted and is there %d times", r.id, r.mailbox, n)
			}
		}
	}
	for r, n := range have {
		if l.rows[r] == nil {
			complain("%s in %s was never sent and is there %d times", r.id, r.mailbox, n)
		}
	}
	t.Logf("%d accepted, %d expunged, %d without an answer, %d in the mailboxes", accepted, gone, unanswered, len(have))
	for i, text := range l.bad {
		if i == 30 {
			t.Errorf("... and %d more", len(l.bad)-i)
			break
		}
		t.Error(text)
	}
	l.bad = nil
	if accepted < leastAccepted || gone < leastGone {
		t.Errorf("too few messages to show anything")
	}
}

// crashMessage makes a message that says itself whether it is whole.
func crashMessage(r *rand.Rand, id string) string {
	size := 500 + r.IntN(6000)
	if r.IntN(25) == 0 {
		size = 250<<10 + r.IntN(300<<10) // around the limit between memory and file
	}
	var b strings.Builder
	for b.Len() < size {
		fmt.Fprintf(&b, "%016x %016x %016x\r\n", r.Uint64(), r.Uint64(), r.Uint64())
	}
	body := b.String()
	sum := crc32.ChecksumIEEE([]byte(strings.ReplaceAll(body, "\r\n", "\n")))
	return fmt.Sprintf("From: a@example.net\r\nSubject: crash\r\nMessage-ID: <%s>\r\nX-Sum: %08x\r\n\r\n%s", id, sum, body)
}

// readCrashMessage returns the id of a stored message (LF or CR LF), or what is
// wrong with it.
func readCrashMessage(text string) (string, error) {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	header, body, ok := strings.Cut(text, "\n\n")
	id := headerOf(header, "Message-ID")
	if !ok || id == "" {
		return "", fmt.Errorf("not a message of the test: %.300q", text)
	}
	if sum := fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(body))); sum != headerOf(header, "X-Sum") {
		return id, fmt.Errorf("%s is damaged, %d octets", id, len(text))
	}
	return id, nil
}

func headerOf(header, name string) string {
	for line := range strings.Lines(header) {
		if value, ok := strings.CutPrefix(line, name+": "); ok {
			return strings.Trim(value, "<>\r\n")
		}
	}
	return ""
}
