package box

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"toastmaster/internal/envelope"
	"toastmaster/internal/vfs"
	"toastmaster/internal/wire"
	"toastmaster/mailstore/index"
	"toastmaster/mailstore/packed"
	"toastmaster/mailstore/volume"
)

// Read opens the content of message seq (LF line ends). ErrExpunged when it
// is gone. The caller closes it.
func (v *View) Read(ctx context.Context, seq uint32) (c envelope.Content, err error) {
	if v.uid(seq) == 0 {
		return nil, volume.ErrExpunged
	}
	err = v.retry(ctx, func() (err error) {
		r, err := v.reading(seq)
		if err == nil {
			c, err = r.read(ctx)
		}
		return err
	})
	return c, err
}

// reading is a message whose file is opened, without a lock. A UID alone would not do
// for it: see View.find.
type reading struct {
	mb   *Box
	uid  uint32
	name string
}

// reading is that of message seq.
func (v *View) reading(seq uint32) (reading, error) {
	v.mb.mu.Lock()
	defer v.mb.mu.Unlock()
	m := v.live(seq)
	if m == nil {
		return reading{}, volume.ErrExpunged
	}
	return reading{v.mb, m.UID, m.Name}, nil
}

// message is what the index has of it, nil when it is no more. The mailbox is locked.
func (r reading) message() *index.Message {
	if r.mb.dead {
		return nil
	}
	if m := r.mb.st.Get(r.uid); m != nil && m.Name == r.name {
		return m
	}
	return nil
}

// read opens a message's file. One that is not where the index says was
// renamed or removed by another program: look once more. One of another size
// was changed, or lost its content in a power loss: the index learns it.
func (r reading) read(ctx context.Context) (envelope.Content, error) {
	c, known, err := r.open(ctx)
	if err != nil || known {
		return c, err
	}
	if _, err := r.relearn(ctx, c); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// open opens the content of a message; known says that it is what the
// index has.
func (r reading) open(ctx context.Context) (c envelope.Content, known bool, err error) {
	mb := r.mb
	for again := false; ; again = true {
		m, ok := r.file()
		if !ok {
			return nil, false, volume.ErrExpunged
		}
		f, err := volume.OpenRegular(mb.vol.FS, m.path, os.O_RDONLY)
		switch {
		case err == nil:
			return content(ctx, &mb.o.Memory.packed, f, m)
		case volume.Odd(err):
			mb.vol.SayOnce(m.path, "cannot be read", err)
			return nil, false, fmt.Errorf("%w: %w", volume.ErrUnreadable, err)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, false, err
		case again:
			return nil, false, mb.misplaced("reading", 1)
		}
		if err := mb.lookAgain(ctx); err != nil {
			return nil, false, err
		}
	}
}

// messageFile is a message's file as the index has it.
type messageFile struct {
	path, base, rest string
	size             int64
	packed           bool
}

// file is the message's file; not ok when the message is no more.
func (r reading) file() (f messageFile, ok bool) {
	mb := r.mb
	mb.mu.Lock()
	defer mb.mu.Unlock()
	m := r.message()
	if m == nil {
		return f, false
	}
	rare := m.Rarely()
	return messageFile{path: filepath.Join(mb.path, m.File()), base: m.Name, rest: rare.Rest, size: m.Size, packed: rare.Packed}, true
}

// content is the content of an open file, which it takes over. known says that
// the index has its size and form.
func content(ctx context.Context, u *unpacker, f volume.RegularFile, m messageFile) (c envelope.Content, known bool, err error) {
	plain := &stored{File: f, size: f.Info.Size()}
	if !m.packed && m.size == plain.size {
		return plain, true, nil
	}
	form := packed.None
	if m.packed {
		form, err = formOf(f)
	} else {
		form, err = u.isPacked(ctx, f, m.base, m.rest)
	}
	if err != nil {
		return nil, false, errors.Join(err, f.Close())
	}
	if form == packed.None {
		return plain, false, nil
	}
	mail, err := u.unpack(ctx, f, form)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, false, err
	}
	return mail, m.packed && mail.Size() == m.size, nil
}

// orExpunged turns "no such mailbox" into "message expunged" for a view whose
// mailbox was deleted under it.
func orExpunged(err error) error {
	if errors.Is(err, volume.ErrNotFound) {
		return volume.ErrExpunged
	}
	return err
}

// stored is the content of a message: its open file.
type stored struct {
	vfs.File
	size int64
}

// Size is the number of octets stored.
func (s *stored) Size() int64 { return s.size }

// Bytes has nothing: the message is read from its file.
func (s *stored) Bytes() ([]byte, bool) { return nil, false }

// wireSize counts a content's octets with CR LF line ends: an LF without a CR
// before it is two.
func wireSize(c envelope.Content) (int64, error) {
	var measure wire.Sizer
	for p, err := range envelope.Pieces(c, 0, c.Size(), envelope.Block(c, 64<<10)) {
		if err != nil {
			return c.Size(), err
		}
		measure.Add(p)
	}
	return measure.Wire, nil
}

// onlyReal drops the end of a file, which is no failure of a cache.
func onlyReal(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
