package wire

import "sync"

const (
	// headroom is kept free before the unread octets of a reader, so that the
	// CRs that ended one BDAT chunk can be put before the next one.
	headroom  = 2
	idleSize  = 4 << 10
	blockSize = 32 << 10
)

// Pool lends blocks to readers and writers. The zero value is ready; one per
// server. A nil *Pool allocates.
type Pool struct{ p sync.Pool }

func (p *Pool) get() *[]byte {
	if p != nil {
		if b, ok := p.p.Get().(*[]byte); ok {
			return b
		}
	}
	b := make([]byte, blockSize)
	return &b
}

func (p *Pool) put(b *[]byte) {
	if p != nil && len(*b) == blockSize {
		p.p.Put(b)
	}
}
