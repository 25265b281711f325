package mailstore

import (
	"fmt"
	"runtime"
	"testing"
)

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestMemoryOfIdleThings bounds what a mailbox that was opened once, and a
// session that does nothing, hold.
func TestMemoryOfIdleThings(t *testing.T) {
	o := options(t.TempDir())
	o.Store.DefaultFolders = nil
	s, err := Open(t.Context(), o)
	check(t, err)
	const mailboxes = 200
	start := heap()
	for i := range mailboxes {
		a := Account{Home: fmt.Sprintf("d/u%d", i)}
		for range 3 {
			check(t, s.Deliver(t.Context(), a, &Delivery{Content: message("x")}))
		}
		u, err := s.User(t.Context(), a)
		check(t, err)
		v, err := u.Open(t.Context(), "INBOX", false)
		check(t, err)
		_, err = recordOf(t.Context(), v, 1)
		check(t, err)
		check(t, v.Close())
		check(t, u.Close())
	}
	each := (heap() - start) / mailboxes
	t.Logf("%d octets a mailbox", each)
	if each > 4<<10 {
		t.Errorf("a mailbox opened once holds %d octets", each)
	}
	u := openUser(t, s)
	for range 300 {
		deliver(t, s, Delivery{})
	}
	first := openView(t, u, "INBOX")
	start = heap()
	views := make([]*View, 1000)
	for i := range views {
		views[i] = openView(t, u, "INBOX")
	}
	deliver(t, s, Delivery{})
	for _, v := range views {
		update(t, v, true)
	}
	each = (heap() - start) / int64(len(views))
	t.Logf("%d octets a session", each)
	if each > 2<<10 {
		t.Errorf("an idle session holds %d octets", each)
	}
	for _, v := range append(views, first) {
		check(t, v.Close())
	}
	check(t, u.Close())
	check(t, s.Close())
}
