package queue

import (
	"context"
	"errors"
	"io"
	"path/filepath"

	"toastmaster/internal/envelope"
	"toastmaster/internal/journal"
	"toastmaster/internal/vfs"
)

// filed is a content that lies in a file already (spool.Buffer), and whose
// checksum was made when it was written there.
type filed interface {
	File() vfs.File
	Sum() uint32
}

// accept writes the record, and before it the content of a large message. in is its seat.
func (d *disk) accept(ctx context.Context, env *envelope.Envelope, prefix []byte, content envelope.Content, in *seat) (*message, error) {
	size := content.Size()
	r := &record{env: env, prefixSize: int64(len(prefix)), contentSize: size}
	external := size > d.memoryLimit
	var payload []byte
	if !external {
		payload = encodeMessage(r)
		external = int64(len(payload)+len(prefix))+size > d.ledger.j.MaxRecord()
	}
	if external {
		sum, err := d.linkContent(env.ID, content)
		if err != nil {
			return nil, err
		}
		r.external, r.sum = true, checksum{sum, true}
		payload = encodeMessage(r)
	}
	textAt := len(payload)
	payload = append(payload, prefix...)
	if !external {
		var err error
		if payload, err = appendContent(payload, content); err != nil {
			return nil, err
		}
	}
	pos, err := d.ledger.j.Append(ctx, payload)
	if err != nil {
		d.disown(env.ID, external, err)
		return nil, err
	}
	m := newMessage(env.ID, accepted(env.Hold))
	m.size, m.env, m.place, m.pos, m.text = int64(len(prefix))+size, env, Incoming, pos, payload[textAt:]
	m.external, m.sum, m.seat = external, r.sum, in
	if !d.budget.keep(m) {
		m.env = nil
	}
	return m, nil
}

// disown notes that a message was not accepted although its record may be on
// disk, so that recovery does not find it. The mark may be lost with the
// record's own fate; then it is a duplicate.
func (d *disk) disown(id envelope.QueueID, external bool, cause error) {
	if errors.Is(cause, journal.ErrTooLarge) || errors.Is(cause, journal.ErrClosed) {
		return
	}
	d.ledger.farewell(id, leftDeleted)
	if external {
		d.ledger.depart(departure{paths: []string{d.files.content(id)}})
	}
}

// linkContent gives a large content a name in content/, durable with its name,
// and returns its checksum.
func (d *disk) linkContent(id envelope.QueueID, content envelope.Content) (uint32, error) {
	path := d.files.content(id)
	var file vfs.File
	var sum uint32
	if c, ok := content.(filed); ok {
		file, sum = c.File(), c.Sum()
	}
	if file == nil {
		temp, err := d.fs.OpenTemp(d.dir, 0o600)
		if err != nil {
			return 0, err
		}
		defer temp.Close()
		if sum, err = copyContent(temp, 0, content); err != nil {
			return 0, err
		}
		file = temp
	}
	if err := file.Sync(); err != nil {
		return 0, err
	}
	if err := file.LinkTo(path); err != nil {
		return 0, err
	}
	if err := d.fs.SyncDir(filepath.Dir(path)); err != nil {
		return 0, errors.Join(err, d.fs.Remove(path)) // nobody will ask for it
	}
	return sum, nil
}

// appendContent copies a content that goes into the journal.
func appendContent(b []byte, content envelope.Content) ([]byte, error) {
	if whole, ok := content.Bytes(); ok {
		return append(b, whole...), nil
	}
	at, size := len(b), int(content.Size())
	b = append(b, make([]byte, size)...)
	n, err := content.ReadAt(b[at:], 0)
	if n < size {
		if err == nil {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return b, nil
}
