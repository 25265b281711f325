package index

import "toastmaster/mailstore/maildir"

// Counters are what a mailbox says of itself without looking at its messages. They
// change with the records that change a message, and with nothing else.
type Counters struct {
	Messages, Unseen, Deleted, Recent int
	// Size is the sum of what is stored, Wire that of what is sent.
	Size, Wire int64
}

// counts are the counters that are kept. There are fewer than 1<<32 UIDs, and less memory for
// messages than for half of them.
type counts struct {
	unseen, deleted int32
	size, wire      int64
}

// Counters are those of now. Nothing is counted: Messages and Recent are found in
// the UIDs.
func (s *State) Counters() Counters {
	c := Counters{Messages: len(s.UIDs), Unseen: int(s.counts.unseen), Deleted: int(s.counts.deleted), Size: s.counts.size, Wire: s.counts.wire}
	first, _ := s.Find(s.Recent)
	c.Recent = len(s.UIDs) - first
	return c
}

// count adds a message to the counters, or takes it out with n = -1.
func (s *State) count(m *Message, n int) {
	if m.Flags&maildir.Seen == 0 {
		s.counts.unseen += int32(n)
	}
	if m.Flags&maildir.Trashed != 0 {
		s.counts.deleted += int32(n)
	}
	s.counts.size += int64(n) * m.Size
	s.counts.wire += int64(n) * m.Wire
}
