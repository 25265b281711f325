package mailstore

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"

	"toastmaster/internal/envelope"
	"toastmaster/internal/mime"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore/index"
	"toastmaster/mailstore/maildir"
)

// incoming is a message on its way in: the file has no name yet.
type incoming struct {
	file      vfs.File
	owned     bool // close it
	msg       index.Message
	structure []byte // of scratch
	scratch   *scratch
	store     *Store
	// room is what the message has in the quota; nil without one.
	room *reservation
}

func (in *incoming) close() {
	if in.owned {
		_ = in.file.Close() // without a name it vanishes; with one, all was written
	}
	if !in.scratch.scanner.Large() && cap(in.scratch.structure) <= maxScratch {
		in.store.scratches.Put(in.scratch)
	}
}

// scratch is memory that one delivery after the other uses.
type scratch struct {
	scanner   mime.Scanner
	structure []byte
}

// maxScratch is how large a structure may be whose memory is kept; one of an
// ordinary message has less than a tenth of it.
const maxScratch = 16 << 10

func (s *Store) scratch() *scratch {
	if x, ok := s.scratches.Get().(*scratch); ok {
		return x
	}
	return &scratch{}
}

// prepare scans and writes the content. A spooled file on our file system is
// used as it is.
func (s *Store) prepare(mb *mailbox, d *Delivery) (*incoming, error) {
	in := &incoming{store: s, scratch: s.scratch()}
	scanned, err := scan(&in.scratch.scanner, d.Prefix, d.Content)
	if err != nil {
		return nil, err
	}
	in.scratch.structure = scanned.AppendBinary(in.scratch.structure[:0])
	in.structure = in.scratch.structure
	date := d.Date
	if date.IsZero() {
		date = s.clock.Now()
	}
	_, zone := date.Zone()
	in.msg = index.Message{
		Date: date.Unix(), Zone: int16(zone / 60),
		Size: int64(len(d.Prefix)) + d.Content.Size(), Wire: scanned.WireSize,
	}
	seconds, unique := s.uniqueName()
	if d.ID != "" {
		// The same name for the same delivery, as far as it goes.
		seconds, unique = date.Unix(), maildir.IDName(d.ID)
	}
	in.msg.Name = maildir.BaseName(seconds, unique, s.host, in.msg.Size, in.msg.Wire)
	if f := spooled(d); f != nil {
		in.file = f
	} else if err := s.writeTemp(mb, d, in); err != nil {
		return nil, err
	}
	return in, nil
}

// writeTemp writes the message to a file without a name.
func (s *Store) writeTemp(mb *mailbox, d *Delivery, in *incoming) error {
	tmp := filepath.Join(mb.path, "tmp")
	f, err := s.fs.OpenTemp(tmp, 0o600)
	if err != nil {
		if err = s.mend(mb.path, err); err == nil {
			f, err = s.fs.OpenTemp(tmp, 0o600)
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

// scan reads the message once. The result is the scanner's if the content lies
// in memory.
func scan(in *mime.Scanner, prefix []byte, c envelope.Content) (*mime.Message, error) {
	if b, inMemory := c.Bytes(); inMemory {
		return in.ScanBytes(prefix, b), nil
	}
	return mime.Scan(io.MultiReader(bytes.NewReader(prefix), envelope.Reader(c)))
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
