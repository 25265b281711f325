package field

import (
	"encoding/binary"
	"math"
)

// AppendText appends a text or octets with their length.
func AppendText[T ~string | ~[]byte](dst []byte, text T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(text))), text...)
}

// Reader reads the fields of one record. The zero Reader is at the end of an
// empty one.
type Reader struct {
	b   []byte
	bad bool
}

// NewReader reads b, which must not change meanwhile.
func NewReader(b []byte) Reader { return Reader{b: b} }

// Bad says that a field was not there, or that Fail was called.
func (r *Reader) Bad() bool { return r.bad }

// Fail makes the record bad: a field makes no sense to the caller.
func (r *Reader) Fail() { r.b, r.bad = nil, true }

// Len is how many octets are left.
func (r *Reader) Len() int { return len(r.b) }

// Rest is all that is left, and takes it.
func (r *Reader) Rest() []byte {
	rest := r.b
	r.b = nil
	return rest
}

// Byte reads an octet.
func (r *Reader) Byte() byte {
	if len(r.b) == 0 {
		r.Fail()
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

// Uint reads an unsigned varint.
func (r *Reader) Uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.Fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

// Uint32 reads an unsigned varint of at most 32 bits.
func (r *Reader) Uint32() uint32 {
	v := r.Uint()
	if v > math.MaxUint32 {
		r.Fail()
		return 0
	}
	return uint32(v)
}

// Number reads an unsigned varint of at most 31 bits: a count or a number of
// something, as int on every machine.
func (r *Reader) Number() int {
	v := r.Uint()
	if v > math.MaxInt32 {
		r.Fail()
		return 0
	}
	return int(v)
}

// Size reads an unsigned varint of at most 63 bits: octets, or a place among them.
func (r *Reader) Size() int64 {
	v := r.Uint()
	if v > math.MaxInt64 {
		r.Fail()
		return 0
	}
	return int64(v)
}

// Int reads a signed varint.
func (r *Reader) Int() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.Fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

// Int16 reads a signed varint of at most 16 bits.
func (r *Reader) Int16() int16 {
	v := r.Int()
	if v < math.MinInt16 || v > math.MaxInt16 {
		r.Fail()
		return 0
	}
	return int16(v)
}

// Fixed64 reads eight octets, little endian.
func (r *Reader) Fixed64() uint64 {
	if b := r.Bytes(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// Count reads how many things follow, of which each takes at least size octets.
func (r *Reader) Count(size int) int {
	n := r.Uint()
	if n > uint64(len(r.b)/size) {
		r.Fail()
		return 0
	}
	return int(n)
}

// Bytes reads n octets without a length before them. They are a part of the
// record, without room behind them; nil when they are not there.
func (r *Reader) Bytes(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.Fail()
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

// Octets reads octets with their length before them, as Bytes does.
func (r *Reader) Octets() []byte { return r.Bytes(r.Count(1)) }

// Text reads a text; it is a copy.
func (r *Reader) Text() string { return string(r.Octets()) }
