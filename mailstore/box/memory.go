package box

import (
	"sync"
	"time"

	"toastmaster/mailstore/volume"
)

// Memory is what all mailboxes of a store share: buffers, and what was unpacked.
type Memory struct {
	// windows are *window of views, see View.Structure.
	windows sync.Pool
	// scratches are *scratch of deliveries.
	scratches sync.Pool
	packed    unpacker
}

// NewMemory makes it, with the bounds of store.unpack_concurrency and
// store.unpacked_cache.
func NewMemory(vol *volume.Volume) *Memory {
	m := &Memory{}
	m.packed.vol = vol
	m.packed.places = make(chan struct{}, vol.Config.UnpackConcurrency)
	m.packed.kept.limit = vol.Config.UnpackedCache
	return m
}

// Trim lets go of what nobody has asked for lately.
func (m *Memory) Trim(now time.Time) { m.packed.kept.dropUnused(now.Add(-unpackedFor)) }

// Clear lets go of everything.
func (m *Memory) Clear() { m.packed.kept.clear() }
