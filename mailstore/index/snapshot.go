package index

import (
	"encoding/binary"
	"errors"

	"toastmaster/internal/crc32c"
	"toastmaster/internal/field"
	"toastmaster/mailstore/maildir"
)

// ErrDamaged says that a file of the index cannot be used.
var ErrDamaged = errors.New("index: damaged")

// The magics of snapshot, log and cache end in the version. A change of what is
// written needs a new one and a new file in testdata/golden.
const (
	snapshotMagic = "TMIXSNP\x01"
	// rareMagic begins a snapshot that has a section of rare things at its end,
	// or a keyword without a letter. Without these the first form is written,
	// which every program reads.
	rareMagic      = "TMIXSNP\x02"
	snapshotHeader = 24
)

// AppendSnapshot writes the whole state. The body is: UIDNEXT, first recent
// UID, mod-sequence, the two reservations, closed, unlinked and forgotten
// mod-sequence, stamps, cache end; keywords with their count; messages with
// their count, each relative to the one before; expunged with their count;
// after rareMagic also the UIDs, as differences, and rare things of the
// messages that have any, with their count.
func (s *State) AppendSnapshot(b []byte) []byte {
	start := len(b)
	rares := 0
	for _, m := range s.Messages {
		if m.Rare != nil {
			rares++
		}
	}
	magic := snapshotMagic
	if rares > 0 || len(s.Keywords) > maildir.MaxKeywords {
		magic = rareMagic
	}
	b = append(b, magic...)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint32(b, s.UIDValidity)
	b = binary.LittleEndian.AppendUint64(b, s.Position)
	for _, v := range []uint64{uint64(s.UIDNext), uint64(s.Recent), s.ModSeq, uint64(s.ReservedUID), s.ReservedModSeq,
		boolBit(s.Closed), s.Unlinked, s.Forgotten, boolBit(s.New.Racy) | boolBit(s.Cur.Racy)<<1, uint64(s.CacheEnd)} {
		b = binary.AppendUvarint(b, v)
	}
	b = binary.AppendVarint(binary.AppendVarint(b, s.New.MTime), s.Cur.MTime)
	b = binary.AppendUvarint(b, uint64(len(s.Keywords)))
	for _, k := range s.Keywords {
		b = field.AppendText(b, k)
	}
	b = binary.AppendUvarint(b, uint64(len(s.Messages)))
	var uid uint32
	var date, cacheEnd int64
	for _, m := range s.Messages {
		b = appendMessage(b, m, uid, date, cacheEnd)
		uid, date, cacheEnd = m.UID, m.Date, m.CacheOff+int64(m.CacheLen)
	}
	b = binary.AppendUvarint(b, uint64(len(s.Expunged)))
	for i := range s.Expunged {
		e := &s.Expunged[i]
		b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(e.UID)), e.ModSeq)
		b = binary.AppendUvarint(binary.AppendVarint(b, e.When), e.how())
		b = field.AppendText(b, e.Name)
	}
	if magic == rareMagic {
		b = s.appendRares(b, rares)
	}
	binary.LittleEndian.PutUint32(b[start+8:], crc32c.Sum(b[start+12:]))
	return b
}

func (s *State) appendRares(b []byte, n int) []byte {
	b = binary.AppendUvarint(b, uint64(n))
	var uid uint32
	for _, m := range s.Messages {
		if m.Rare == nil {
			continue
		}
		b = appendRare(binary.AppendUvarint(b, uint64(m.UID-uid)), *m.Rare)
		uid = m.UID
	}
	return b
}

// ParseSnapshot reads what AppendSnapshot wrote; ErrDamaged otherwise.
func ParseSnapshot(data []byte) (*State, error) {
	if len(data) < snapshotHeader {
		return nil, ErrDamaged
	}
	magic := string(data[:8])
	if magic != snapshotMagic && magic != rareMagic ||
		binary.LittleEndian.Uint32(data[8:]) != crc32c.Sum(data[12:]) {
		return nil, ErrDamaged
	}
	s := &State{UIDValidity: binary.LittleEndian.Uint32(data[12:]), Position: binary.LittleEndian.Uint64(data[16:])}
	d := newDecoder(data[snapshotHeader:])
	s.UIDNext, s.Recent, s.ModSeq = d.Uint32(), d.Uint32(), d.Uint()
	s.ReservedUID, s.ReservedModSeq = d.Uint32(), d.Uint()
	s.Closed = d.Uint() != 0
	s.Unlinked, s.Forgotten = d.Uint(), d.Uint()
	racy := d.Uint()
	s.CacheEnd = d.Size()
	s.New, s.Cur = Stamp{d.Int(), racy&1 != 0}, Stamp{d.Int(), racy&2 != 0}
	n := d.Count(1)
	if n > MaxKeywords {
		return nil, ErrDamaged
	}
	for range n {
		s.Keywords = append(s.Keywords, d.Text())
	}
	if !s.parseMessages(d) || !s.parseExpunged(d) || magic == rareMagic && !s.parseRares(d) || d.Len() > 0 {
		return nil, ErrDamaged
	}
	if s.UIDValidity == 0 || s.UIDNext == 0 || s.CacheEnd < cacheHeader {
		return nil, ErrDamaged
	}
	return s, nil
}

// What a message and an expunged one take at least, to tell a wild count early.
const (
	minMessage  = 12
	minExpunged = 5
	minRare     = 4
)

func (s *State) parseMessages(d *decoder) bool {
	n := d.Count(minMessage)
	if d.Bad() {
		return false
	}
	// One array for all messages and one string for all names: two
	// allocations instead of two for each message.
	room := make([]Message, n)
	s.UIDs, s.Messages = make([]uint32, n, n+n/16+8), make([]*Message, n, n+n/16+8)
	names := make([]byte, 0, d.Len()/2)
	ends := make([]int, n)
	var uid uint32
	var date, cacheEnd int64
	for i := range room {
		m := &room[i]
		name, ok := d.messageRaw(m, uid, date, cacheEnd)
		if !ok || m.CacheLen > 0 && m.CacheOff+int64(m.CacheLen) > s.CacheEnd {
			return false
		}
		uid, date, cacheEnd = m.UID, m.Date, m.CacheOff+int64(m.CacheLen)
		names = append(names, name...)
		ends[i] = len(names)
		s.UIDs[i], s.Messages[i] = m.UID, m
		s.count(m, 1)
	}
	all, from := string(names), 0
	for i := range room {
		room[i].Name = all[from:ends[i]]
		from = ends[i]
	}
	if n > 0 && room[n-1].UID >= s.UIDNext {
		return false
	}
	return true
}

func (s *State) parseExpunged(d *decoder) bool {
	n := d.Count(minExpunged)
	if d.Bad() {
		return false
	}
	s.Expunged = make([]Expunged, n)
	for i := range s.Expunged {
		e := &s.Expunged[i]
		e.UID, e.ModSeq = d.Uint32(), d.Uint()
		e.When = d.Int()
		how := d.Uint()
		e.Vanished, e.Moved = how == howVanished, how == howMoved
		e.Name = d.Text()
	}
	return !d.Bad()
}

func (s *State) parseRares(d *decoder) bool {
	var uid uint64
	for range d.Count(minRare) {
		uid += d.Uint()
		r := d.rare()
		if d.Bad() || uid > MaxUID {
			return false
		}
		m := s.Get(uint32(uid))
		if m == nil {
			return false
		}
		m.Rare = s.rare(r)
	}
	return !d.Bad()
}
