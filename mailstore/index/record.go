package index

import (
	"encoding/binary"

	"toastmaster/internal/crc32c"
	"toastmaster/internal/field"
	"toastmaster/mailstore/maildir"
)

// The record types.
const (
	// recAdd: a message, see appendMessage.
	recAdd = 1 + iota
	// recFlags: mod-sequence, flags, bits, then UIDs to the end.
	recFlags
	// recExpunge: mod-sequence, time, how (0 removed, 1 vanished, 2 moved),
	// then UIDs to the end.
	recExpunge
	// recKeyword: index, name.
	recKeyword
	// recReserve: UID, mod-sequence.
	recReserve
	// recRecent: first recent UID.
	recRecent
	// recStamp: bits, mtime of new, mtime of cur.
	recStamp
	// recCache: UID, offset, length.
	recCache
	// recUnlinked: mod-sequence up to which expunged files are gone durably.
	recUnlinked
	// recClose: nothing.
	recClose
	// recNext: UIDNEXT, mod-sequence.
	recNext
	// recEnd: this file was replaced, go on with the new one.
	recEnd
	// recSizes: UID, stored size, wire size.
	recSizes
	// recRare: bits, rest of the name, keywords, then UIDs to the end. A
	// program that does not know it finds the message by its name.
	recRare
	// recWent: the folder that this one is about to be renamed to.
	recWent
	// recEra: the era of who writes from here on, see Options.Session.
	recEra
)

const (
	recordHeader = 8
	// MaxPayload bounds a record; longer lists are split.
	MaxPayload = 1<<24 - 1
	// maxUIDs keeps a list of UIDs well below MaxPayload.
	maxUIDs = 1 << 20
)

const (
	bitInNew = 1 << iota
	bitHasInfo
)

// Batch is a run of records to be appended together. The zero Batch is empty.
type Batch struct {
	buf   []byte
	marks []int // where the records start
	enc   []byte
	named maildir.Flags // letters that get a name
}

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() { b.buf, b.marks, b.named = b.buf[:0], b.marks[:0], 0 }

// Large says that the batch has more memory than is worth keeping.
func (b *Batch) Large() bool { return cap(b.buf)+cap(b.enc) > maxKeptBatch }

// maxKeptBatch is no parameter: it bounds memory that is used again.
const maxKeptBatch = 16 << 10

// Names says that the batch names keyword letter i.
func (b *Batch) Names(i int) bool { return b.named&KeywordFlag(i).Flags != 0 }

// Empty says that there is nothing to append.
func (b *Batch) Empty() bool { return len(b.marks) == 0 }

// Len is the number of octets.
func (b *Batch) Len() int { return len(b.buf) }

func (b *Batch) record(kind byte, payload []byte) {
	b.marks = append(b.marks, len(b.buf))
	var h [recordHeader]byte
	binary.LittleEndian.PutUint32(h[4:], uint32(len(payload))|uint32(kind)<<24)
	b.buf = append(append(b.buf, h[:]...), payload...)
	b.enc = payload[:0]
}

// seal writes the CRCs for a batch that will stand at position pos.
func (b *Batch) seal(pos uint64) {
	for i, at := range b.marks {
		end := len(b.buf)
		if i+1 < len(b.marks) {
			end = b.marks[i+1]
		}
		r := b.buf[at:end]
		binary.LittleEndian.PutUint32(r, recordCRC(pos+uint64(at), r))
	}
}

func recordCRC(pos uint64, r []byte) uint32 {
	var p [8]byte
	binary.LittleEndian.PutUint64(p[:], pos)
	return crc32c.Update(crc32c.Sum(p[:]), r[4:])
}

// Add logs a new message.
func (b *Batch) Add(m *Message) {
	b.record(recAdd, appendMessage(b.enc[:0], m, 0, 0, 0))
	if m.Rare != nil {
		b.Rare([]uint32{m.UID}, *m.Rare)
	}
}

