package faultfs

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// TestContentIsAsASlice: whatever is written, cut, grown and taken over, it reads as a
// slice would to which the same is done, and what a copy was made of does not change
// with it, nor it with the copy.
func TestContentIsAsASlice(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 1))
	type pair struct {
		c content
		b []byte
	}
	pairs := []*pair{{}, {}}
	for step := range 5000 {
		p := pairs[rng.IntN(len(pairs))]
		switch what := rng.IntN(5); {
		case what == 0:
			n := rng.IntN(5 * sector)
			p.c.resize(int64(n))
			p.b = append(bytes.Clone(p.b[:min(n, len(p.b))]), make([]byte, max(n-len(p.b), 0))...)
		case what == 1 && len(pairs) < 5:
			pairs = append(pairs, &pair{p.c.clone(), bytes.Clone(p.b)})
		case what == 2:
			from, i := *pairs[rng.IntN(len(pairs))], rng.IntN(6)
			from.b = bytes.Clone(from.b)
			p.c.take(&from.c, int64(i))
			if at := i * sector; at < len(p.b) && at < len(from.b) {
				end := min(at+sector, len(p.b))
				clear(p.b[at:end]) // a sector is written with zeros behind the end of a file
				copy(p.b[at:end], from.b[at:])
			}
		case len(p.b) > 0:
			off := rng.IntN(len(p.b))
			text := bytes.Repeat([]byte{byte(step)}, rng.IntN(len(p.b)-off)+1)
			p.c.writeAt(text, int64(off))
			copy(p.b[off:], text)
		}
		for k, p := range pairs {
			got := make([]byte, len(p.b)+7)
			if n := p.c.readAt(got, 0); n != len(p.b) || p.c.size != int64(n) || !bytes.Equal(got[:n], p.b) {
				t.Fatalf("seed %d, step %d, pair %d: %d octets of %d, or others", seed, step, k, n, len(p.b))
			}
			off := rng.IntN(len(got))
			if n := p.c.readAt(got[:3], int64(off)); n != min(3, max(len(p.b)-off, 0)) || !bytes.Equal(got[:n], p.b[min(off, len(p.b)):min(off+n, len(p.b))]) {
				t.Fatalf("seed %d, step %d, pair %d: at %d %d octets %q", seed, step, k, off, n, got[:n])
			}
		}
	}
}
