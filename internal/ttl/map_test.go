package ttl

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"toastmaster/internal/testkit/clocktest"
)

var start = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

func TestAnEntryEnds(t *testing.T) {
	t.Parallel()
	c := clocktest.New(start)
	m := NewMap[string, int](10, c)
	m.Put("a", 1, start.Add(time.Second))
	m.Put("b", 2, start.Add(time.Minute))
	c.Advance(time.Second - 1)
	if v, ok := m.Get("a"); !ok || v != 1 {
		t.Errorf("%d %v before its time is over", v, ok)
	}
	c.Advance(1)
	if v, ok := m.Get("a"); ok || v != 0 {
		t.Errorf("%d when its time is over", v)
	}
	if v, ok := m.Get("b"); !ok || v != 2 {
		t.Errorf("%d %v", v, ok)
	}
	m.Delete("b")
	if _, ok := m.Get("b"); ok {
		t.Error("it was deleted")
	}
}

// TestWhatIsOverTakesNoRoom, but takes away what was there.
func TestWhatIsOverTakesNoRoom(t *testing.T) {
	t.Parallel()
	m := NewMap[string, int](2, clocktest.New(start))
	m.Put("a", 1, start.Add(time.Second))
	m.Put("b", 2, start.Add(time.Second))
	for range 10 {
		m.Put("c", 3, start)
	}
	if _, ok := m.Get("a"); !ok || m.Len() != 2 {
		t.Errorf("it pushed out another; %d entries", m.Len())
	}
	m.Put("a", 4, start.Add(-time.Second))
	if v, ok := m.Get("a"); ok {
		t.Errorf("%d is there still", v)
	}
}

// TestTheBound: what is asked for stays, the rest goes, and there are never more than
// there may be.
func TestTheBound(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 2, 5, 100} {
		m := NewMap[int, int](size, clocktest.New(start))
		most := (size + 1) / 2 * 2
		m.Put(-1, -1, start.Add(time.Hour))
		for i := range 10 * size {
			m.Put(i, i, start.Add(time.Hour))
			if v, ok := m.Get(-1); size > 1 && (!ok || v != -1) {
				t.Fatalf("size %d: the entry in use is gone after %d others", size, i)
			}
			if n := m.Len(); n > most {
				t.Fatalf("%d entries of %d", n, size)
			}
		}
		if _, ok := m.Get(0); ok {
			t.Errorf("size %d: what nobody asked for is there still", size)
		}
	}
	none := NewMap[int, int](0, clocktest.New(start))
	none.Put(1, 1, start.Add(time.Hour))
	if _, ok := none.Get(1); ok || none.Len() != 0 {
		t.Error("a map of no size keeps something")
	}
}

// TestNothingComesBackAfterClear: neither what was in it nor what was read before.
func TestNothingComesBackAfterClear(t *testing.T) {
	t.Parallel()
	m := NewMap[string, int](10, clocktest.New(start))
	epoch := m.Epoch()
	m.Put("a", 1, start.Add(time.Hour))
	m.Clear()
	m.PutSince("b", 2, start.Add(time.Hour), epoch)
	if m.Len() != 0 {
		t.Errorf("%d entries", m.Len())
	}
	m.PutSince("b", 3, start.Add(time.Hour), m.Epoch())
	if v, ok := m.Get("b"); !ok || v != 3 {
		t.Errorf("%d %v", v, ok)
	}
}

// TestANewValueIsNotReplacedByTheOldOne: somebody saw the old value in the old half, and makes it
// young after another has put a new one.
func TestANewValueIsNotReplacedByTheOldOne(t *testing.T) {
	t.Parallel()
	m := NewMap[string, int](4, clocktest.New(start))
	until := start.Add(time.Hour)
	m.Put("a", 1, until)
	m.Put("b", 1, until)
	m.Put("c", 1, until) // a and b are old
	m.Put("a", 2, until)
	m.promote("a")
	if v, ok := m.Get("a"); !ok || v != 2 {
		t.Errorf("%d %v", v, ok)
	}
	if m.Len() != 3 {
		t.Errorf("%d entries", m.Len())
	}
}

// TestAgainstAMap: whatever is done, what is there is what was put last, and its time is not over.
func TestAgainstAMap(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		c := clocktest.New(start)
		size := random.IntN(8)
		m := NewMap[int, int](size, c)
		all := map[int]entry[int]{}
		for step := range 200 {
			k := random.IntN(12)
			switch random.IntN(8) {
			case 0:
				m.Delete(k)
				delete(all, k)
			case 1:
				c.Advance(time.Duration(random.IntN(10)) * time.Second)
			case 2:
				if random.IntN(10) == 0 {
					m.Clear()
					clear(all)
				}
			case 3, 4:
				e := entry[int]{step, c.Now().Add(time.Duration(random.IntN(60)-5) * time.Second)}
				m.Put(k, e.value, e.until)
				all[k] = e
			default:
				v, ok := m.Get(k)
				if want, there := all[k]; ok && (!there || v != want.value || !c.Now().Before(want.until)) {
					t.Fatalf("%d is %d, want %+v at %v", k, v, want, c.Now())
				}
			}
			if m.Len() > (size+1)/2*2 {
				t.Fatalf("%d entries of %d", m.Len(), size)
			}
		}
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	m := NewMap[int, int](16, clocktest.New(start))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 5000 {
				k := i % 40
				m.Put(k, k, start.Add(time.Hour))
				if v, ok := m.Get(k / 2); ok && v != k/2 {
					t.Errorf("%d is %d", k/2, v)
				}
				if i%1000 == 0 {
					m.Clear()
				}
			}
		})
	}
	all.Wait()
}