// Flags logs that uids (ascending) now have exactly these flags and place, and
// a name that is spelt as usual.
func (b *Batch) Flags(uids []uint32, f maildir.Flags, inNew, hasInfo bool, modSeq uint64) {
	p := binary.AppendUvarint(b.enc[:0], modSeq)
	p = binary.AppendUvarint(p, uint64(f))
	p = binary.AppendUvarint(p, placeBits(inNew, hasInfo))
	b.record(recFlags, appendUIDs(p, uids))
}

func placeBits(inNew, hasInfo bool) (bits uint64) {
	if inNew {
		bits |= bitInNew
	}
	if hasInfo {
		bits |= bitHasInfo
	}
	return bits
}

// Expunge logs that uids (ascending) are gone. when is in seconds since 1970.
func (b *Batch) Expunge(uids []uint32, modSeq uint64, when int64, vanished bool) {
	b.expunge(uids, modSeq, when, boolBit(vanished))
}

// Moved logs that uids (ascending) went to another mailbox with their files.
func (b *Batch) Moved(uids []uint32, modSeq uint64, when int64) {
	b.expunge(uids, modSeq, when, howMoved)
}

// How a message left, in records and snapshots.
const (
	howVanished = 1
	howMoved    = 2
)

func (e *Expunged) how() uint64 {
	if e.Moved {
		return howMoved
	}
	return boolBit(e.Vanished)
}

func (b *Batch) expunge(uids []uint32, modSeq uint64, when int64, how uint64) {
	for len(uids) > 0 {
		n := min(len(uids), maxUIDs)
		p := binary.AppendUvarint(b.enc[:0], modSeq)
		p = binary.AppendVarint(p, when)
		p = binary.AppendUvarint(p, how)
		b.record(recExpunge, appendUIDs(p, uids[:n]))
		uids = uids[n:]
	}
}

func boolBit(v bool) uint64 {
	if v {
		return 1
	}
	return 0
}

// Keyword logs the name of a keyword; the first ones have a letter.
func (b *Batch) Keyword(i int, name string) {
	b.named |= KeywordFlag(i).Flags
	b.record(recKeyword, field.AppendText(binary.AppendUvarint(b.enc[:0], uint64(i)), name))
}

// Reserve logs that UIDs and mod-sequences below these may be promised.
func (b *Batch) Reserve(uid uint32, modSeq uint64) {
	b.record(recReserve, binary.AppendUvarint(binary.AppendUvarint(b.enc[:0], uint64(uid)), modSeq))
}

// Recent logs the first UID that is recent.
func (b *Batch) Recent(uid uint32) { b.record(recRecent, binary.AppendUvarint(b.enc[:0], uint64(uid))) }

// Stamps logs that the directories agree with the index.
func (b *Batch) Stamps(n, c Stamp) {
	p := binary.AppendUvarint(b.enc[:0], boolBit(n.Racy)|boolBit(c.Racy)<<1)
	b.record(recStamp, binary.AppendVarint(binary.AppendVarint(p, n.MTime), c.MTime))
}

// Cache logs where the structure of uid lies.
func (b *Batch) Cache(uid uint32, off int64, n uint32) {
	p := binary.AppendUvarint(binary.AppendUvarint(b.enc[:0], uint64(uid)), uint64(off))
	b.record(recCache, binary.AppendUvarint(p, uint64(n)))
}

// Sizes corrects the sizes of uid.
func (b *Batch) Sizes(uid uint32, stored, wire int64) {
	p := binary.AppendUvarint(binary.AppendUvarint(b.enc[:0], uint64(uid)), uint64(stored))
	b.record(recSizes, binary.AppendUvarint(p, uint64(wire)))
}

// Went logs that the folder is about to be renamed.
func (b *Batch) Went(to string) { b.record(recWent, field.AppendText(b.enc[:0], to)) }

// Unlinked logs that the files of all messages expunged up to modSeq are gone
// for good.
func (b *Batch) Unlinked(modSeq uint64) {
	b.record(recUnlinked, binary.AppendUvarint(b.enc[:0], modSeq))
}

// era logs whose records follow.
func (b *Batch) era(id uint64) { b.record(recEra, binary.AppendUvarint(b.enc[:0], id)) }

