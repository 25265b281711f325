package storetest_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/testkit/seeds"
	"toastmaster/mailstore"
)

// ledger is what was asked of two processes and what became of it, for what is to be seen
// afterwards. What a process was killed at may be done or not.
type ledger struct {
	mu sync.Mutex
	// in are the messages that came in, maybe those that may have.
	in, maybe map[string]bool
	// keywords are what each message was given; subscribed the mailboxes.
	keywords   map[string][]string
	subscribed map[string]bool
	// contents are the messages under UIDs, and the numbers that were told, for good.
	contents      map[imap.UID]string
	validity      uint32
	next          uint32
	modSeq        uint64
	expunged, may map[string]bool
	errs          []error
}

func newLedger() *ledger {
	return &ledger{
		in: map[string]bool{}, maybe: map[string]bool{}, keywords: map[string][]string{}, subscribed: map[string]bool{},
		contents: map[imap.UID]string{}, expunged: map[string]bool{}, may: map[string]bool{},
	}
}

func (l *ledger) wrong(format string, args ...any) {
	l.errs = append(l.errs, fmt.Errorf(format, args...))
}

const killQuota = 100_000

// play has a worker do one thing after the other until it is killed or the rounds are over.
func (l *ledger) play(w *worker, name string, r *rand.Rand, rounds int) {
	for i := range rounds {
		o := order{Quota: killQuota}
		id := fmt.Sprintf("%sn%d", name, i)
		l.mu.Lock()
		subject := l.some(r)
		switch n := r.IntN(10); {
		case n < 4 || subject == "":
			o.Do, o.Name = "deliver", id
			l.maybe[id] = true
		case n < 7:
			o.Do, o.Name, o.Subject, o.Flags = "flag", "INBOX", subject, []imap.Flag{imap.Flag(id)}
		case n < 8:
			o.Do, o.Name, o.Subject = "expunge", "INBOX", subject
			l.may[subject] = true
		case n < 9:
			o.Do, o.Name = "new folder", id
		default:
			o.Do, o.Name = "status", "INBOX"
		}
		l.mu.Unlock()
		a, err := w.try(o)
		if err != nil {
			return // killed
		}
		l.mu.Lock()
		l.note(o, a)
		l.mu.Unlock()
	}
}

// some is a message that nobody was asked to remove.
func (l *ledger) some(r *rand.Rand) string {
	var all []string
	for id := range l.in {
		if !l.may[id] {
			all = append(all, id)
		}
	}
	if len(all) == 0 {
		return ""
	}
	slices.Sort(all)
	return all[r.IntN(len(all))]
}

func (l *ledger) note(o order, a answer) {
	gone := strings.Contains(a.Err, mailstore.ErrExpunged.Error()) // by the other one
	if a.Err != "" && !gone {
		l.wrong("%+v: %s", o, a.Err)
		return
	}
	switch o.Do {
	case "deliver":
		l.in[o.Name] = true
	case "flag":
		if !gone {
			l.keywords[o.Subject] = append(l.keywords[o.Subject], string(o.Flags[0]))
		}
	case "expunge":
		l.expunged[o.Subject] = true
	case "new folder":
		l.subscribed[o.Name] = true
	case "status":
		l.told(a.Status)
	}
}

// told is a status: no number goes back.
func (l *ledger) told(s mailstore.Status) {
	if l.validity != 0 && s.UIDValidity != l.validity {
		l.wrong("UIDVALIDITY %d, was %d", s.UIDValidity, l.validity)
	}
	l.validity = s.UIDValidity
}

