package box

import (
	"iter"
	"slices"

	"github.com/emersion/go-imap/v2"

	"toastmaster/mailstore/index"
)

// numbers are the messages of a view by their sequence numbers: a vector of UIDs, and what
// became of those that left the mailbox.
//
// The vector is never written to, so it needs no lock; as long as the session
// has seen all changes it is the mailbox's own, and a thousand idle sessions
// share one.
type numbers struct {
	uids []uint32
	// partly says that the mailbox has messages with UIDs lower than the last
	// one of the view that the view does not have.
	partly bool
	// left is the place in the list of what left the mailbox up to which
	// departed has it: the messages of the view that are no more, as they last
	// were.
	left     *index.Departed
	departed map[uint32]*index.Message
}

// all takes the messages of a mailbox, which is locked.
func (n *numbers) all(st *index.State) { n.uids, n.left = slices.Clip(st.UIDs), st.Left() }

// Len is the number of messages.
func (n *numbers) Len() int { return len(n.uids) }

// UID is the UID of message seq (1..Len), 0 if there is none.
func (n *numbers) UID(seq uint32) imap.UID { return imap.UID(n.uid(seq)) }

func (n *numbers) uid(seq uint32) uint32 {
	if seq == 0 || int64(seq) > int64(len(n.uids)) {
		return 0
	}
	return n.uids[seq-1]
}

// Seq is the sequence number of uid, 0 if it is not in the view.
func (n *numbers) Seq(uid imap.UID) uint32 {
	i, ok := index.FindIn(n.uids, uint32(uid))
	if !ok {
		return 0
	}
	return uint32(i) + 1
}

// SeqAtLeast is the sequence number of the first message with a UID of at
// least uid, Len+1 if there is none.
func (n *numbers) SeqAtLeast(uid imap.UID) uint32 {
	i, _ := index.FindIn(n.uids, uint32(uid))
	return uint32(i) + 1
}

// find is the message of seq in the mailbox, which is locked and has the state st; nil
// when it is in departed.
func (n *numbers) find(st *index.State, seq uint32) *index.Message {
	i, uid := int(seq)-1, n.uids[seq-1]
	var m *index.Message
	if i < len(st.UIDs) && st.UIDs[i] == uid {
		m = st.Messages[i]
	} else {
		m = st.Get(uid)
	}
	if n.left.Next == nil && len(n.departed) == 0 {
		return m
	}
	n.noteDeparted()
	// A UID would not do: what is lost and made anew may use it for another
	// message.
	if was := n.departed[uid]; was != nil && (m == nil || m.Name != was.Name) {
		return nil
	}
	return m
}

// known is the message of seq as it is, or as it last was. The mailbox is locked.
func (n *numbers) known(st *index.State, seq uint32) *index.Message {
	if m := n.find(st, seq); m != nil {
		return m
	}
	return n.departed[n.uids[seq-1]]
}

// noteDeparted takes what left the mailbox, as far as it is in the view.
func (n *numbers) noteDeparted() {
	for ; n.left.Next != nil; n.left = n.left.Next {
		for _, m := range n.left.Messages {
			if _, ours := index.FindIn(n.uids, m.UID); !ours {
				continue
			}
			if was := n.departed[m.UID]; was != nil && was.Name != m.Name {
				continue // another message, after a loss
			}
			if n.departed == nil {
				n.departed = map[uint32]*index.Message{}
			}
			n.departed[m.UID] = m
		}
	}
}

// messages are the first count messages of the view with their indexes in it: what
// they are, or what they last were. The mailbox is locked.
func (n *numbers) messages(st *index.State, count int) iter.Seq2[int, *index.Message] {
	return func(yield func(int, *index.Message) bool) {
		n.noteDeparted()
		k := 0
		for i, uid := range n.uids[:count] {
			for k < len(st.UIDs) && st.UIDs[k] < uid {
				k++
			}
			var m *index.Message
			if k < len(st.UIDs) && st.UIDs[k] == uid {
				m = st.Messages[k]
			}
			if was := n.departed[uid]; was != nil && (m == nil || m.Name != was.Name) {
				m = was
			}
			if !yield(i, m) {
				return
			}
		}
	}
}

// merge makes the vector anew when messages other than at the end changed. It
// returns false when expunged ones had to be left in it.
func (n *numbers) merge(st *index.State, expunge bool, u *Update) bool {
	all := st.UIDs
	last := uint32(0)
	if have := len(n.uids); have > 0 {
		last = n.uids[have-1]
	}
	next := make([]uint32, 0, len(all)+8)
	gone := 0
	for i, m := range n.messages(st, len(n.uids)) {
		uid := n.uids[i]
		switch {
		case n.departed[uid] == nil || n.departed[uid] != m:
			next = append(next, uid)
		case expunge:
			u.Expunged = append(u.Expunged, uint32(i+1-len(u.Expunged)))
			u.ExpungedUIDs = append(u.ExpungedUIDs, imap.UID(uid))
		default:
			next = append(next, uid)
			gone++
		}
	}
	if gone == 0 {
		n.departed = nil
	}
	// New mail has higher UIDs than all we have; a lower one that turned up
	// (another process recovered it) cannot be shown to this session.
	first, found := index.FindIn(all, last)
	if found {
		first++
	}
	next = append(next, all[first:]...)
	n.partly = len(next)-gone < len(all)
	if gone == 0 && !n.partly {
		next = all
	}
	n.uids = slices.Clip(next)
	return gone == 0
}

// follow goes on in a mailbox, which is locked, for another place of the same one; msgs are
// the messages of the vector as they were there.
func (n *numbers) follow(st *index.State, msgs []*index.Message) {
	departed := map[uint32]*index.Message{}
	for i, uid := range n.uids {
		if m := st.Get(uid); m == nil || m.Name != msgs[i].Name {
			departed[uid] = msgs[i]
		}
	}
	n.left, n.departed = st.Left(), departed
}
