package index

import (
	"math/rand/v2"
	"testing"

	"toastmaster/mailstore/maildir"
)

// counted are the counters by counting.
func counted(s *State) (c Counters) {
	for _, m := range s.Messages {
		c.Messages++
		if m.Flags&maildir.Seen == 0 {
			c.Unseen++
		}
		if m.Flags&maildir.Trashed != 0 {
			c.Deleted++
		}
		if m.UID >= s.Recent {
			c.Recent++
		}
		c.Size += m.Size
		c.Wire += m.Wire
	}
	return c
}

// TestCountersAreWhatCountingFinds after each of many random records, those that
// make no sense for the state too, and after a snapshot was written and read.
func TestCountersAreWhatCountingFinds(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 6))
		s := NewState(1)
		some := func() (uids []uint32) {
			for uid := uint32(1); uid < 60; uid++ {
				if r.IntN(8) == 0 {
					uids = append(uids, uid)
				}
			}
			return uids
		}
		for step := range 500 {
			var b Batch
			for range 1 + r.IntN(3) {
				switch r.IntN(8) {
				case 0, 1:
					m := msg(1 + uint32(r.IntN(60)))
					m.Flags, m.Size, m.Wire = maildir.Flags(r.Uint32()), r.Int64N(1e6), r.Int64N(1e6)
					b.Add(m)
				case 2:
					b.Flags(some(), maildir.Flags(r.Uint32()), r.IntN(2) == 0, false, uint64(step))
				case 3:
					b.Expunge(some(), uint64(step), 1, r.IntN(2) == 0)
				case 4:
					b.Moved(some(), uint64(step), 1)
				case 5:
					b.Sizes(1+uint32(r.IntN(60)), r.Int64N(1e6), r.Int64N(1e6))
				case 6:
					b.Recent(uint32(r.IntN(60)))
				case 7:
					b.Rare(some(), Rare{Keywords: "\x01"})
				}
			}
			s.Apply(&b)
			consistent(t, s)
			if step%50 == 49 {
				back, err := ParseSnapshot(s.AppendSnapshot(nil))
				check(t, err)
				consistent(t, back)
				s = back
			}
		}
		if s.Counters().Messages == 0 {
			t.Error("an empty mailbox proves nothing")
		}
	}
}
