package crc32c

import (
	"bytes"
	"testing"
)

// The values are those of RFC 3720 appendix B.4 and of the catalogue of CRCs.
func TestKnownSums(t *testing.T) {
	rising := make([]byte, 32)
	for i := range rising {
		rising[i] = byte(i)
	}
	for _, c := range []struct {
		text []byte
		want uint32
	}{
		{nil, 0},
		{make([]byte, 32), 0x8a9136aa},
		{bytes.Repeat([]byte{0xff}, 32), 0x62a8ab43},
		{rising, 0x46dd794e},
		{[]byte("123456789"), 0xe3069283},
	} {
		if got := Sum(c.text); got != c.want {
			t.Errorf("Sum(%q) = %#x, want %#x", c.text, got, c.want)
		}
		for i := range c.text {
			if got := Update(Sum(c.text[:i]), c.text[i:]); got != c.want {
				t.Errorf("Update after %d octets of %q = %#x, want %#x", i, c.text, got, c.want)
			}
		}
	}
}

func TestNothingIsAllocated(t *testing.T) {
	b := make([]byte, 100)
	if n := testing.AllocsPerRun(100, func() { Update(1, b) }); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}
