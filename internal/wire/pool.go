package wire

import "sync"

const (
	// headroom is kept free before the unread octets of a reader, so that the
	// CRs that ended one BDAT chunk can be put before the next one.
	headroom = 2
	idleSize = 4 << 10
	// BlockSize is how large the blocks of a Pool are.
	BlockSize = 32 << 10
)

// Pool lends blocks to readers and writers. The zero value is ready; one per
// server. A nil *Pool allocates.
type Pool struct{ p sync.Pool }

// Get lends a block of BlockSize.
func (p *Pool) Get() *[]byte {
	if p != nil {
		if b, ok := p.p.Get().(*[]byte); ok {
			return b
		}
	}
	b := make([]byte, BlockSize)
	return &b
}

// Put takes it back; one of another size is dropped.
func (p *Pool) Put(b *[]byte) {
	if p != nil && len(*b) == BlockSize {
		p.p.Put(b)
	}
}
