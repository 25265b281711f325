package queue

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// lockOrder watches the locks of every queue that the tests of this package open
// (options): a goroutine that has one takes only one of a higher rank.
type lockOrder struct {
	mu   sync.Mutex
	held map[int][]rank // by goroutine
	// wrong is told of a lock that is taken out of order.
	wrong func(text string)
}

func newLockOrder() *lockOrder {
	return &lockOrder{held: map[int][]rank{}, wrong: func(text string) {
		// A panic would be the failure of one message; nothing may hide this.
		fmt.Fprintf(os.Stderr, "%s\n%s", text, debug.Stack())
		os.Exit(2)
	}}
}

func (o *lockOrder) watch(r rank, taken bool) {
	id := goroutine()
	o.mu.Lock()
	defer o.mu.Unlock()
	held := o.held[id]
	if !taken {
		if i := slices.Index(held, r); i >= 0 {
			held = slices.Delete(held, i, i+1)
		}
		if o.held[id] = held; len(held) == 0 {
			delete(o.held, id)
		}
		return
	}
	for _, h := range held {
		if h >= r {
			o.wrong(fmt.Sprintf("lock order: %s is taken while %s is held", lockNames[r], lockNames[h]))
		}
	}
	o.held[id] = append(held, r)
}

// goroutine is the number of the goroutine that calls, as the runtime prints it.
func goroutine() int {
	var b [64]byte
	text := b[:runtime.Stack(b[:], false)]
	fields := bytes.Fields(text)
	n, err := strconv.Atoi(string(fields[1]))
	if err != nil {
		panic(err)
	}
	return n
}

var lockNames = [...]string{rankRemoving: "ledger.removing", rankMessage: "message.mu", rankFolders: "files.mu", rankDepartures: "ledger.mu", rankIndex: "index.mu"}

// TestTheLockTable: doc.go has the locks in the order of their ranks, and the watch
// that all tests run under sees one that is out of order.
func TestTheLockTable(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("doc.go")
	must(t, err)
	at := 0
	for _, name := range lockNames[1:] {
		i := strings.Index(string(doc[at:]), "//\t"+name+" ")
		if i < 0 {
			t.Fatalf("doc.go does not have %s in its place", name)
		}
		at += i
	}
	for first := rankRemoving; first <= rankIndex; first++ {
		for second := rankRemoving; second <= rankIndex; second++ {
			o, wrong := newLockOrder(), 0
			o.wrong = func(string) { wrong++ }
			a, b := mutex{rank: first, watch: o.watch}, mutex{rank: second, watch: o.watch}
			func() {
				a.Lock()
				defer a.Unlock()
				b.Lock()
				defer b.Unlock()
			}()
			if (wrong > 0) != (second <= first) {
				t.Errorf("%s, then %s: %d complaints", lockNames[first], lockNames[second], wrong)
			}
			if len(o.held) > 0 {
				t.Errorf("held in the end: %v", o.held)
			}
		}
	}
}
