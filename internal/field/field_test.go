package field

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"
)

func TestFieldsComeBack(t *testing.T) {
	t.Parallel()
	var b []byte
	b = binary.AppendUvarint(b, math.MaxUint64)
	b = binary.AppendUvarint(b, math.MaxUint32)
	b = binary.AppendVarint(b, math.MinInt64)
	b = append(b, 7)
	b = binary.LittleEndian.AppendUint64(b, 1<<63)
	b = AppendText(b, "text")
	b = AppendText(b, []byte{})
	b = binary.AppendUvarint(b, math.MaxInt32)
	b = binary.AppendUvarint(b, math.MaxInt64)
	b = binary.AppendUvarint(b, 2)
	b = binary.AppendVarint(binary.AppendVarint(b, math.MinInt16), math.MaxInt16)
	b = append(b, "rest"...)
	r := NewReader(b)
	if v := r.Uint(); v != math.MaxUint64 {
		t.Error(v)
	}
	if v := r.Uint32(); v != math.MaxUint32 {
		t.Error(v)
	}
	if v := r.Int(); v != math.MinInt64 {
		t.Error(v)
	}
	if v := r.Byte(); v != 7 {
		t.Error(v)
	}
	if v := r.Fixed64(); v != 1<<63 {
		t.Error(v)
	}
	if v := r.Text(); v != "text" {
		t.Error(v)
	}
	if v := r.Octets(); len(v) != 0 || r.Bad() {
		t.Error(v)
	}
	if v := r.Number(); v != math.MaxInt32 {
		t.Error(v)
	}
	if v := r.Size(); v != math.MaxInt64 {
		t.Error(v)
	}
	if v := r.Count(2); v != 2 {
		t.Error(v)
	}
	if v, w := r.Int16(), r.Int16(); v != math.MinInt16 || w != math.MaxInt16 {
		t.Error(v, w)
	}
	if v := r.Bytes(1); string(v) != "r" || cap(v) != 1 {
		t.Errorf("%q, room for %d", v, cap(v))
	}
	if r.Len() != 3 || string(r.Rest()) != "est" || r.Len() != 0 || r.Bad() {
		t.Errorf("%d left", r.Len())
	}
}

func TestWhatIsNotThereIsBad(t *testing.T) {
	t.Parallel()
	huge := binary.AppendUvarint(nil, math.MaxUint64)
	for name, c := range map[string]struct {
		b    []byte
		read func(r *Reader) bool // of something that is not zero
	}{
		"octet":              {nil, func(r *Reader) bool { return r.Byte() != 0 }},
		"varint":             {nil, func(r *Reader) bool { return r.Uint() != 0 }},
		"half a varint":      {[]byte{0x80, 0x80}, func(r *Reader) bool { return r.Uint() != 0 }},
		"half a signed one":  {[]byte{0x80}, func(r *Reader) bool { return r.Int() != 0 }},
		"65 bits":            {append(bytes.Repeat([]byte{0xff}, 9), 2), func(r *Reader) bool { return r.Uint() != 0 }},
		"33 bits":            {binary.AppendUvarint(nil, 1<<32), func(r *Reader) bool { return r.Uint32() != 0 }},
		"32 bits":            {binary.AppendUvarint(nil, 1<<31), func(r *Reader) bool { return r.Number() != 0 }},
		"64 bits":            {binary.AppendUvarint(nil, 1<<63), func(r *Reader) bool { return r.Size() != 0 }},
		"17 bits":            {binary.AppendVarint(nil, math.MaxInt16+1), func(r *Reader) bool { return r.Int16() != 0 }},
		"17 bits below":      {binary.AppendVarint(nil, math.MinInt16-1), func(r *Reader) bool { return r.Int16() != 0 }},
		"seven of eight":     {make([]byte, 7), func(r *Reader) bool { return r.Fixed64() != 0 }},
		"short text":         {[]byte("\x03ab"), func(r *Reader) bool { return r.Text() != "" }},
		"text beyond memory": {huge, func(r *Reader) bool { return r.Octets() != nil }},
		"too many things":    {[]byte("\x02abc"), func(r *Reader) bool { return r.Count(2) != 0 }},
		"things without end": {append(huge, "abc"...), func(r *Reader) bool { return r.Count(1) != 0 }},
		"negative length":    {[]byte("abc"), func(r *Reader) bool { return r.Bytes(-1) != nil }},
		"said by the caller": {[]byte("abc"), func(r *Reader) bool { r.Fail(); return false }},
	} {
		r := NewReader(c.b)
		if c.read(&r) || !r.Bad() {
			t.Errorf("%s: there is a value, or it is not bad (%v)", name, r.Bad())
		}
		if r.Len() != 0 || r.Uint() != 0 || r.Text() != "" || r.Count(1) != 0 {
			t.Errorf("%s: the record goes on", name)
		}
	}
}

// FuzzReader reads fields of the kinds that ops names. A Reader never gives
// more than there is, and does not recover.
func FuzzReader(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7}, []byte("\x05\xff\x01\x02ab\x80\x80\x01\x04text\x00\x00\x00\x00\x00\x00\x00\x01"))
	f.Add([]byte{5, 5, 5}, binary.AppendUvarint(nil, math.MaxInt64))
	f.Fuzz(func(t *testing.T, ops, b []byte) {
		r := NewReader(b)
		for _, op := range ops {
			before, bad := r.Len(), r.Bad()
			zero := false
			switch op % 8 {
			case 0:
				zero = r.Byte() == 0
			case 1:
				zero = r.Uint() == 0
			case 2:
				zero = r.Uint32() == 0
			case 3:
				zero = r.Int() == 0
			case 4:
				zero = r.Fixed64() == 0
			case 5:
				text := r.Text()
				zero = text == ""
				if len(text) > before {
					t.Fatalf("%d octets of %d", len(text), before)
				}
			case 6:
				n := r.Count(int(op)/8 + 1)
				zero = n == 0
				if n*(int(op)/8+1) > r.Len() {
					t.Fatalf("%d things in %d octets", n, r.Len())
				}
			case 7:
				zero = len(r.Bytes(int(op)/8)) == 0
			}
			if bad && (!r.Bad() || !zero) || r.Bad() && (!zero || r.Len() != 0) || r.Len() > before {
				t.Fatalf("operation %d: bad %v, then %v with %d octets", op, bad, r.Bad(), r.Len())
			}
		}
	})
}
