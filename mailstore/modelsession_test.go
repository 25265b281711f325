package mailstore

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"
)

// modelSession is a session and what it was told.
type modelSession struct {
	*modelBox
	t    *testing.T
	v    *View
	proc int
	// ro: it only looks.
	ro   bool
	uids []uint32
	// told are the flags that it knows of each message.
	told map[uint32][]imap.Flag
	// took are the messages that it was the first to see.
	took map[uint32]bool
}

// take makes what is recent the session's, if it may have it.
func (s *modelSession) take() {
	if s.ro {
		return
	}
	for uid := s.recent; uid < s.next; uid++ {
		s.took[uid] = true
	}
	s.recent = s.next
}

func (s *modelSession) isRecent(uid uint32) bool {
	if s.ro {
		return uid >= s.recent
	}
	return s.took[uid]
}

// open is a session's SELECT or EXAMINE.
func (s *modelSession) open() {
	s.look()
	for _, m := range s.msgs {
		s.uids = append(s.uids, m.uid)
		s.told[m.uid] = s.names(m.flags)
	}
	s.take()
	s.heard(s.proc)
	s.compare()
	if seq := int(s.v.Info().HighestModSeq); seq != int(s.modSeq) {
		s.t.Fatalf("HIGHESTMODSEQ is %d, the model's %d", seq, s.modSeq)
	}
}

// update is what a session is told between commands, or in NOOP.
func (s *modelSession) update(expunge bool) {
	s.t.Helper()
	before := s.v.Info().HighestModSeq
	s.look()
	got, err := s.v.Update(s.t.Context(), expunge)
	check(s.t, err)
	s.heard(s.proc)
	var want Update
	kept := s.uids[:0:0]
	for i, uid := range s.uids {
		if s.find(uid) != nil || !expunge {
			kept = append(kept, uid)
			continue
		}
		want.Expunged = append(want.Expunged, uint32(i+1-len(want.Expunged)))
		want.ExpungedUIDs = append(want.ExpungedUIDs, imap.UID(uid))
	}
	last := uint32(0)
	if n := len(s.uids); n > 0 {
		last = s.uids[n-1]
	}
	old := len(kept)
	for _, m := range s.msgs {
		if m.uid > last {
			kept = append(kept, m.uid)
			s.told[m.uid] = s.names(m.flags)
		}
	}
	if s.uids = kept; len(kept) > old {
		want.Exists = uint32(len(kept))
	}
	s.take()
	for _, uid := range s.uids {
		if s.isRecent(uid) {
			want.Recent++
		}
	}
	if !slices.Equal(got.Expunged, want.Expunged) || !slices.Equal(got.ExpungedUIDs, want.ExpungedUIDs) || got.Exists != want.Exists || got.Recent != want.Recent {
		s.t.Fatalf("Update(%v) is\n%+v, the model's\n%+v", expunge, got, want)
	}
	s.toldFlags(got.Flags, old, before)
	if seq := s.v.Info().HighestModSeq; seq != s.modSeq {
		s.t.Fatalf("HIGHESTMODSEQ is %d, the model's %d", seq, s.modSeq)
	}
	s.compare()
}

// toldFlags checks the sequence numbers whose flags an update tells: all that
// are not as the session knows them, and none that did not change.
func (s *modelSession) toldFlags(seqs []uint32, old int, since uint64) {
	s.t.Helper()
	for i, uid := range s.uids[:old] {
		m, isTold := s.last(uid), slices.Contains(seqs, uint32(i)+1)
		alive := s.find(uid) != nil
		if alive && !isTold && !slices.Equal(s.told[uid], s.names(m.flags)) {
			s.t.Fatalf("nobody told that UID %d has %v now, it was %v", uid, s.names(m.flags), s.told[uid])
		}
		if isTold && m.modSeq <= since {
			s.t.Fatalf("told of UID %d, which did not change after %d: %d", uid, since, m.modSeq)
		}
		if alive {
			s.told[uid] = s.names(m.flags)
		}
	}
	if n := len(seqs); n > 0 && (int(seqs[n-1]) > old || !slices.IsSorted(seqs)) {
		s.t.Fatalf("flags of %v, there were %d", seqs, old)
	}
}

