package e2e

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// operationKinds are the commands of a client that change mailboxes; each is to
// be killed as often as the test kills.
func operationKinds() []string {
	return []string{"APPEND", "COPY", "MOVE", "EXPUNGE", "STORE", "RENAME", "DELETE"}
}

// operations is what the clients that change mailboxes have in common.
type operations struct {
	mu sync.Mutex
	// answered counts by kind since the last kill, total since the beginning;
	// cut are those without an answer, killed the lives that ended after, or in,
	// one of the kind.
	answered, total, cut, killed map[string]int
	bad                          []string
	// noted has a token when something was noted since it was taken.
	noted chan struct{}
}

func newOperations() *operations {
	return &operations{answered: map[string]int{}, total: map[string]int{}, cut: map[string]int{}, killed: map[string]int{}, noted: make(chan struct{}, 1)}
}

func (o *operations) note(kind string, answered bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case o.noted <- struct{}{}:
	default:
	}
	if answered {
		o.answered[kind]++
		o.total[kind]++
	} else {
		o.cut[kind]++
	}
}

func (o *operations) complain(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bad = append(o.bad, fmt.Sprintf(format, args...))
}

// wait waits until each kind was answered since the last kill.
func (o *operations) wait(t *testing.T) {
	t.Helper()
	missing := func() string {
		o.mu.Lock()
		defer o.mu.Unlock()
		for _, kind := range operationKinds() {
			if o.answered[kind] == 0 {
				return kind
			}
		}
		return ""
	}
	deadline := time.After(time.Minute)
	for missing() != "" {
		select {
		case <-o.noted:
		case <-deadline:
			t.Fatalf("no %s was answered in a minute", missing())
		}
	}
}

// kill begins a new life.
func (o *operations) kill() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for kind := range o.answered {
		o.killed[kind]++
	}
	clear(o.answered)
}

func (o *operations) report(t *testing.T, kills int) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, kind := range operationKinds() {
		t.Logf("%-7s %d lives were killed, %d answered, %d without an answer", kind, o.killed[kind], o.total[kind], o.cut[kind])
		if o.killed[kind] < kills {
			t.Errorf("%s was killed %d times, want %d", kind, o.killed[kind], kills)
		}
	}
	for i, text := range o.bad {
		if i == 10 {
			t.Errorf("... and %d more", len(o.bad)-i)
			break
		}
		t.Error(text)
	}
}

// boxState is how often each message is in each mailbox; a flagged one has a
// star.
type boxState map[string]map[string]int

func (s boxState) clone() boxState {
	c := boxState{}
	for name, ids := range s {
		c[name] = maps.Clone(ids)
	}
	return c
}

func (s boxState) String() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(s)) {
		fmt.Fprintf(&b, "%s:", name)
		for _, id := range slices.Sorted(maps.Keys(s[name])) {
			if n := s[name][id]; n > 0 {
				fmt.Fprintf(&b, " %s", id)
				if n > 1 {
					fmt.Fprintf(&b, "(%d)", n)
				}
			}
		}
		b.WriteString("; ")
	}
	return b.String()
}

func (s boxState) add(name, id string, n int) { s[name][id] += n }

// changer is one client of a mailbox of its own. It knows what is there, and
// after each kill it looks.
type changer struct {
	b       *box
	ops     *operations
	address string
	r       *rand.Rand
	c       *imapclient.Client
	// before is what was answered; after, if a command had no answer, may be.
	before, after boxState
	tree          string // the folder that is renamed
	next          int
	todo          []string
}

func newChanger(b *box, ops *operations, address string, r *rand.Rand) *changer {
	return &changer{b: b, ops: ops, address: address, r: r}
}

