package mailstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"toastmaster/internal/envelope"
	"toastmaster/internal/spool"
	"toastmaster/mailstore/index"
	"toastmaster/mailstore/maildir"
	"toastmaster/mailstore/packed"
)

// Message files that Dovecot's zlib plugin compressed are read as the mail that
// they are: everywhere, because all reading goes through openFile. What we
// store is never compressed, and is never taken for it: our names have the
// size of the file in S=, those of a compressed file the size of the mail.

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
func (mb *mailbox) isPacked(ctx context.Context, f regularFile, base, rest string) (packed.Form, error) {
	form, err := formOf(f)
	if err != nil || form == packed.None || saysPacked(base, rest, f.info.Size()) {
		return form, err
	}
	c, err := mb.unpack(ctx, f, form)
	if err != nil {
		return packed.None, onlyOurs(err)
	}
	if c.Size() != f.info.Size() {
		form = packed.None
	}
	return form, c.Close()
}

// onlyOurs drops an error that says that the file is no packed message.
func onlyOurs(err error) error {
	if errors.Is(err, ErrUnreadable) {
		return nil
	}
	return err
}

// unpack is the content of a packed file: the one that is kept from before, or
// what unpackAll reads.
func (mb *mailbox) unpack(ctx context.Context, f regularFile, form packed.Form) (*unpacked, error) {
	s := mb.store()
	key, known := keyOf(f.info)
	if known {
		if u := s.kept.get(key, s.clock.Now()); u != nil {
			return u, nil
		}
	}
	b, err := s.unpackAll(ctx, f, form)
	switch {
	case err != nil:
		return nil, err
	case known:
		return s.kept.put(key, b, s.clock.Now()), nil
	}
	return &unpacked{buffer: b}, nil
}

// unpackAll reads a packed file to its end, with bounded memory. ErrUnreadable
// when it is damaged, of a form that is not read, or larger than
// store.unpacked_limit.
func (s *Store) unpackAll(ctx context.Context, f regularFile, form packed.Form) (*spool.Buffer, error) {
	select {
	case s.unpacking <- struct{}{}:
		defer func() { <-s.unpacking }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	bad := func(err error) error {
		s.sayOnce(f.Name(), "compressed, and cannot be read", err)
		return fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	r, err := form.Reader(io.NewSectionReader(f, 0, f.info.Size()))
	if err != nil {
		return nil, bad(err)
	}
	defer r.Close()
	b := s.spool.New()
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		if b.Size()+int64(n) > s.cfg.UnpackedLimit {
			return nil, errors.Join(bad(errors.New("more than store.unpacked_limit")), b.Close())
		}
		if n > 0 {
			if _, err := b.Write(buf[:n]); err != nil {
				return nil, errors.Join(storeError(err), b.Close())
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

// messageFile is a message's file as the index has it.
type messageFile struct {
	path, base, rest string
	size             int64
	packed           bool
}

func (mb *mailbox) file(find finder) (f messageFile, ok bool) {
	mb.mu.Lock()
	defer mb.mu.Unlock()
	m := find()
	if m == nil {
		return f, false
	}
	r := m.Rarely()
	return messageFile{path: mb.pathOf(m), base: m.Name, rest: r.Rest, size: m.Size, packed: r.Packed}, true
}

// content is the content of an open file, which it takes over. known says that
// the index has its size and form.
func (mb *mailbox) content(ctx context.Context, f regularFile, m messageFile) (c envelope.Content, known bool, err error) {
	plain := &stored{File: f, size: f.info.Size()}
	if !m.packed && m.size == plain.size {
		return plain, true, nil
	}
	form := packed.None
	if m.packed {
		form, err = formOf(f)
	} else {
		form, err = mb.isPacked(ctx, f, m.base, m.rest)
	}
	if err != nil {
		return nil, false, errors.Join(err, f.Close())
	}
	if form == packed.None {
		return plain, false, nil
	}
	u, err := mb.unpack(ctx, f, form)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, false, err
	}
	return u, m.packed && u.Size() == m.size, nil
}

// logPacked logs whether m's file is packed.
func (mb *mailbox) logPacked(m *index.Message, c envelope.Content) {
	_, is := c.(*unpacked)
	if r := m.Rarely(); r.Packed != is {
		r.Packed = is
		mb.batch.Rare([]uint32{m.UID}, r)
	}
}

// examinePacked gives the index what it must know of a packed file. The sizes in
// a name that Dovecot made are believed, as those of any other; without them it
// is unpacked once.
func (mb *mailbox) examinePacked(ctx context.Context, f regularFile, form packed.Form, m *index.Message) error {
	r := m.Rarely()
	r.Packed = true
	m.SetRare(r)
	stored, wire := maildir.Sizes(m.Name)
	if stored >= 0 && wire >= stored {
		m.Size, m.Wire = stored, wire
		return nil
	}
	m.Wire = m.Size
	c, err := mb.unpack(ctx, f, form)
	if err != nil {
		return onlyOurs(err)
	}
	m.Size = c.Size()
	m.Wire, err = wireSize(c, m.Size)
	return errors.Join(err, c.Close())
}
