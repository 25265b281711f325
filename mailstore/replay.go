package mailstore

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"

	"toastmaster/internal/mime"
	"toastmaster/mailstore/index"
)

// delivered says whether a message whose name fits was delivered to this
// mailbox before. A name found missing counts as not delivered: after a power
// loss that is a delivery that never reached the disk. A file may have its
// name but not its content then, so the content is compared and completed.
func (mb *mailbox) delivered(ctx context.Context, d *Delivery, fits func(name string) bool) (known bool, err error) {
	err = mb.locked(ctx, func() (err error) {
		known, err = mb.deliveredLocked(ctx, d, fits)
		return err
	})
	return known, err
}

func (mb *mailbox) deliveredLocked(ctx context.Context, d *Delivery, fits func(name string) bool) (bool, error) {
	if err := mb.compare(ctx, true); err != nil {
		return false, err
	}
	for i := len(mb.st.Messages) - 1; i >= 0; i-- {
		if m := mb.st.Messages[i]; fits(m.Name) {
			return true, mb.complete(m, d)
		}
	}
	for i := len(mb.st.Expunged) - 1; i >= 0; i-- {
		if e := &mb.st.Expunged[i]; !e.Vanished && fits(e.Name) {
			return true, nil
		}
	}
	return false, nil
}

// complete writes a message that was delivered before once more: in place,
// because copies share the file, and without its times changing. A comparison
// would not do. What is read may be a page that the kernel failed to write and
// calls clean all the same, and then it is not on the disk.
func (mb *mailbox) complete(m *index.Message, d *Delivery) error {
	if m.Rarely().Packed {
		return nil // another program has read it whole and compressed it
	}
	path := filepath.Join(mb.path, m.File())
	f, err := mb.store().fs.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	was, err := f.Stat()
	if err == nil {
		err = writeContent(f, d)
	}
	size := int64(len(d.Prefix)) + d.Content.Size()
	if err == nil && was.Size() > size {
		err = f.Truncate(size)
	}
	if err == nil {
		err = mb.store().fs.Chtimes(path, was.ModTime(), was.ModTime())
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	mb.wrote = mb.store().points.note()
	mb.noteAdded(m.UID)
	return mb.rescan(m, d)
}

// rescan corrects what the index says of a message whose file was incomplete
// when it was read.
func (mb *mailbox) rescan(m *index.Message, d *Delivery) error {
	scanned, err := scan(&mime.Scanner{}, d.Prefix, d.Content)
	if err != nil {
		return err
	}
	structure := scanned.AppendBinary(nil)
	if m.Wire == scanned.WireSize && m.Size == scanned.Size && bytes.Equal(mb.structure(m), structure) {
		return nil
	}
	mb.logScanned(m, scanned, structure)
	return mb.commit(nil)
}

// structure reads a message's cache entry, nil if there is none.
func (mb *mailbox) structure(m *index.Message) []byte {
	entry := make([]byte, m.CacheLen)
	if n, _ := mb.cache.ReadAt(entry, m.CacheOff); n < len(entry) {
		return nil
	}
	data, _ := index.Entry(entry, m.UID)
	return data
}
