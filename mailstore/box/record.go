package box

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"toastmaster/internal/envelope"
	"toastmaster/internal/mime"
	"toastmaster/mailstore/index"
	"toastmaster/mailstore/search"
	"toastmaster/mailstore/volume"
)

// What is known of a message without opening it: its record, which the cache keeps
// and package mime writes and reads.

// Record reads the record of message seq into m, whose slices are valid until the
// next call on the view. It opens no message file unless the record was lost. With
// whole set it has all that a scan finds today: a record of an older version gets
// what it lacks from the header of the message, and is kept so.
func (v *View) Record(ctx context.Context, seq uint32, m *mime.Message, whole bool) error {
	if v.uid(seq) == 0 {
		return volume.ErrExpunged
	}
	if !v.mb.over.Load() { // in the usual case no more is to be done
		if found, err := v.quick(seq, m, whole); found || errors.Is(err, volume.ErrExpunged) && !v.mb.over.Load() {
			return err
		}
	}
	return v.retry(ctx, func() error {
		found, err := v.quick(seq, m, whole)
		switch {
		case err != nil:
			return volume.Err(err)
		case found:
			return nil
		case len(m.Parts) == 0:
			return v.mb.scanAgain(ctx, v.finder(seq), m)
		}
		return v.mb.takeHeader(ctx, v.finder(seq), m)
	})
}

// quick reads a record from the cache. It is not found when it is lost, and m has no
// parts then, or when it is not whole.
func (v *View) quick(seq uint32, m *mime.Message, whole bool) (found bool, err error) {
	v.mb.mu.Lock()
	defer v.mb.mu.Unlock()
	live := v.live(seq)
	if live == nil {
		return false, volume.ErrExpunged
	}
	return v.readRecord(live, m, whole)
}

// readRecord is quick for a message of the mailbox, which is locked.
func (v *View) readRecord(is *index.Message, m *mime.Message, whole bool) (found bool, err error) {
	m.Parts = m.Parts[:0]
	data, err := v.recordData(is)
	if err != nil || data == nil {
		return false, err
	}
	if m.Parse(data) != nil {
		m.Parts = m.Parts[:0]
		return false, nil
	}
	if !whole {
		return true, nil
	}
	if !m.Whole() {
		return false, nil
	}
	front, err := v.front(is, m)
	if err != nil || front == nil {
		return false, err
	}
	return m.Fields.Parse(front) == nil, nil
}

// front is what lies before the entry of a message, whose record is m; nil if it is
// damaged. m goes on pointing into the window.
func (v *View) front(is *index.Message, m *mime.Message) ([]byte, error) {
	w, n := v.window, index.FrontLen(m.FieldsSize())
	from, end := is.CacheOff-n, is.CacheOff+int64(is.CacheLen)
	if from < 0 {
		return nil, nil
	}
	if !w.covers(from, end) {
		if ok, err := v.cover(w, from, end); !ok {
			return nil, err
		}
		data, ok := index.Entry(w.buf[is.CacheOff-w.off:][:is.CacheLen], is.UID)
		if !ok || m.Parse(data) != nil {
			return nil, nil
		}
	}
	return v.read(w, from, n, is.UID)
}

// limits are those of a scan.
func (mb *Box) limits() mime.Limits {
	l := mime.Limits{MaxFields: int(mb.vol.Config.CachedFields)}
	if l.MaxFields == 0 {
		l.MaxFields = -1
	}
	return l
}

// scanFile scans a message that lies in its file, with its sort keys.
func (mb *Box) scanFile(r io.Reader) (*mime.Message, error) {
	m, err := mb.limits().Scan(r)
	if err != nil {
		return nil, fmt.Errorf("mailstore: scanning a message: %w", err)
	}
	m.Keys = search.AppendSortKeys(nil, m)
	return m, nil
}

// scanAgain makes the record of a message whose own was lost.
func (mb *Box) scanAgain(ctx context.Context, find finder, m *mime.Message) error {
	c, _, err := mb.openFile(ctx, find)
	if err != nil {
		return err
	}
	scanned, err := mb.relearn(ctx, find, c)
	if err = errors.Join(err, c.Close()); err == nil {
		*m = *scanned
	}
	return err
}

