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
		c, err = v.mb.read(ctx, v.finder(seq))
		return err
	})
	return c, err
}

// finder finds a message in its mailbox, which is locked; nil when it is no more.
// A UID would not do: see View.find.
type finder func() *index.Message

// read opens a message's file. One that is not where the index says was
// renamed or removed by another program: look once more. One of another size
// was changed, or lost its content in a power loss: the index learns it.
func (mb *Box) read(ctx context.Context, find finder) (envelope.Content, error) {
	c, known, err := mb.openFile(ctx, find)
	if err != nil || known {
		return c, err
	}
	if _, err := mb.relearn(ctx, find, c); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// openFile opens the content of a message; known says that it is what the
// index has.
func (mb *Box) openFile(ctx context.Context, find finder) (c envelope.Content, known bool, err error) {
	for again := false; ; again = true {
		m, ok := mb.file(find)
		if !ok {
			return nil, false, volume.ErrExpunged
		}
		f, err := volume.OpenRegular(mb.vol.FS, m.path, os.O_RDONLY)
		switch {
		case err == nil:
			return mb.content(ctx, f, m)
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

func (mb *Box) pathOf(m *index.Message) string { return filepath.Join(mb.path, m.File()) }

// lookAgain reads both directories.
func (mb *Box) lookAgain(ctx context.Context) error {
	return orExpunged(mb.locked(ctx, func() error {
		mb.stamps.forget()
		return mb.compare(ctx, false)
	}))
}

// orExpunged turns "no such mailbox" into "message expunged" for a view whose
// mailbox was deleted under it.
func orExpunged(err error) error {
	if errors.Is(err, volume.ErrNotFound) {
		return volume.ErrExpunged
	}
	return err
}

// messageFile is a message's file as the index has it.
type messageFile struct {
	path, base, rest string
	size             int64
	packed           bool
}

func (mb *Box) file(find finder) (f messageFile, ok bool) {
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
func (mb *Box) content(ctx context.Context, f volume.RegularFile, m messageFile) (c envelope.Content, known bool, err error) {
	plain := &stored{File: f, size: f.Info.Size()}
	if !m.packed && m.size == plain.size {
		return plain, true, nil
	}
	form := packed.None
	if m.packed {
		form, err = formOf(f)
	} else {
		form, err = mb.o.Memory.packed.isPacked(ctx, f, m.base, m.rest)
	}
	if err != nil {
		return nil, false, errors.Join(err, f.Close())
	}
	if form == packed.None {
		return plain, false, nil
	}
	u, err := mb.o.Memory.packed.unpack(ctx, f, form)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, false, err
	}
	return u, m.packed && u.Size() == m.size, nil
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

// wireSize counts a file's octets with CR LF line ends: an LF without a CR
// before it is two.
func wireSize(r io.ReaderAt, size int64) (int64, error) {
	buf := make([]byte, 64<<10)
	var measure wire.Sizer
	for off := int64(0); off < size; {
		n, err := r.ReadAt(buf[:min(int64(len(buf)), size-off)], off)
		if n == 0 {
			return size, err
		}
		measure.Add(buf[:n])
		off += int64(n)
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

// logPacked logs whether m's file is packed.
func (mb *Box) logPacked(m *index.Message, c envelope.Content) {
	_, is := c.(*unpacked)
	if r := m.Rarely(); r.Packed != is {
		r.Packed = is
		mb.batch.Rare([]uint32{m.UID}, r)
	}
}
