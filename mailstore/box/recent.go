package box

import "toastmaster/mailstore/index"

// recents are the messages that are recent for one session: those that it was the first to
// see, or, when it takes none, those that nobody took.
type recents struct {
	readOnly bool       // it takes none
	taken    []uidRange // ascending
}

type uidRange struct{ first, last uint32 }

// take adds a range behind those that there are.
func (r *recents) take(first, last uint32) {
	if n := len(r.taken); n > 0 && r.taken[n-1].last+1 >= first {
		r.taken[n-1].last = last
		return
	}
	r.taken = append(r.taken, uidRange{first, last})
}

// has says that a message of a mailbox, which is locked, is one of them.
func (r *recents) has(st *index.State, uid uint32) bool {
	if r.readOnly {
		return uid >= st.Recent
	}
	for _, one := range r.taken {
		if uid >= one.first && uid <= one.last {
			return true
		}
	}
	return false
}

// count is how many of uids, which are ascending, are among them.
func (r *recents) count(st *index.State, uids []uint32) (n uint32) {
	if r.readOnly {
		return uidRange{st.Recent, ^uint32(0)}.count(uids)
	}
	for _, one := range r.taken {
		n += one.count(uids)
	}
	return n
}

func (r uidRange) count(uids []uint32) uint32 {
	a, _ := index.FindIn(uids, r.first)
	b, found := index.FindIn(uids, r.last)
	if found {
		b++
	}
	return uint32(max(b-a, 0))
}