// relearn scans a message and logs what is different.
func (mb *Box) relearn(ctx context.Context, find finder, c envelope.Content) (*mime.Message, error) {
	scanned, err := mb.scanFile(envelope.Reader(c))
	if err != nil {
		return nil, err
	}
	return scanned, orExpunged(mb.locked(ctx, func() error {
		if m := find(); m != nil {
			mb.logScanned(m, scanned)
			mb.logPacked(m, c)
		}
		return mb.commitQuietly()
	}))
}

// takeHeader gives a record of an older version what it lacks, from the header of
// the message. It is kept if that is possible now: the answer is good without.
func (mb *Box) takeHeader(ctx context.Context, find finder, m *mime.Message) (err error) {
	c, known, err := mb.openFile(ctx, find)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if !known || c.Size() != m.Size {
		scanned, err := mb.relearn(ctx, find, c)
		if err == nil {
			*m = *scanned
		}
		return err
	}
	scanned, err := mb.scanFile(io.NewSectionReader(c, 0, m.Parts[0].Body))
	if err != nil {
		return err
	}
	m.TakeHeader(scanned)
	record := recordOf(m)
	kept := mb.locked(ctx, func() error {
		if is := find(); is != nil {
			mb.logRecord(is, record)
		}
		return mb.commitQuietly()
	})
	if kept != nil && !errors.Is(kept, volume.ErrNotFound) {
		mb.vol.SayOnce(mb.path, "records of messages cannot be written", kept)
	}
	// What it was read from is the view's.
	return errors.Join(m.Parse(record.Data), m.Fields.Parse(record.Front))
}

// recordOf is what is kept of a message.
func recordOf(m *mime.Message) index.Record {
	return index.Record{Data: m.AppendBinary(nil), Front: m.Fields.AppendBinary(nil)}
}

// logScanned writes the record of m and logs its place and its sizes.
func (mb *Box) logScanned(m *index.Message, scanned *mime.Message) {
	mb.logRecord(m, recordOf(scanned))
	if m.Wire != scanned.WireSize || m.Size != scanned.Size {
		mb.batch.Sizes(m.UID, scanned.Size, scanned.WireSize)
	}
}

func (mb *Box) logRecord(m *index.Message, record index.Record) {
	entry := index.Message{UID: m.UID}
	if mb.addRecord(&entry, record); entry.CacheLen > 0 {
		mb.batch.Cache(m.UID, entry.CacheOff, entry.CacheLen)
	}
}

// wholeRecord is what the cache keeps of a message, to be written elsewhere.
func (v *View) wholeRecord(is *index.Message) (r index.Record, err error) {
	var m mime.Message
	found, err := v.readRecord(is, &m, true)
	if err != nil || !found {
		data, err := v.recordData(is)
		return index.Record{Data: slices.Clone(data)}, err
	}
	return recordOf(&m), nil
}

// addRecord writes a record to the cache. Without one the message is scanned again at
// need, so a failure is not the message's.
func (mb *Box) addRecord(m *index.Message, record index.Record) {
	if n := len(record.Data); n == 0 || int64(n+len(record.Front)) > mb.vol.Config.CachedRecord {
		return
	}
	off, n, err := mb.cache.Append(mb.st.CacheEnd, m.UID, record)
	if err != nil {
		mb.vol.Log.Warn("writing the cache of records", "path", mb.path, "cause", err)
		return
	}
	m.CacheOff, m.CacheLen = off, n
}

// recordData is the record of a message, nil if there is none, it is damaged, or of
// a version that mime does not read. The mailbox is locked.
func (v *View) recordData(m *index.Message) ([]byte, error) {
	if m.CacheLen == 0 {
		return nil, nil
	}
	data, err := v.cached(m)
	if err != nil || !mime.Readable(data) {
		return nil, err
	}
	return data, nil
}
