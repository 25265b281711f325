package fifo

import "testing"

func TestList(t *testing.T) {
	t.Parallel()
	var l List[int]
	next, want := 0, 0
	for range 100 {
		for range 7 {
			l.Push(next)
			next++
		}
		for range 6 {
			if got, ok := l.Pop(); got != want || !ok {
				t.Fatalf("%d %v, want %d", got, ok, want)
			}
			want++
		}
	}
	if l.Len() != 100 || cap(l.items) > 1000 {
		t.Errorf("%d, capacity %d", l.Len(), cap(l.items))
	}
	l.Remove(want + 1)
	l.Remove(-1)
	if all := l.Drain(); len(all) != 99 || all[1] != want+2 || l.Len() != 0 {
		t.Errorf("%v", all)
	}
	if x, ok := l.Pop(); x != 0 || ok {
		t.Errorf("%d of an empty list", x)
	}
}
