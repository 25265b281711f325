package box

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"toastmaster/internal/spool"
	"toastmaster/mailstore/index"
	"toastmaster/mailstore/maildir"
	"toastmaster/mailstore/packed"
	"toastmaster/mailstore/volume"
)

// Message files that Dovecot's zlib plugin compressed are read as the mail that
// they are: everywhere, because all reading goes through open. What we
// store is never compressed, and is never taken for it: our names have the
// size of the file in S=, those of a compressed file the size of the mail.

// unpacker reads compressed messages, for all mailboxes of a store.
type unpacker struct {
	vol *volume.Volume
	// places has one for each message that is unpacked.
	places chan struct{}
	// kept has its own lock.
	kept unpackedCache
}

// formOf is how a file is packed, by its first octets.
func formOf(f io.ReaderAt) (packed.Form, error) {
	var head [packed.HeadSize]byte
	n, err := f.ReadAt(head[:], 0)
	if err = onlyReal(err); err != nil {
		return packed.None, err
	}
	return packed.Detect(head[:n]), nil
}

// saysPacked is whether the name of a file of this size agrees with its being
// packed: Dovecot's S= is the size of the mail, scripts set the letter Z, and
// other programs write no size at all.
func saysPacked(base, rest string, size int64) bool {
	stored, _ := maildir.Sizes(base)
	letters, _, _ := strings.Cut(strings.TrimPrefix(rest, ":2,"), ",")
	return stored != size || strings.Contains(letters, "Z")
}

// isPacked decides about a file that the index does not know as packed. Its
// name may agree by chance with the size of the file; then what comes out
// decides, which has to have that size.
func (u *unpacker) isPacked(ctx context.Context, f volume.RegularFile, base, rest string) (packed.Form, error) {
	form, err := formOf(f)
	if err != nil || form == packed.None || saysPacked(base, rest, f.Info.Size()) {
		return form, err
	}
	c, err := u.unpack(ctx, f, form)
	if err != nil {
		return packed.None, onlyOurs(err)
	}
	if c.Size() != f.Info.Size() {
		form = packed.None
	}
	return form, c.Close()
}

// onlyOurs drops an error that says that the file is no packed message.
func onlyOurs(err error) error {
	if errors.Is(err, volume.ErrUnreadable) {
		return nil
	}
	return err
}

// unpack is the content of a packed file: the one that is kept from before, or
// what unpackAll reads.
func (u *unpacker) unpack(ctx context.Context, f volume.RegularFile, form packed.Form) (*unpacked, error) {
	key, known := keyOf(f.Info)
	if known {
		if c := u.kept.get(key, u.vol.Clock.Now()); c != nil {
			return c, nil
		}
	}
	b, err := u.unpackAll(ctx, f, form)
	switch {
	case err != nil:
		return nil, err
	case known:
		return u.kept.put(key, b, u.vol.Clock.Now()), nil
	}
	return &unpacked{buffer: b}, nil
}

// source is a packed file that is read. It keeps what the disk said: a form's reader
// calls a file damaged that it could not read.
type source struct {
	*io.SectionReader
	failed error
}

// Read is io.Reader's.
func (s *source) Read(p []byte) (int, error) {
	n, err := s.SectionReader.Read(p)
	if real := onlyReal(err); real != nil {
		s.failed = real
	}
	return n, err
}

// unpackAll reads a packed file to its end, with bounded memory. ErrUnreadable
// when it is damaged, of a form that is not read, or larger than
// store.unpacked_limit. An error of the disk is told as it is: nobody may take the
// file for a damaged one because of that.
func (u *unpacker) unpackAll(ctx context.Context, f volume.RegularFile, form packed.Form) (*spool.Buffer, error) {
	select {
	case u.places <- struct{}{}:
		defer func() { <-u.places }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	src := &source{SectionReader: io.NewSectionReader(f, 0, f.Info.Size())}
	bad := func(err error) error {
		if src.failed != nil {
			return volume.Err(src.failed)
		}
		u.vol.SayOnce(f.Name(), "compressed, and cannot be read", err)
		return fmt.Errorf("%w: %w", volume.ErrUnreadable, err)
	}
	r, err := form.Reader(src)
	if err != nil {
		return nil, bad(err)
	}
	defer r.Close()
	b := u.vol.Spool.New()
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		if b.Size()+int64(n) > u.vol.Config.UnpackedLimit {
			return nil, errors.Join(bad(errors.New("more than store.unpacked_limit")), b.Close())
		}
		if n > 0 {
			if _, err := b.Write(buf[:n]); err != nil {
				return nil, errors.Join(volume.Err(err), b.Close())
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return b, nil
		case err != nil:
			return nil, errors.Join(bad(err), b.Close())
		case ctx.Err() != nil:
			return nil, errors.Join(ctx.Err(), b.Close())
		}
	}
}

// examine gives the index what it must know of a packed file. The sizes in
// a name that Dovecot made are believed, as those of any other; without them it
// is unpacked once.
func (u *unpacker) examine(ctx context.Context, f volume.RegularFile, form packed.Form, m *index.Message) error {
	r := m.Rarely()
	r.Packed = true
	m.SetRare(r)
	stored, wire := maildir.Sizes(m.Name)
	if stored >= 0 && wire >= stored {
		m.Size, m.Wire = stored, wire
		return nil
	}
	m.Wire = m.Size
	c, err := u.unpack(ctx, f, form)
	if err != nil {
		return onlyOurs(err)
	}
	m.Size = c.Size()
	m.Wire, err = wireSize(c)
	return errors.Join(err, c.Close())
}

// unpacked is the content of a compressed message, in memory or in a file
// without a name. It may be read by others, too, so the file is not shown: nobody
// may give it a name.
type unpacked struct {
	buffer *spool.Buffer
	kept   *keptUnpacked // nil: it is the caller's alone, or closed
	cache  *unpackedCache
}
