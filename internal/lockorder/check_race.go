//go:build race && (amd64 || arm64)

package lockorder

import (
	"fmt"
	"sync"
)

// Asserted says that the order is looked at in this program.
const Asserted = true

// held is what each goroutine holds.
var held = struct {
	sync.Mutex
	by map[uintptr][]holding
}{by: map[uintptr][]holding{}}

type holding struct {
	lock any
	rank Rank
	key  string
}

func enter[P Ranked](lock any, key string) {
	var p P
	next := holding{lock, p.Rank(), key}
	me := goroutine()
	held.Lock()
	mine := held.by[me]
	for _, h := range mine {
		if h.rank.At < next.rank.At || h.rank.At == next.rank.At && h.key < key {
			continue
		}
		held.Unlock()
		panic(Violation(fmt.Sprintf("lockorder: %s is taken under %s", next, h)))
	}
	held.by[me] = append(mine, next)
	held.Unlock()
}

func leave(lock any) {
	me := goroutine()
	held.Lock()
	defer held.Unlock()
	mine := held.by[me]
	for i := len(mine) - 1; i >= 0; i-- {
		if mine[i].lock != lock {
			continue
		}
		if len(mine) == 1 {
			delete(held.by, me)
			return
		}
		held.by[me] = append(mine[:i:i], mine[i+1:]...)
		return
	}
}

func (h holding) String() string { return fmt.Sprintf("%s(%d) %q", h.rank.Name, h.rank.At, h.key) }

// goroutine tells this goroutine from all others that run. A trace of the stack, which
// has its number, would cost hundreds of microseconds for each lock.
func goroutine() uintptr
