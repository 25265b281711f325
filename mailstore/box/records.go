package box

import (
	"fmt"
	"io"

	"toastmaster/internal/envelope"
	"toastmaster/internal/mime"
	"toastmaster/mailstore/index"
	"toastmaster/mailstore/search"
)

// records are the records of a mailbox's messages, in its cache. It is the mailbox's, under
// its lock; scan needs none.
type records struct {
	files  *folder
	cache  *index.Cache
	memory *Memory
}

// limits are those of a scan.
func (r *records) limits() mime.Limits {
	l := mime.Limits{MaxFields: int(r.files.vol.Config.CachedFields)}
	if l.MaxFields == 0 {
		l.MaxFields = -1
	}
	return l
}

// scan scans a message that lies in its file, with its sort keys.
func (r *records) scan(file io.Reader) (*mime.Message, error) {
	m, err := r.limits().Scan(file)
	if err != nil {
		return nil, fmt.Errorf("mailstore: scanning a message: %w", err)
	}
	m.Keys = search.AppendSortKeys(nil, m)
	return m, nil
}

// recordOf is what is kept of a message.
func recordOf(m *mime.Message) index.Record {
	return index.Record{Data: m.AppendBinary(nil), Front: m.Fields.AppendBinary(nil)}
}

// of reads a message's record, nil if there is none.
func (r *records) of(m *index.Message) []byte {
	entry := make([]byte, m.CacheLen)
	if n, _ := r.cache.ReadAt(entry, m.CacheOff); n < len(entry) {
		return nil
	}
	data, _ := index.Entry(entry, m.UID)
	return data
}

// add writes a record to the end of the cache, notes its place in m, and returns where the
// cache ends then. Without one the message is scanned again at need, so a failure is not the
// message's.
func (r *records) add(end int64, m *index.Message, record index.Record) int64 {
	if n := len(record.Data); n == 0 || int64(n+len(record.Front)) > r.files.vol.Config.CachedRecord {
		return end
	}
	room := r.memory.entry()
	defer r.memory.putEntry(room)
	off, n, err := r.cache.Append(room, end, m.UID, record)
	if err != nil {
		r.files.vol.Log.Warn("writing the cache of records", "path", r.files.path, "cause", err)
		return end
	}
	m.CacheOff, m.CacheLen = off, n
	return off + int64(n)
}

// log writes the record of m and logs its place.
func (r *records) log(st *index.State, batch *index.Batch, m *index.Message, record index.Record) {
	entry := index.Message{UID: m.UID}
	if r.add(st.CacheEnd, &entry, record); entry.CacheLen > 0 {
		batch.Cache(m.UID, entry.CacheOff, entry.CacheLen)
	}
}

// logScanned writes the record of m and logs its place and its sizes.
func (r *records) logScanned(st *index.State, batch *index.Batch, m *index.Message, scanned *mime.Message) {
	r.log(st, batch, m, recordOf(scanned))
	if m.Wire != scanned.WireSize || m.Size != scanned.Size {
		batch.Sizes(m.UID, scanned.Size, scanned.WireSize)
	}
}

// logPacked logs whether m's file is packed.
func (r *records) logPacked(batch *index.Batch, m *index.Message, c envelope.Content) {
	_, is := c.(*unpacked)
	if rare := m.Rarely(); rare.Packed != is {
		rare.Packed = is
		batch.Rare([]uint32{m.UID}, rare)
	}
}
