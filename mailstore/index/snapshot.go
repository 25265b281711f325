package index

import (
	"encoding/binary"
	"errors"
	"hash/crc32"

	"toastmaster/internal/field"
	"toastmaster/mailstore/maildir"
)

// ErrDamaged says that a file of the index cannot be used.
var ErrDamaged = errors.New("index: damaged")

// The magics of snapshot, log and cache end in the version. A change of what is
// written needs a new one and a new file in testdata/golden.
const (
	snapshotMagic  = "TMIXSNP\x01"
	snapshotHeader = 24
)

// AppendSnapshot writes the whole state. The body is: UIDNEXT, first recent
// UID, mod-sequence, the two reservations, closed, unlinked and forgotten
// mod-sequence, stamps, cache end; keywords with their count; messages with
// their count, each relative to the one before; expunged with their count.
func (s *State) AppendSnapshot(b []byte) []byte {
	start := len(b)
	b = append(b, snapshotMagic...)
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
		b = binary.AppendUvarint(binary.AppendVarint(b, e.When), boolBit(e.Vanished))
		b = field.AppendText(b, e.Name)
	}
	binary.LittleEndian.PutUint32(b[start+8:], crc32.Checksum(b[start+12:], castagnoli()))
	return b
}

// ParseSnapshot reads what AppendSnapshot wrote; ErrDamaged otherwise.
func ParseSnapshot(data []byte) (*State, error) {
	if len(data) < snapshotHeader || string(data[:8]) != snapshotMagic ||
		binary.LittleEndian.Uint32(data[8:]) != crc32.Checksum(data[12:], castagnoli()) {
		return nil, ErrDamaged
	}
	s := &State{UIDValidity: binary.LittleEndian.Uint32(data[12:]), Position: binary.LittleEndian.Uint64(data[16:])}
	d := newDecoder(data[snapshotHeader:])
	s.UIDNext, s.Recent, s.ModSeq = uint32(d.Uint()), uint32(d.Uint()), d.Uint()
	s.ReservedUID, s.ReservedModSeq = uint32(d.Uint()), d.Uint()
	s.Closed = d.Uint() != 0
	s.Unlinked, s.Forgotten = d.Uint(), d.Uint()
	racy := d.Uint()
	s.CacheEnd = int64(d.Uint())
	s.New, s.Cur = Stamp{d.Int(), racy&1 != 0}, Stamp{d.Int(), racy&2 != 0}
	n := d.Count(1)
	if n > maildir.MaxKeywords {
		return nil, ErrDamaged
	}
	for range n {
		s.Keywords = append(s.Keywords, d.Text())
	}
	if !s.parseMessages(d) || !s.parseExpunged(d) || d.Len() > 0 {
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
)

func (s *State) parseMessages(d *decoder) bool {
	n := d.Count(minMessage)
	if d.Bad() {
		return false
	}
	// One array for all messages and one string for all names: two
	// allocations instead of two for each message.
	room := make([]Message, n)
	s.Messages = make([]*Message, n, n+n/16+8)
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
		s.Messages[i] = m
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
		e.UID, e.ModSeq = uint32(d.Uint()), d.Uint()
		e.When, e.Vanished = d.Int(), d.Uint() != 0
		e.Name = d.Text()
	}
	return !d.Bad()
}