// compare asks about every message.
func (s *modelSession) compare() {
	s.t.Helper()
	info := s.v.Info()
	if s.v.Len() != len(s.uids) || int(info.Messages) != len(s.uids) {
		s.t.Fatalf("%d messages, the model has %d", s.v.Len(), len(s.uids))
	}
	unseen := uint32(0)
	for i, uid := range s.uids {
		seq, m := uint32(i)+1, s.last(uid)
		got := s.v.Message(seq)
		flags := slices.Sorted(slices.Values(got.Flags))
		size := int64(len(text(m.id)) + strings.Count(text(m.id), "\n"))
		if got.UID != imap.UID(uid) || s.v.UID(seq) != got.UID || s.v.Seq(got.UID) != seq || got.Size != size || got.Date.Unix() != m.date {
			s.t.Fatalf("message %d is %+v, the model's %+v", seq, got, m)
		}
		if m.hearsay&(1<<s.proc) == 0 && (!slices.Equal(flags, s.names(m.flags)) || got.ModSeq != m.modSeq) {
			s.t.Fatalf("message %d is %+v, the model's %+v with %v", seq, got, m, s.names(m.flags))
		}
		if got.Recent != s.isRecent(uid) {
			s.t.Fatalf("message %d is recent: %v", seq, got.Recent)
		}
		if unseen == 0 && !slices.Contains(flags, imap.FlagSeen) {
			unseen = seq
		}
		if gone := s.v.AnyExpunged([]uint32{seq}); gone != (s.find(uid) == nil) {
			s.t.Fatalf("message %d is gone: %v", seq, gone)
		}
	}
	if info.FirstUnseen != unseen {
		s.t.Fatalf("the first that is unseen is %d, the model's %d", info.FirstUnseen, unseen)
	}
}

// picked are the UIDs of sequence numbers.
func (s *modelSession) picked(seqs []uint32) (uids []uint32) {
	for _, seq := range seqs {
		uids = append(uids, s.uids[seq-1])
	}
	return uids
}

func (s *modelSession) setFlags(seqs []uint32, op FlagOp, flags []imap.Flag, since uint64) {
	s.t.Helper()
	want := s.store(s.picked(seqs), op, flags, since)
	modified, err := s.v.SetFlags(s.t.Context(), seqs, op, flags, since)
	check(s.t, err)
	s.heard(s.proc)
	if got := s.picked(modified); !slices.Equal(got, want) {
		s.t.Fatalf("modified are %v, the model's %v", got, want)
	}
	for _, seq := range seqs {
		uid := s.uids[seq-1]
		if m := s.find(uid); m != nil && !slices.Contains(modified, seq) {
			s.told[uid] = s.names(m.flags) // the answer to STORE
		}
	}
}

func (s *modelSession) expungeSome(seqs []uint32) {
	s.t.Helper()
	s.expunge(s.picked(seqs))
	check(s.t, s.v.Expunge(s.t.Context(), seqs))
	s.heard(s.proc)
}

// transferSome is COPY or MOVE.
func (s *modelSession) transferSome(seqs []uint32, to *modelBox, move bool) {
	s.t.Helper()
	first := s.transfer(to, s.picked(seqs), move)
	f := s.v.Copy
	if move {
		f = s.v.Move
	}
	_, uids, err := f(s.t.Context(), seqs, to.name)
	if first == 0 {
		if !errors.Is(err, ErrExpunged) {
			s.t.Fatalf("%v %v of what is no more", uids, err)
		}
		return
	}
	check(s.t, err)
	for i := range seqs {
		if len(uids) != len(seqs) || uids[i] != imap.UID(first)+imap.UID(i) {
			s.t.Fatalf("UIDs %v, the model's from %d", uids, first)
		}
	}
	to.heard(s.proc)
	if move {
		s.heard(s.proc)
	}
}

// read reads a message: what a number stands for is always the same.
func (s *modelSession) read(seq uint32) {
	s.t.Helper()
	uid := s.uids[seq-1]
	if m := s.find(uid); m != nil && s.surprise(m) {
		s.look()
		s.heard(s.proc)
	}
	c, err := s.v.Read(s.t.Context(), seq)
	if s.find(uid) == nil {
		if !errors.Is(err, ErrExpunged) {
			s.t.Fatalf("reading message %d, which is no more: %v", seq, err)
		}
		return
	}
	check(s.t, err)
	defer c.Close()
	if got := contentOf(s.t, c); got != text(s.find(uid).id) {
		s.t.Fatalf("message %d, UID %d, is\n%s, the model's %s", seq, uid, got, s.find(uid).id)
	}
}
