package queue

import (
	"container/heap"
	"time"

	"toastmaster/internal/envelope"
)

// dueEntry is a deferred message that is due soon.
type dueEntry struct {
	id    envelope.QueueID
	at    time.Time
	index int
	// flushed is message.flushed of one that is not in memory.
	flushed time.Time
	// whose is known of one that was put off.
	whose whose
}

// dueList knows the deferred messages that are due first, at most limit of
// them; the files know all.
type dueList struct {
	limit int
	heap  dueHeap
	at    map[envelope.QueueID]*dueEntry
	// horizon is until when the list is complete: the next scan, or earlier
	// when it overflowed.
	horizon time.Time
	off     int // how many are put off
}

// add notes when id is due, if that is before the horizon and there is room;
// always, when must is set. It reports whether the list overflowed.
func (l *dueList) add(id envelope.QueueID, at time.Time, must bool) (overflow bool) {
	if e := l.at[id]; e != nil {
		if e.whose.weight > 0 && !must && at.After(e.at) {
			return false // its file says when it is looked for at the latest
		}
		e.at = at
		heap.Fix(&l.heap, e.index)
		return false
	}
	if !must && at.After(l.horizon) {
		return false
	}
	if !must && len(l.heap) >= l.limit {
		l.horizon = at
		return true
	}
	l.push(&dueEntry{id: id, at: at})
	return false
}

func (l *dueList) push(e *dueEntry) {
	l.at[e.id] = e
	heap.Push(&l.heap, e)
	if e.whose.weight > 0 {
		l.off++
	}
}

// putOff lists a message for which there was no room, to be asked for again at a time. They
// are half of the list at most, for others to be found; of the rest their files know.
func (l *dueList) putOff(m *message, at time.Time) {
	if l.drop(m.id); l.off < l.limit/2 {
		l.push(&dueEntry{id: m.id, at: at, whose: m.whose})
	}
}

// flush notes that a try of id was asked for at a time, if it is listed.
func (l *dueList) flush(id envelope.QueueID, at time.Time) {
	if e := l.at[id]; e != nil {
		e.flushed = at
	}
}

func (l *dueList) drop(id envelope.QueueID) {
	if e := l.at[id]; e != nil {
		heap.Remove(&l.heap, e.index)
		l.forget(e)
	}
}

func (l *dueList) forget(e *dueEntry) {
	delete(l.at, e.id)
	if e.whose.weight > 0 {
		l.off--
	}
}

// top is the first due time; ok is false when the list is empty.
func (l *dueList) top() (time.Time, bool) {
	if len(l.heap) == 0 {
		return time.Time{}, false
	}
	return l.heap[0].at, true
}

func (l *dueList) pop() *dueEntry {
	e := heap.Pop(&l.heap).(*dueEntry)
	l.forget(e)
	return e
}

type dueHeap []*dueEntry

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *dueHeap) Push(x any) {
	e := x.(*dueEntry)
	e.index = len(*h)
	*h = append(*h, e)
}
func (h *dueHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return e
}

// dueFirst keeps the messages of a scan that are due first; the last of them
// is on top.
type dueFirst struct {
	limit    int
	heap     lateHeap
	overflow bool
}

type lateHeap []dueEntry

func (h lateHeap) Len() int           { return len(h) }
func (h lateHeap) Less(i, j int) bool { return h[i].at.After(h[j].at) }
func (h lateHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *lateHeap) Push(x any)        { *h = append(*h, x.(dueEntry)) }
func (h *lateHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	*h = old[:len(old)-1]
	return e
}

func (f *dueFirst) offer(id envelope.QueueID, at time.Time) {
	if len(f.heap) < f.limit {
		heap.Push(&f.heap, dueEntry{id: id, at: at})
		return
	}
	f.overflow = true
	if at.Before(f.heap[0].at) {
		f.heap[0] = dueEntry{id: id, at: at}
		heap.Fix(&f.heap, 0)
	}
}
