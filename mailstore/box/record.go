package box

import (
	"context"
	"errors"
	"io"

	"toastmaster/internal/envelope"
	"toastmaster/internal/mime"
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
		if err != nil || found {
			return volume.Err(err)
		}
		r, err := v.reading(seq)
		switch {
		case err != nil:
			return err
		case len(m.Parts) == 0:
			return r.scanAgain(ctx, m)
		}
		return r.takeHeader(ctx, m)
	})
}

// Listing is Record for who lists a mailbox: m gets Envelope and Structure, and has no
// Parts, Fields or Keys. In is filled with what Message tells, under the same lock, unless
// it is nil.
func (v *View) Listing(ctx context.Context, seq uint32, m *mime.Message, in *Message) error {
	if v.uid(seq) == 0 {
		return volume.ErrExpunged
	}
	if !v.mb.over.Load() && v.quickListing(seq, m, in) {
		return nil
	}
	err := v.Record(ctx, seq, m, false)
	if err == nil && in != nil {
		*in = v.Message(seq)
	}
	return err
}

// quickListing reads a listing from the cache; false when it is not there.
func (v *View) quickListing(seq uint32, m *mime.Message, in *Message) bool {
	v.mb.mu.Lock()
	defer v.mb.mu.Unlock()
	live := v.live(seq)
	if live == nil {
		return false
	}
	data, err := v.cache.data(&v.mb.records, live)
	if err != nil || data == nil || m.ParseListing(data) != nil {
		return false
	}
	if in != nil {
		v.tell(live, in)
	}
	return true
}

// Ahead says that the messages first to last are asked for next, so that no more of
// the cache is read than they need. It ends with the next Update.
func (v *View) Ahead(first, last uint32) {
	v.cache.until = 0
	if v.uid(first) == 0 || v.uid(last) == 0 {
		return
	}
	v.mb.mu.Lock()
	defer v.mb.mu.Unlock()
	if a, b := v.live(first), v.live(last); a != nil && b != nil && a.CacheOff <= b.CacheOff {
		v.cache.until = b.CacheOff + int64(b.CacheLen)
	}
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
	return v.cache.record(&v.mb.records, live, m, whole)
}

// scanAgain makes the record of a message whose own was lost.
func (r reading) scanAgain(ctx context.Context, m *mime.Message) error {
	c, _, err := r.open(ctx)
	if err != nil {
		return err
	}
	scanned, err := r.relearn(ctx, c)
	if err = errors.Join(err, c.Close()); err == nil {
		*m = *scanned
	}
	return err
}

// relearn scans a message and logs what is different.
func (r reading) relearn(ctx context.Context, c envelope.Content) (*mime.Message, error) {
	mb := r.mb
	scanned, err := mb.records.scan(envelope.Reader(c))
	if err != nil {
		return nil, err
	}
	return scanned, orExpunged(mb.locked(ctx, func() error {
		if m := r.message(); m != nil {
			mb.records.logScanned(mb.st, mb.batch, m, scanned)
			mb.records.logPacked(mb.batch, m, c)
		}
		return mb.commitQuietly()
	}))
}

// takeHeader gives a record of an older version what it lacks, from the header of
// the message. It is kept if that is possible now: the answer is good without.
func (r reading) takeHeader(ctx context.Context, m *mime.Message) (err error) {
	mb := r.mb
	c, known, err := r.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if !known || c.Size() != m.Size {
		scanned, err := r.relearn(ctx, c)
		if err == nil {
			*m = *scanned
		}
		return err
	}
	scanned, err := mb.records.scan(io.NewSectionReader(c, 0, m.Parts[0].Body))
	if err != nil {
		return err
	}
	m.TakeHeader(scanned)
	record := recordOf(m)
	kept := mb.locked(ctx, func() error {
		if is := r.message(); is != nil {
			mb.records.log(mb.st, mb.batch, is, record)
		}
		return mb.commitQuietly()
	})
	if kept != nil && !errors.Is(kept, volume.ErrNotFound) {
		mb.vol.SayOnce(mb.path, "records of messages cannot be written", kept)
	}
	// What it was read from is the view's.
	return errors.Join(m.Parse(record.Data), m.Fields.Parse(record.Front))
}

// Texts begins a search. step is told what work it is to make a column, in units of
// some 100 ns; its error ends it.
func (v *View) Texts(step func(units int) error) *Texts { return &Texts{v: v, step: step} }
