package box

import (
	"context"
	"time"

	"toastmaster/internal/envelope"
	"toastmaster/mailstore/index"
)

// What tests of the package, which work with a whole store, see besides.

var _ envelope.Content = (*stored)(nil)

// MemoryOf is what the mailbox of v shares with all others.
func MemoryOf(v *View) *Memory { return v.mb.o.Memory }

// SharesVector says that v has no vector of its own.
func SharesVector(v *View) bool { return &v.uids[0] == &v.mb.st.UIDs[0] }

// DropWindow gives the window back, as Update does.
func DropWindow(v *View) { v.cache.drop(v.mb.o.Memory) }

// Entry is the record of a message in the cache.
func Entry(v *View, seq uint32) ([]byte, error) {
	v.mb.mu.Lock()
	defer v.mb.mu.Unlock()
	return v.cache.data(&v.mb.records, v.live(seq))
}

// PutEntry gives a message another one.
func PutEntry(ctx context.Context, v *View, seq uint32, data []byte) error {
	mb := v.mb
	return mb.locked(ctx, func() error {
		mb.records.log(mb.st, mb.batch, mb.st.Get(v.uid(seq)), index.Record{Data: data})
		return mb.commitQuietly()
	})
}

// Kept is how many contents are kept, and what they cost; ok says that the cache
// agrees with itself.
func (m *Memory) Kept() (n int, cost int64, ok bool) {
	return m.packed.kept.order.Len(), m.packed.kept.cost, m.packed.kept.order.Len() == len(m.packed.kept.at)
}

// InUse counts the kept contents that somebody reads.
func (m *Memory) InUse() (n int) {
	for e := m.packed.kept.order.Front(); e != nil; e = e.Next() {
		if k := e.Value.(*keptUnpacked); k.users != 0 || k.left {
			n++
		}
	}
	return n
}

// DropUnused takes out what was last used before.
func (m *Memory) DropUnused(before time.Time) { m.packed.kept.dropUnused(before) }

// Columns is how many columns are kept, and what they cost.
func (m *Memory) Columns() (n int, cost int64) {
	m.columns.mu.Lock()
	defer m.columns.mu.Unlock()
	return m.columns.order.Len(), m.columns.cost
}