// work runs until the connection is gone.
func (w *changer) work(ctx context.Context) {
	c, err := w.b.crashLogin(w.address)
	if err != nil {
		return
	}
	defer c.Close()
	w.c = c
	if w.look() != nil {
		return
	}
	for ctx.Err() == nil {
		if len(w.todo) == 0 {
			w.todo = operationKinds()
			w.r.Shuffle(len(w.todo), func(i, j int) { w.todo[i], w.todo[j] = w.todo[j], w.todo[i] })
		}
		kind := w.todo[0]
		if w.before[w.tree+"/Sub"] == nil {
			kind = "CREATE"
		} else {
			w.todo = w.todo[1:]
		}
		if w.step(kind) != nil {
			return
		}
		pause(ctx, w.r, 4)
	}
}

// look compares what is there with what must be. The first time it makes it.
func (w *changer) look() error {
	got, err := w.read()
	if err != nil {
		return err
	}
	if w.before == nil {
		w.tree = "T"
		for _, name := range []string{"T", "T/Sub"} {
			if got[name] == nil {
				if err := w.c.Create(name, nil).Wait(); err != nil {
					return err
				}
				got[name] = map[string]int{}
			}
		}
		w.before, w.after = got, nil
		return nil
	}
	is := got.String()
	switch {
	case is == w.before.String():
	case w.after != nil && is == w.after.String():
		w.before = w.after
	default:
		w.ops.complain("%s\nhas    %s\nbefore %s\nafter  %s", w.address, is, w.before, w.after)
		w.before = got
	}
	w.after = nil
	for name := range w.before {
		if strings.HasPrefix(name, "T") && !strings.Contains(name, "/") {
			w.tree = name
		}
	}
	return nil
}

// found is a message as it was read.
type found struct {
	uid imap.UID
	key string
}

// list selects a mailbox and reads it.
func (w *changer) list(name string) ([]found, error) {
	selected, err := w.c.Select(name, nil).Wait()
	if err != nil || selected.NumMessages == 0 {
		return nil, err
	}
	section := &imap.FetchItemBodySection{Specifier: imap.PartSpecifierHeader, Peek: true}
	messages, err := w.c.Fetch(imap.SeqSet{{Start: 1, Stop: 0}},
		&imap.FetchOptions{UID: true, Flags: true, BodySection: []*imap.FetchItemBodySection{section}}).Collect()
	if err != nil {
		return nil, err
	}
	var out []found
	for _, m := range messages {
		id, _, _ := strings.Cut(headerOf(string(m.FindBodySection(section)), "Message-ID"), "@")
		if slices.Contains(m.Flags, imap.FlagFlagged) {
			id += "*"
		}
		out = append(out, found{m.UID, id})
	}
	return out, nil
}

// read reads INBOX and the mailboxes of the test.
func (w *changer) read() (boxState, error) {
	all, err := w.c.List("", "*", nil).Collect()
	if err != nil {
		return nil, err
	}
	state := boxState{}
	for _, l := range all {
		if l.Mailbox != "INBOX" && l.Mailbox[0] != 'T' || l.Mailbox == "Trash" || slices.Contains(l.Attrs, imap.MailboxAttrNoSelect) {
			continue
		}
		state[l.Mailbox] = map[string]int{}
		messages, err := w.list(l.Mailbox)
		if err != nil {
			return nil, err
		}
		for _, m := range messages {
			state.add(l.Mailbox, m.key, 1)
		}
	}
	return state, nil
}

// step does one command of a kind; see says what it changes.
func (w *changer) step(kind string) error {
	do, see, err := w.command(kind)
	if err != nil || do == nil {
		return err
	}
	after := w.before.clone()
	see(after)
	w.after = after
	if err := do(); err != nil {
		w.ops.note(kind, false)
		if e, refused := err.(*imap.Error); refused {
			w.ops.complain("%s: %s was refused: %v", w.address, kind, e)
		}
		return err
	}
	w.before, w.after = after, nil
	w.ops.note(kind, true)
	return nil
}

