package index

import "toastmaster/mailstore/maildir"

// Counters are what a mailbox says of itself without looking at its messages. They
// change with the records that change a message, and with nothing else.
type Counters struct {
	Messages, Unseen, Deleted, Recent int
	// Size is the sum of what is stored, Wire that of what is sent.
	Size, Wire int64
}

// Counters are those of now. Nothing is counted: Messages and Recent are found in
// the UIDs.
func (s *State) Counters() Counters {
	c := s.counts
	c.Messages = len(s.UIDs)
	first, _ := s.Find(s.Recent)
	c.Recent = len(s.UIDs) - first
	return c
}

// count adds a message to the counters, or takes it out with n = -1.
func (s *State) count(m *Message, n int) {
	if m.Flags&maildir.Seen == 0 {
		s.counts.Unseen += n
	}
	if m.Flags&maildir.Trashed != 0 {
		s.counts.Deleted += n
	}
	s.counts.Size += int64(n) * m.Size
	s.counts.Wire += int64(n) * m.Wire
}
