package index

import (
	"slices"
	"time"

	"toastmaster/mailstore/maildir"
)

// Message is one message. It belongs to whoever holds the mailbox's lock, until
// it is in a Departed: then it is not changed any more.
type Message struct {
	UID    uint32
	Flags  maildir.Flags
	ModSeq uint64
	// Name is the base name of the file.
	Name string
	// Date is the internal date in seconds since 1970, Zone its offset in
	// minutes east of UTC.
	Date int64
	Zone int16
	// InNew: the file lies in new/, not in cur/. HasInfo: its name there
	// ends in ":2,..." all the same (Dovecot does that).
	InNew, HasInfo bool
	// CacheOff and CacheLen say where in the cache file the entry lies;
	// CacheLen 0 means nowhere.
	CacheLen uint32
	CacheOff int64
	// Size is as stored (LF), Wire as sent (CR LF).
	Size, Wire int64
	// Rare is nil for nearly all messages. Messages share it, so it is never
	// changed, only replaced.
	Rare *Rare
}

// File is the message's path below its folder.
func (m *Message) File() string {
	switch {
	case m.Rare != nil && m.Rare.Odd && m.InNew:
		return "new/" + m.Name + m.Rare.Rest
	case m.Rare != nil && m.Rare.Odd:
		return "cur/" + m.Name + m.Rare.Rest
	case !m.InNew:
		return "cur/" + maildir.FileName(m.Name, m.Flags)
	case m.HasInfo:
		return "new/" + maildir.FileName(m.Name, m.Flags)
	default:
		return "new/" + m.Name
	}
}

// Time is the internal date.
func (m *Message) Time() time.Time {
	t := time.Unix(m.Date, 0)
	if m.Zone == 0 {
		return t.UTC()
	}
	return t.In(time.FixedZone("", int(m.Zone)*60))
}

// Expunged is a message that is gone.
type Expunged struct {
	UID    uint32
	ModSeq uint64
	When   int64
	// Name is the base name, "" once it is too old to matter.
	Name string
	// Vanished: the file was found missing, nobody here removed it. Moved: it
	// has another name in another mailbox; one that is here all the same is not
	// to be removed.
	Vanished, Moved bool
}

// Stamp is the state of a directory when it was last known to agree with the
// index.
type Stamp struct {
	// MTime is its modification time in nanoseconds since 1970.
	MTime int64
	// Racy: something may have changed within the same tick of the file
	// system's clock, unseen.
	Racy bool
}

// State is a mailbox. Its owner locks it.
type State struct {
	UIDValidity uint32
	UIDNext     uint32
	// Recent is the first UID that is recent.
	Recent uint32
	ModSeq uint64
	// ReservedUID and ReservedModSeq may have been promised to clients.
	ReservedUID    uint32
	ReservedModSeq uint64
	// Closed: the last record says that nothing is missing.
	Closed bool
	// Keywords names the keyword letters, as maildir.ParseKeywords.
	Keywords []string
	// UIDs ascend. The slice's elements are never overwritten and growth
	// appends, so that others may hold a shorter slice of the same array, and
	// read it without a lock, while the owner goes on.
	UIDs []uint32
	// Messages are those of UIDs, one for each. Nobody else holds the slice.
	Messages []*Message
	// counts are the Counters that Messages make; see count.
	counts counts
	// left is where the next messages that leave are noted, see Left.
	left *Departed
	// Expunged ascends by mod-sequence. Those above Unlinked may still have a
	// file.
	Expunged []Expunged
	Unlinked uint64
	// Forgotten is the highest mod-sequence that Expunged no longer tells.
	Forgotten uint64
	New, Cur  Stamp
	// Resized counts the records that corrected sizes: a file was changed. It is not
	// kept.
	Resized uint64
	// CacheEnd is the length of the cache file that entries use.
	CacheEnd int64
	// rares has one of each Rare in use, as far as they are known.
	rares map[Rare]*Rare
	// Went is the folder that this one was last renamed to, as far as the log
	// tells. It is not kept.
	Went string
	// era is that of who wrote last, 0 for not known. It is not kept.
	era uint64
	// Position is the log position up to which records were applied.
	Position uint64
}

// MaxUID is the largest UID that a message can have: UIDNEXT has 32 bits, too. A record
// with a larger one says nothing.
const MaxUID = 1<<32 - 2

// NewState is an empty mailbox.
func NewState(uidValidity uint32) *State {
	return &State{UIDValidity: uidValidity, UIDNext: 1, Recent: 1, ModSeq: 1, CacheEnd: cacheHeader}
}

// Departed is a list of what left a mailbox, from old to new. Who holds an
// element finds in it, and in those that follow, all that left since it was the
// last one; what nobody holds any more is garbage.
type Departed struct {
	// Messages ascend by UID, as they last were. Nil in the last element.
	Messages []*Message
	Next     *Departed
}

// Left is the last element of the list of what left, from which what leaves from
// now on is found.
func (s *State) Left() *Departed {
	if s.left == nil {
		s.left = &Departed{}
	}
	return s.left
}

// leave notes messages that leave, if somebody asked for the list.
func (s *State) leave(gone []*Message) {
	if s.left == nil || len(gone) == 0 {
		return
	}
	s.left.Messages, s.left.Next = gone, &Departed{}
	s.left = s.left.Next
}

