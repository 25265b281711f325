package box

import (
	"sync"
	"time"

	"toastmaster/mailstore/index"
	"toastmaster/mailstore/volume"
)

// Memory is what all mailboxes of a store share: buffers, what was unpacked, and what was
// searched.
type Memory struct {
	// windows are *window of views, see View.Record.
	windows sync.Pool
	// scratches are *scratch of deliveries.
	scratches sync.Pool
	// batches are *index.Batch of operations under way, entries *[]byte of entries of the
	// cache that are written: a mailbox that nobody uses has none.
	batches, entries sync.Pool
	packed           unpacker
	columns          columnCache
}

// NewMemory makes it, with the bounds of store.unpack_concurrency,
// store.unpacked_cache and store.search_memory.
func NewMemory(vol *volume.Volume) *Memory {
	m := &Memory{}
	m.packed.vol = vol
	m.packed.places = make(chan struct{}, vol.Config.UnpackConcurrency)
	m.packed.kept.limit = vol.Config.UnpackedCache
	m.columns.limit = vol.Config.SearchMemory
	return m
}

// batch lends an empty batch.
func (m *Memory) batch() *index.Batch {
	if b, ok := m.batches.Get().(*index.Batch); ok {
		return b
	}
	return &index.Batch{}
}

func (m *Memory) putBatch(b *index.Batch) {
	if b.Reset(); !b.Large() {
		m.batches.Put(b)
	}
}

// entry lends room for an entry of a cache.
func (m *Memory) entry() *[]byte {
	if b, ok := m.entries.Get().(*[]byte); ok {
		return b
	}
	return new([]byte)
}

func (m *Memory) putEntry(b *[]byte) {
	if cap(*b) <= maxScratch {
		m.entries.Put(b)
	}
}

// Trim lets go of what nobody has asked for lately.
func (m *Memory) Trim(now time.Time) { m.packed.kept.dropUnused(now.Add(-unpackedFor)) }

// Clear lets go of everything.
func (m *Memory) Clear() { m.packed.kept.clear() }