// some are up to n messages of a mailbox, which is selected then.
func (w *changer) some(name string, n int) (set imap.UIDSet, chosen []found, err error) {
	all, err := w.list(name)
	if err != nil {
		return nil, nil, err
	}
	for _, i := range w.r.Perm(len(all))[:min(n, len(all))] {
		set.AddNum(all[i].uid)
		chosen = append(chosen, all[i])
	}
	return set, chosen, nil
}

func (w *changer) places() []string { return []string{"INBOX", w.tree, w.tree + "/Sub"} }

func (w *changer) command(kind string) (do func() error, see func(boxState), err error) {
	places := w.places()
	w.r.Shuffle(len(places), func(i, j int) { places[i], places[j] = places[j], places[i] })
	from, to := places[0], places[1]
	var set imap.UIDSet
	var chosen []found
	switch kind {
	case "COPY", "MOVE", "STORE":
		set, chosen, err = w.some(from, 3)
	case "EXPUNGE":
		set, chosen, err = w.some(from, 6)
	}
	if err != nil || chosen == nil && slices.Contains([]string{"COPY", "MOVE", "STORE", "EXPUNGE"}, kind) {
		return nil, nil, err
	}
	switch kind {
	case "APPEND":
		return w.append(to)
	case "COPY":
		return func() error { _, err := w.c.Copy(set, to).Wait(); return err },
			func(s boxState) { w.put(s, to, chosen, 1) }, nil
	case "MOVE":
		return func() error { _, err := w.c.Move(set, to).Wait(); return err },
			func(s boxState) { w.put(s, from, chosen, -1); w.put(s, to, chosen, 1) }, nil
	case "EXPUNGE":
		deleted := &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagDeleted}, Silent: true}
		if err := w.c.Store(set, deleted, nil).Close(); err != nil {
			return nil, nil, err
		}
		return func() error { return w.c.UIDExpunge(set).Close() }, func(s boxState) { w.put(s, from, chosen, -1) }, nil
	case "STORE":
		one := chosen[0]
		flagged := &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagFlagged}, Silent: true}
		return func() error { return w.c.Store(imap.UIDSetNum(one.uid), flagged, nil).Close() }, func(s boxState) {
			s.add(from, one.key, -1)
			s.add(from, strings.TrimSuffix(one.key, "*")+"*", 1)
		}, nil
	case "RENAME":
		w.next++
		old, name := w.tree, fmt.Sprintf("T%d", w.next)
		return func() error {
				err := w.c.Rename(old, name, nil).Wait()
				if err == nil {
					w.tree = name
				}
				return err
			}, func(s boxState) {
				s[name], s[name+"/Sub"] = s[old], s[old+"/Sub"]
				delete(s, old)
				delete(s, old+"/Sub")
			}, nil
	case "DELETE":
		name := w.tree + "/Sub"
		if _, err := w.c.Select("INBOX", nil).Wait(); err != nil {
			return nil, nil, err
		}
		return func() error { return w.c.Delete(name).Wait() }, func(s boxState) { delete(s, name) }, nil
	default: // CREATE, what DELETE took
		name := w.tree + "/Sub"
		return func() error { return w.c.Create(name, nil).Wait() }, func(s boxState) { s[name] = map[string]int{} }, nil
	}
}

func (w *changer) put(s boxState, name string, messages []found, n int) {
	for _, m := range messages {
		s.add(name, m.key, n)
	}
}

func (w *changer) append(to string) (func() error, func(boxState), error) {
	w.next++
	id := fmt.Sprintf("a%d", w.next)
	text := crashMessage(w.r, id+"@crash.example.net")
	return func() error {
		a := w.c.Append(to, int64(len(text)), nil)
		if _, err := a.Write([]byte(text)); err != nil {
			return err
		}
		if err := a.Close(); err != nil {
			return err
		}
		_, err := a.Wait()
		return err
	}, func(s boxState) { s.add(to, id, 1) }, nil
}

// last looks once more.
func (w *changer) last(t *testing.T) {
	t.Helper()
	c, err := w.b.crashLogin(w.address)
	must(t, err)
	defer c.Close()
	w.c = c
	must(t, w.look())
}
