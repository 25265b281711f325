package qmgr

import "slices"

// fifo is a queue whose memory shrinks with it.
type fifo[T comparable] struct {
	head  int
	items []T
}

func (f *fifo[T]) len() int { return len(f.items) - f.head }

func (f *fifo[T]) push(x T) { f.items = append(f.items, x) }

// pop takes the first; the fifo must not be empty.
func (f *fifo[T]) pop() T {
	var zero T
	x := f.items[f.head]
	f.items[f.head] = zero
	f.head++
	switch {
	case f.head == len(f.items):
		f.items, f.head = f.items[:0], 0
	case f.head > 64 && f.head > len(f.items)/2:
		f.items, f.head = append([]T(nil), f.items[f.head:]...), 0
	}
	return x
}

// drain takes all.
func (f *fifo[T]) drain() []T {
	all := f.items[f.head:]
	f.items, f.head = nil, 0
	return all
}

func (f *fifo[T]) remove(x T) {
	if i := slices.Index(f.items[f.head:], x); i >= 0 {
		f.items = slices.Delete(f.items, f.head+i, f.head+i+1)
	}
}
