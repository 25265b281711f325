package box

import "toastmaster/mailstore/index"

// recents are the UIDs that a session was the first to see, ascending.
type recents []uidRange

type uidRange struct{ first, last uint32 }

// take adds a range behind those that there are.
func (r *recents) take(first, last uint32) {
	if n := len(*r); n > 0 && (*r)[n-1].last+1 >= first {
		(*r)[n-1].last = last
		return
	}
	*r = append(*r, uidRange{first, last})
}

func (r recents) has(uid uint32) bool {
	for _, one := range r {
		if uid >= one.first && uid <= one.last {
			return true
		}
	}
	return false
}

// count is how many of uids, which are ascending, are among them.
func (r recents) count(uids []uint32) (n uint32) {
	for _, one := range r {
		a, _ := index.FindIn(uids, one.first)
		b, found := index.FindIn(uids, one.last)
		if found {
			b++
		}
		n += uint32(max(b-a, 0))
	}
	return n
}

// isRecent and countRecent are of the whole view: for one that takes none, what nobody
// took is recent. The mailbox is locked.
func (v *View) isRecent(uid uint32) bool {
	if v.readOnly {
		return uid >= v.mb.st.Recent
	}
	return v.recent.has(uid)
}

func (v *View) countRecent() uint32 {
	if v.readOnly {
		return recents{{v.mb.st.Recent, ^uint32(0)}}.count(v.uids)
	}
	return v.recent.count(v.uids)
}