// check compares what a worker sees with what was answered; nobody works meanwhile.
func (l *ledger) check(w *worker, who string) {
	a, err := w.try(order{Do: "messages", Name: "INBOX", Quota: killQuota})
	if err != nil || a.Err != "" {
		l.wrong("%s: %v %s", who, err, a.Err)
		return
	}
	seen := map[string]bool{}
	for _, m := range a.Messages {
		if was, known := l.contents[m.UID]; known && was != m.Subject {
			l.wrong("%s: UID %d is %q, was %q", who, m.UID, m.Subject, was)
		}
		l.contents[m.UID] = m.Subject
		if seen[m.Subject] || !l.maybe[m.Subject] || l.expunged[m.Subject] {
			l.wrong("%s: %q is there, twice %v, expunged %v", who, m.Subject, seen[m.Subject], l.expunged[m.Subject])
		}
		seen[m.Subject] = true
		for _, k := range l.keywords[m.Subject] {
			if !slices.Contains(m.Flags, imap.Flag(k)) {
				l.wrong("%s: %q has %q, not %q", who, m.Subject, m.Flags, k)
			}
		}
		for _, f := range m.Flags {
			// A keyword is made for one message; the number of another has another name.
			if owner := l.owner(string(f)); owner != "" && owner != m.Subject {
				l.wrong("%s: %q has the keyword %q of %q", who, m.Subject, f, owner)
			}
		}
	}
	for id := range l.in {
		if !seen[id] && !l.may[id] {
			l.wrong("%s: %q is lost", who, id)
		}
	}
	s, err := w.try(order{Do: "status", Name: "INBOX", Quota: killQuota})
	if err != nil || s.Err != "" || s.Status.UIDNext < l.next || s.Status.HighestModSeq < l.modSeq {
		l.wrong("%s: %v %s UIDNEXT %d HIGHESTMODSEQ %d after %d and %d", who, err, s.Err, s.Status.UIDNext, s.Status.HighestModSeq, l.next, l.modSeq)
	}
	l.next, l.modSeq = s.Status.UIDNext, s.Status.HighestModSeq
	// No number was left out: none was lost, because no machine stopped.
	if most := uint32(len(l.maybe)); l.next > most+1 {
		l.wrong("%s: UIDNEXT %d, and %d messages can have come in", who, l.next, most)
	}
	list, err := w.try(order{Do: "list", Quota: killQuota})
	if err != nil || list.Err != "" {
		l.wrong("%s: %v %s", who, err, list.Err)
	}
	for name := range l.subscribed {
		if !slices.ContainsFunc(list.Folders, func(f mailstore.Folder) bool { return f.Name == name && f.Subscribed && !f.NoSelect }) {
			l.wrong("%s: %s is not there, or not subscribed", who, name)
		}
	}
	u, err := w.try(order{Do: "usage", Quota: killQuota})
	if err != nil || u.Err != "" || u.Usage.Messages != int64(len(a.Messages)) {
		l.wrong("%s: %v %s: %d messages are used, %d are there", who, err, u.Err, u.Usage.Messages, len(a.Messages))
	}
}

// owner is the message that was given a keyword, "" for not known.
func (l *ledger) owner(keyword string) string {
	for subject, all := range l.keywords {
		if slices.Contains(all, keyword) {
			return subject
		}
	}
	return ""
}

// TestKillsOfEither: two processes work on one account, and now one and now the other is
// killed in the middle of it. Both see what was answered, once, with numbers that never
// change, and each sees what the other does.
func TestKillsOfEither(t *testing.T) {
	t.Parallel()
	seeds.Run(t, 4, func(t *testing.T, r *rand.Rand) {
		root := filepath.Join(t.TempDir(), "mail")
		parameters := map[string]any{"QuotaGrace": 0, "SyncInterval": 100 * time.Millisecond, "UIDListDelay": 0, "LogLimit": 4 << 10, "MaxKeywords": 5000}
		both := [2]*worker{startWorker(t, root, parameters), startWorker(t, root, parameters)}
		l := newLedger()
		for round := range 8 {
			var players sync.WaitGroup
			for i, w := range both {
				own := rand.New(rand.NewPCG(r.Uint64(), uint64(i)))
				players.Go(func() { l.play(w, fmt.Sprintf("r%dp%d", round, i), own, 60) })
			}
			victim := round % 3 // 2: nobody
			if victim < 2 {
				time.Sleep(time.Duration(r.IntN(150)) * time.Millisecond) // any moment will do
				both[victim].kill()
			}
			players.Wait()
			l.check(both[1-victim%2], fmt.Sprintf("round %d, the one that lived", round))
			if victim < 2 {
				both[victim] = startWorker(t, root, parameters)
			}
			l.check(both[victim%2], fmt.Sprintf("round %d, the one that was begun anew", round))
			if len(l.errs) > 0 {
				break
			}
		}
		for _, err := range l.errs[:min(len(l.errs), 10)] {
			t.Error(err)
		}
	})
}
