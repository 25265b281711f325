package journal

import (
	"encoding/binary"
	"errors"

	"toastmaster/internal/crc32c"
)

const (
	// block is the unit in which segments are laid out; the first and the
	// last block of a segment hold its header.
	block = 4096
	// recordHeader is the size of a record's header.
	recordHeader = 24
	// align is the alignment of records.
	align = 8
)

// padded is the size of a record with its header, as laid out.
func padded(length int) int64 { return (int64(length) + recordHeader + align - 1) &^ (align - 1) }

// header is a record's header.
type header struct {
	payloadCRC uint32
	length     uint32
	batch      uint32 // offset of the first record of the same write
}

// put writes a header for offset off: CRC of the rest, payload CRC, length,
// batch, own offset, zero. The CRC starts from the segment's seed, so that a
// record of an earlier use of the segment, or one inside a payload, is no
// record.
func (h header) put(b []byte, seed uint32, off int64) {
	binary.LittleEndian.PutUint32(b[4:], h.payloadCRC)
	binary.LittleEndian.PutUint32(b[8:], h.length)
	binary.LittleEndian.PutUint32(b[12:], h.batch)
	binary.LittleEndian.PutUint32(b[16:], uint32(off))
	binary.LittleEndian.PutUint32(b[20:], 0)
	binary.LittleEndian.PutUint32(b, crc32c.Update(seed, b[4:recordHeader]))
}

// parseHeader reads the header at off of a segment that ends (its last header
// block excluded) at end. ok is false for anything that is not one.
func parseHeader(b []byte, seed uint32, off, end int64) (h header, ok bool) {
	h.length = binary.LittleEndian.Uint32(b[8:])
	if h.length == 0 || binary.LittleEndian.Uint32(b[16:]) != uint32(off) || int64(h.length) > end-off-recordHeader {
		return h, false
	}
	if crc32c.Update(seed, b[4:recordHeader]) != binary.LittleEndian.Uint32(b) {
		return h, false
	}
	h.payloadCRC = binary.LittleEndian.Uint32(b[4:])
	h.batch = binary.LittleEndian.Uint32(b[12:])
	return h, int64(h.batch) <= off && binary.LittleEndian.Uint32(b[20:]) == 0
}

// errChecksum is the Err of a Damage whose octets could be read, errShort that
// of a segment whose end is missing.
var (
	errChecksum = errors.New("checksum mismatch")
	errShort    = errors.New("the file is shorter than its header says")
)

// found is a record of a scan.
type found struct {
	off     int64
	payload []byte
}

// scan walks the records of a segment's image, which end at end. Where something
// is no record it goes on at the next one that is. A gap is damage when it begins
// before proven, or when a later write proves that it had been synced (its batch
// begins behind the gap); else it is the torn end of a write that nobody was told
// had succeeded. Whole records behind a torn one are given out all the same: each
// stands for itself, and they may have been acknowledged if the gap is damage
// after all. It returns where all is whole or known to be damaged.
func scan(image []byte, seed uint32, end, proven int64, record func(found) error, gap func(from, to int64, torn bool)) (int64, error) {
	type hole struct{ from, to int64 }
	var holes []hole
	off := int64(block)
	for {
		next, h, ok := nextRecord(image, seed, off, end)
		if !ok {
			break
		}
		if next > off {
			holes = append(holes, hole{off, next})
		}
		proven = max(proven, int64(h.batch))
		payload := image[next+recordHeader:][:h.length:h.length]
		if err := record(found{next, payload}); err != nil {
			return 0, err
		}
		off = next + padded(int(h.length))
	}
	if off < proven {
		holes = append(holes, hole{off, proven})
	} else if off+recordHeader <= end {
		if h, ok := parseHeader(image[off:], seed, off, end); ok {
			holes = append(holes, hole{off, off + padded(int(h.length))})
		}
	}
	whole := off
	for _, h := range holes {
		torn := h.from >= proven
		if torn {
			whole = min(whole, h.from)
		}
		gap(h.from, min(h.to, end), torn)
	}
	return whole, nil
}

// nextRecord finds the first whole record at or after off.
func nextRecord(image []byte, seed uint32, off, end int64) (int64, header, bool) {
	for ; off+recordHeader <= end; off += align {
		h, ok := parseHeader(image[off:], seed, off, end)
		if ok && crc32c.Sum(image[off+recordHeader:][:h.length]) == h.payloadCRC {
			return off, h, true
		}
	}
	return 0, header{}, false
}
