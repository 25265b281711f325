package fifo

import "slices"

// List is a queue. The zero List is empty. It is not safe for concurrent use.
type List[T comparable] struct {
	head  int
	items []T
}

// shrinkFrom is how many places of what was popped are kept at least.
const shrinkFrom = 64

// Len is how many there are.
func (l *List[T]) Len() int { return len(l.items) - l.head }

// Push puts x at the end.
func (l *List[T]) Push(x T) { l.items = append(l.items, x) }

// Pop takes the first; ok is false when there is none.
func (l *List[T]) Pop() (x T, ok bool) {
	if l.Len() == 0 {
		return x, false
	}
	var zero T
	x, l.items[l.head] = l.items[l.head], zero
	l.head++
	switch {
	case l.head == len(l.items):
		l.items, l.head = l.items[:0], 0
	case l.head > shrinkFrom && l.head > len(l.items)/2:
		l.items, l.head = append([]T(nil), l.items[l.head:]...), 0
	}
	return x, true
}

// Drain takes all, in order.
func (l *List[T]) Drain() []T {
	all := l.items[l.head:]
	l.items, l.head = nil, 0
	return all
}

// Remove takes the first that is x out, if there is one.
func (l *List[T]) Remove(x T) {
	if i := slices.Index(l.items[l.head:], x); i >= 0 {
		l.items = slices.Delete(l.items, l.head+i, l.head+i+1)
	}
}