// Close logs that the writer leaves nothing undone. What was reserved is void: who
// goes on reserves anew, because what he writes behind this record may be lost, and
// the record would then say that nothing is.
func (b *Batch) Close() { b.record(recClose, b.enc[:0]) }

// Next raises UIDNEXT and the mod-sequence.
func (b *Batch) Next(uid uint32, modSeq uint64) {
	b.record(recNext, binary.AppendUvarint(binary.AppendUvarint(b.enc[:0], uint64(uid)), modSeq))
}

func (b *Batch) end() { b.record(recEnd, b.enc[:0]) }

// appendMessage writes a message; the snapshot gives the values of the
// message before it, so that most numbers are small.
func appendMessage(p []byte, m *Message, uid uint32, date int64, cacheEnd int64) []byte {
	p = binary.AppendUvarint(p, uint64(m.UID-uid))
	p = binary.AppendUvarint(p, uint64(m.Flags))
	p = binary.AppendUvarint(p, placeBits(m.InNew, m.HasInfo))
	p = binary.AppendUvarint(p, m.ModSeq)
	p = binary.AppendVarint(p, m.Date-date)
	p = binary.AppendVarint(p, int64(m.Zone))
	p = binary.AppendUvarint(p, uint64(m.Size))
	p = binary.AppendUvarint(p, uint64(m.Wire))
	p = binary.AppendUvarint(p, uint64(m.CacheLen))
	p = binary.AppendVarint(p, m.CacheOff-cacheEnd)
	return field.AppendText(p, m.Name)
}

// appendUIDs writes ascending UIDs as differences.
func appendUIDs(p []byte, uids []uint32) []byte {
	last := uint32(0)
	for _, uid := range uids {
		p = binary.AppendUvarint(p, uint64(uid-last))
		last = uid
	}
	return p
}

// Apply applies b without a log: for a rebuild, which Reset or Start ends.
func (s *State) Apply(b *Batch) {
	b.seal(s.Position)
	s.Replay(b.buf)
}

// Replay applies the records in data, which stands at s.Position. It returns
// how many octets were valid and whether the last record says that the log
// goes on in another file. Records that are whole but make no sense for the
// state (an unknown UID) are skipped: a later scan of the Maildir decides.
func (s *State) Replay(data []byte) (n int, ended bool) {
	for len(data)-n >= recordHeader {
		r := data[n:]
		word := binary.LittleEndian.Uint32(r[4:])
		size, kind := int(word&MaxPayload), byte(word>>24)
		if kind == 0 || size > len(r)-recordHeader {
			break
		}
		r = r[:recordHeader+size]
		if binary.LittleEndian.Uint32(r) != recordCRC(s.Position, r) {
			break
		}
		n += len(r)
		s.Position += uint64(len(r))
		if kind == recEnd {
			return n, true
		}
		s.apply(kind, newDecoder(r[recordHeader:]))
	}
	return n, false
}

func (s *State) apply(kind byte, d *decoder) {
	s.Closed = kind == recClose
	switch kind {
	case recClose:
		s.ReservedUID, s.ReservedModSeq = 0, 0
	case recEra:
		if id := d.Uint(); !d.Bad() {
			s.era = id
		}
	case recAdd:
		if m := (&Message{}); d.message(m, 0, 0, 0) {
			s.add(m)
		}
	case recFlags:
		s.applyFlags(d)
	case recRare:
		s.applyRare(d)
	case recExpunge:
		modSeq, when, how := d.Uint(), d.Int(), d.Uint()
		if uids := d.uids(); !d.Bad() {
			s.expunge(uids, modSeq, when, how)
		}
	case recWent:
		if to := d.Text(); !d.Bad() {
			s.Went = to
		}
	case recKeyword:
		i, name := d.Uint(), d.Text()
		if d.Bad() || i >= MaxKeywords {
			return
		}
		// A new slice: readers may hold the old one.
		k := append([]string(nil), s.Keywords...)
		for uint64(len(k)) <= i {
			k = append(k, "")
		}
		k[i] = name
		s.Keywords = k
	default:
		s.applyNumbers(kind, d)
	}
}