// Succeed makes s the successor of another state of the same mailbox: the list of
// what left goes on, with what was in old and is not in s. It is false when a UID
// of both is of two messages; s is then the state of another mailbox.
func (s *State) Succeed(old *State) bool {
	if s == old {
		return true
	}
	var gone []*Message
	k := 0
	for i, uid := range old.UIDs {
		for k < len(s.UIDs) && s.UIDs[k] < uid {
			k++
		}
		switch {
		case k == len(s.UIDs) || s.UIDs[k] != uid:
			gone = append(gone, old.Messages[i])
		case s.Messages[k].Name != old.Messages[i].Name:
			return false
		}
	}
	s.left, old.left = old.left, nil
	s.leave(gone)
	return true
}

// Find returns the index in UIDs and Messages of uid, or where it would be.
func (s *State) Find(uid uint32) (int, bool) { return FindIn(s.UIDs, uid) }

// FindIn is Find for any ascending UIDs.
func FindIn(uids []uint32, uid uint32) (int, bool) {
	// Without gaps a message is at uid - first.
	if len(uids) > 0 && uid >= uids[0] {
		if k := int(uid - uids[0]); k < len(uids) && uids[k] == uid {
			return k, true
		}
	}
	return slices.BinarySearch(uids, uid)
}

// Get returns the message with uid, nil if there is none.
func (s *State) Get(uid uint32) *Message {
	i, ok := s.Find(uid)
	if !ok {
		return nil
	}
	return s.Messages[i]
}

// Keyword returns the marks of a keyword, none if it has no number. It may have
// two: Dovecot may give a letter to a name that has a number without one.
func (s *State) Keyword(name string) (m FlagSet) {
	for i, k := range s.Keywords {
		if equalFold(k, name) {
			m = m.Or(KeywordFlag(i))
		}
	}
	return m
}

// equalFold compares keywords, which are ASCII (RFC 9051 section 2.3.2).
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		x, y := a[i], b[i]
		if x|0x20 != y|0x20 || x != y && (x|0x20 < 'a' || x|0x20 > 'z') {
			return false
		}
	}
	return true
}

// FreeKeyword is the number that the next keyword gets, -1 when there are limit
// keywords already.
func (s *State) FreeKeyword(limit int) int {
	if i := slices.Index(s.Keywords, ""); i >= 0 && i < limit {
		return i
	}
	if len(s.Keywords) >= limit {
		return -1
	}
	return len(s.Keywords)
}

// Recover makes the state of a log that was not closed in order safe: what
// may have been promised is not used again. It says whether that changed
// anything.
func (s *State) Recover() bool {
	if s.Closed || s.UIDNext >= s.ReservedUID && s.ModSeq >= s.ReservedModSeq {
		return false
	}
	s.UIDNext = max(s.UIDNext, s.ReservedUID)
	s.ModSeq = max(s.ModSeq, s.ReservedModSeq)
	return true
}

// add puts m where its UID belongs. An existing UID is a duplicate record
// and ignored.
func (s *State) add(m *Message) {
	n := len(s.UIDs)
	if n == 0 || m.UID > s.UIDs[n-1] {
		s.UIDs, s.Messages = append(s.UIDs, m.UID), append(s.Messages, m)
	} else {
		i, found := s.Find(m.UID)
		if found {
			return
		}
		// A new array: others may hold the old one.
		grown := make([]uint32, 0, n+1+n/8)
		grown = append(append(grown, s.UIDs[:i]...), m.UID)
		s.UIDs = append(grown, s.UIDs[i:]...)
		s.Messages = slices.Insert(s.Messages, i, m)
	}
	s.count(m, 1)
	s.UIDNext = max(s.UIDNext, m.UID+1)
	s.ModSeq = max(s.ModSeq, m.ModSeq)
	if m.CacheLen > 0 {
		s.CacheEnd = max(s.CacheEnd, m.CacheOff+int64(m.CacheLen))
	}
}

// expunge removes uids, ascending.
func (s *State) expunge(uids []uint32, modSeq uint64, when int64, how uint64) {
	kept := make([]uint32, 0, max(len(s.UIDs)-len(uids), 0)) // others may hold the old one
	var gone []*Message
	k := 0
	for _, m := range s.Messages {
		for k < len(uids) && uids[k] < m.UID {
			k++
		}
		if k == len(uids) || uids[k] != m.UID {
			s.Messages[len(kept)] = m
			kept = append(kept, m.UID)
			continue
		}
		gone = append(gone, m)
		s.count(m, -1)
		s.Expunged = append(s.Expunged, Expunged{UID: m.UID, ModSeq: modSeq, When: when, Name: m.Name, Vanished: how == howVanished, Moved: how == howMoved})
	}
	clear(s.Messages[len(kept):])
	s.UIDs, s.Messages = kept, s.Messages[:len(kept)]
	s.leave(gone)
	s.ModSeq = max(s.ModSeq, modSeq)
}

// ForgetExpunged drops the names of what was expunged before old, and whole
// entries beyond limit.
func (s *State) ForgetExpunged(old int64, limit int) {
	for i := range s.Expunged {
		if e := &s.Expunged[i]; e.When < old && e.ModSeq <= s.Unlinked {
			e.Name = ""
		}
	}
	drop := 0
	for drop < len(s.Expunged)-limit && s.Expunged[drop].Name == "" {
		s.Forgotten = max(s.Forgotten, s.Expunged[drop].ModSeq)
		drop++
	}
	s.Expunged = append([]Expunged(nil), s.Expunged[drop:]...)
}
