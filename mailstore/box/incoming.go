package box

import (
	"bytes"
	"errors"
	"io"

	"toastmaster/internal/envelope"
	"toastmaster/internal/mime"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore/account"
	"toastmaster/mailstore/index"
	"toastmaster/mailstore/maildir"
	"toastmaster/mailstore/search"
)

// incoming is a message on its way in: the file has no name yet.
type incoming struct {
	file    vfs.File
	owned   bool // close it
	msg     index.Message
	record  index.Record // of scratch
	scratch *scratch
	mb      *Box
	// room is what the message has in the quota; nil without one.
	room *account.Reservation
}

// newIncoming scans and writes the content. A spooled file on our file system is
// used as it is.
func newIncoming(mb *Box, d *Delivery) (*incoming, error) {
	in := &incoming{mb: mb, scratch: mb.o.Memory.scratch(mb.records.limits())}
	scanned, err := scan(&in.scratch.scanner, d.Prefix, d.Content)
	if err != nil {
		return nil, err
	}
	in.scratch.keys = search.AppendSortKeys(in.scratch.keys[:0], scanned)
	scanned.Keys = in.scratch.keys
	r := &in.scratch.record
	r.Data, r.Front = scanned.AppendBinary(r.Data[:0]), scanned.Fields.AppendBinary(r.Front[:0])
	in.record = *r
	date := d.Date
	if date.IsZero() {
		date = mb.vol.Clock.Now()
	}
	_, zone := date.Zone()
	in.msg = index.Message{
		Date: date.Unix(), Zone: int16(zone / 60),
		Size: int64(len(d.Prefix)) + d.Content.Size(), Wire: scanned.WireSize,
	}
	seconds, unique := mb.vol.UniqueName()
	if d.ID != "" {
		// The same name for the same delivery, as far as it goes.
		seconds, unique = date.Unix(), maildir.IDName(d.ID)
	}
	in.msg.Name = maildir.BaseName(seconds, unique, mb.vol.Host(), in.msg.Size, in.msg.Wire)
	if f := spooled(d); f != nil && mb.mayLink(f) {
		in.file = f
	} else if err := in.write(&mb.files, d); err != nil {
		return nil, err
	}
	return in, nil
}

// write writes the message to a file without a name.
func (in *incoming) write(to *folder, d *Delivery) error {
	tmp := to.path + "/tmp"
	f, err := to.vol.FS.OpenTemp(tmp, 0o600)
	if err != nil {
		if err = to.vol.Mend(to.path, err); err == nil {
			f, err = to.vol.FS.OpenTemp(tmp, 0o600)
		}
	}
	if err != nil {
		return err
	}
	if err := writeContent(f, d); err != nil {
		return errors.Join(err, f.Close())
	}
	in.file, in.owned = f, true
	return nil
}

func (in *incoming) close() {
	if in.owned {
		_ = in.file.Close() // without a name it vanishes; with one, all was written
	}
	if x := in.scratch; !x.scanner.Large() && cap(x.record.Data)+cap(x.record.Front) <= maxScratch {
		in.mb.o.Memory.scratches.Put(in.scratch)
	}
}

// scratch is memory that one delivery after the other uses.
type scratch struct {
	scanner mime.Scanner
	keys    []byte
	record  index.Record
}

// maxScratch is how large a record may be whose memory is kept; one of an
// ordinary message has less than a tenth of it.
const maxScratch = 16 << 10

func (m *Memory) scratch(l mime.Limits) *scratch {
	if x, ok := m.scratches.Get().(*scratch); ok {
		return x
	}
	return &scratch{scanner: mime.Scanner{Limits: l}}
}

// spooled is the file of the content when it can get its name in the Maildir:
// it holds the whole message and was not linked yet.
func spooled(d *Delivery) vfs.File {
	if len(d.Prefix) > 0 {
		return nil
	}
	c, ok := d.Content.(interface{ File() vfs.File })
	if !ok {
		return nil
	}
	return c.File()
}

// mayLink says that others who work in this store can use a spooled file as they do their own: the
// queue of another user has files for itself alone.
func (mb *Box) mayLink(f vfs.File) bool {
	if _, group := vfs.OnDisk(mb.vol.FS); !group {
		return true
	}
	info, err := f.Stat()
	return err == nil && info.Mode().Perm()&0o060 == 0o060
}

// scan reads the message once. The result is the scanner's if the content lies
// in memory.
func scan(in *mime.Scanner, prefix []byte, c envelope.Content) (*mime.Message, error) {
	if b, inMemory := c.Bytes(); inMemory {
		return in.ScanBytes(prefix, b), nil
	}
	return in.Limits.Scan(io.MultiReader(bytes.NewReader(prefix), envelope.Reader(c)))
}

// writeContent writes prefix and content: one call for what is in memory,
// bounded memory for what is not.
func writeContent(f vfs.File, d *Delivery) error {
	if b, ok := d.Content.Bytes(); ok {
		_, err := f.WriteV([][]byte{d.Prefix, b}, 0)
		return err
	}
	if _, err := f.Write(d.Prefix); err != nil {
		return err
	}
	_, err := io.Copy(f, envelope.Reader(d.Content))
	return err
}