func (s *State) applyFlags(d *decoder) {
	modSeq, f, bits := d.Uint(), maildir.Flags(d.Uint32()), d.Uint()
	uids := d.uids()
	if d.Bad() {
		return
	}
	for _, uid := range uids {
		if m := s.Get(uid); m != nil {
			s.count(m, -1)
			m.Flags, m.ModSeq = f, modSeq
			s.count(m, 1)
			m.InNew, m.HasInfo = bits&bitInNew != 0, bits&bitHasInfo != 0
			s.usual(m)
		}
	}
	s.ModSeq = max(s.ModSeq, modSeq)
}

// applyNumbers handles the records that are one, two or three numbers. All but two begin
// with a UID.
func (s *State) applyNumbers(kind byte, d *decoder) {
	switch kind {
	case recStamp:
		racy, n, cur := d.Uint(), d.Int(), d.Int()
		if !d.Bad() {
			s.New, s.Cur = Stamp{n, racy&1 != 0}, Stamp{cur, racy&2 != 0}
		}
		return
	case recUnlinked:
		if modSeq := d.Uint(); !d.Bad() {
			s.Unlinked = max(s.Unlinked, modSeq)
		}
		return
	}
	uid := d.Uint32()
	var b, c uint64
	switch kind {
	case recReserve, recNext:
		b = d.Uint()
	case recCache, recSizes:
		b, c = d.Uint(), d.Uint()
	}
	if d.Bad() {
		return
	}
	switch kind {
	case recReserve:
		s.ReservedUID, s.ReservedModSeq = max(s.ReservedUID, uid), max(s.ReservedModSeq, b)
	case recNext:
		s.UIDNext, s.ModSeq = max(s.UIDNext, uid), max(s.ModSeq, b)
	case recRecent:
		s.Recent = max(s.Recent, uid)
	case recCache:
		if m := s.Get(uid); m != nil && b >= cacheHeader && b < 1<<62 && c < 1<<31 {
			m.CacheOff, m.CacheLen = int64(b), uint32(c)
			s.CacheEnd = max(s.CacheEnd, int64(b)+int64(c))
		}
	case recSizes:
		if m := s.Get(uid); m != nil && int64(b) >= 0 && int64(c) >= 0 {
			s.count(m, -1)
			m.Size, m.Wire = int64(b), int64(c)
			s.count(m, 1)
			s.Resized++
		}
	}
}

// decoder reads a record or a snapshot.
type decoder struct{ field.Reader }

func newDecoder(b []byte) *decoder { return &decoder{field.NewReader(b)} }

func (d *decoder) uids() []uint32 {
	var uids []uint32
	last := uint64(0)
	for d.Len() > 0 {
		last += d.Uint()
		if d.Bad() || last == 0 || last > MaxUID {
			d.Fail()
			return nil
		}
		uids = append(uids, uint32(last))
	}
	return uids
}

// message reads one; false if it makes no sense.
func (d *decoder) message(m *Message, uid uint32, date, cacheEnd int64) bool {
	name, ok := d.messageRaw(m, uid, date, cacheEnd)
	m.Name = string(name)
	return ok
}

// messageRaw reads a message but leaves its name to the caller.
func (d *decoder) messageRaw(m *Message, uid uint32, date, cacheEnd int64) (name []byte, ok bool) {
	id := uint64(uid) + d.Uint()
	m.Flags = maildir.Flags(d.Uint32())
	bits := d.Uint()
	m.InNew, m.HasInfo = bits&bitInNew != 0, bits&bitHasInfo != 0
	m.ModSeq = d.Uint()
	m.Date = date + d.Int()
	m.Zone = d.Int16()
	m.Size, m.Wire = d.Size(), d.Size()
	cacheLen := d.Uint()
	m.CacheOff = cacheEnd + d.Int()
	name = d.Octets()
	m.UID, m.CacheLen = uint32(id), uint32(cacheLen)
	return name, !d.Bad() && id > uint64(uid) && id <= MaxUID &&
		cacheLen < 1<<31 && (cacheLen == 0 || m.CacheOff >= cacheHeader && m.CacheOff < 1<<62) && len(name) > 0
}
