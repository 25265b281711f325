package queue

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"toastmaster/internal/crc32c"
	"toastmaster/internal/envelope"
	"toastmaster/internal/vfs"
)

// fileContent is a part of a file as a Content, with an optional prefix in
// memory before it. It owns the file.
type fileContent struct {
	prefix []byte
	file   vfs.File
	off    int64 // of the part in the file
	size   int64 // of the part
	sum    checksum
}

// checksum is the CRC32C of a content, or of its part in a file. It is not known
// of a content file whose record is from before it was noted.
type checksum struct {
	value uint32
	known bool
}

// check reads the part in the file once, through a buffer of bounded size, and
// compares it with its checksum. A difference is errDamaged; a part whose
// checksum is not known passes.
func (c *fileContent) check() error {
	if !c.sum.known {
		return nil
	}
	buf, sum := make([]byte, min(copySize, c.size)), uint32(0)
	for done := int64(0); done < c.size; {
		part := buf[:min(int64(len(buf)), c.size-done)]
		if err := readFull(c.file, part, c.off+done); err != nil {
			return fmt.Errorf("%w: %w", errContent, err)
		}
		sum = crc32c.Update(sum, part)
		done += int64(len(part))
	}
	if sum != c.sum.value {
		return damaged("content")
	}
	return nil
}

var _ envelope.Content = (*fileContent)(nil)

func (c *fileContent) Size() int64           { return int64(len(c.prefix)) + c.size }
func (c *fileContent) Bytes() ([]byte, bool) { return nil, false }
func (c *fileContent) Close() error          { return c.file.Close() }

func (c *fileContent) ReadAt(p []byte, off int64) (int, error) {
	if off >= c.Size() {
		return 0, io.EOF
	}
	n := 0
	if off < int64(len(c.prefix)) {
		n = copy(p, c.prefix[off:])
		off += int64(n)
		if n == len(p) {
			return n, nil
		}
	}
	at := off - int64(len(c.prefix))
	want := min(int64(len(p)-n), c.size-at)
	got, err := c.file.ReadAt(p[n:n+int(want)], c.off+at)
	n += got
	if err == nil && n < len(p) {
		err = io.EOF
	}
	if int64(got) == want && n == len(p) {
		err = nil
	}
	return n, err
}

// File is for whoever can copy from a file directly. It has the whole content
// only when there is no prefix and it starts at the file's beginning.
func (c *fileContent) File() vfs.File {
	if len(c.prefix) > 0 || c.off > 0 {
		return nil
	}
	return c.file
}

// content opens the message of m; m.mu is held. A content file that is missing
// or has another size than its record says is errDamaged.
func (d *disk) content(m *message) (envelope.Content, error) {
	if m.place != Incoming {
		f, mf, err := d.files.read(m.place, m.id)
		if err != nil {
			return nil, err
		}
		return mf.content(f), nil
	}
	text := m.text
	if text == nil {
		r, err := d.loadRecord(m)
		if err != nil {
			return nil, err
		}
		text = r.text
	}
	if !m.external {
		return envelope.Memory(text), nil
	}
	size := m.size - int64(len(text))
	f, err := d.files.openContent(m.id, size)
	if err != nil {
		return nil, err
	}
	return &fileContent{prefix: text, file: f, size: size, sum: m.sum}, nil
}

// wholeContent is content for somebody who must not get altered octets: it is
// compared with its checksum. What the journal has was compared when it was
// read. m.mu is held; m.damage says how it went.
func (d *disk) wholeContent(m *message) (envelope.Content, error) {
	c, err := d.content(m)
	if f, ok := c.(*fileContent); ok && err == nil {
		if err = f.check(); err != nil {
			err = errors.Join(err, f.Close())
		}
	}
	if m.damage = nil; err != nil {
		return nil, m.noteDamage(err)
	}
	return c, nil
}

// openContent opens the content file of a message in the journal, which must
// have this size.
func (p *files) openContent(id envelope.QueueID, size int64) (vfs.File, error) {
	f, err := p.fs.OpenFile(p.content(id), os.O_RDONLY, 0)
	if err != nil {
		return nil, missing(err)
	}
	info, err := f.Stat()
	if err == nil {
		err = sameSize(info, size)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// statContent is openContent for somebody who does not want to read it.
func (p *files) statContent(id envelope.QueueID, size int64) error {
	info, err := p.fs.Stat(p.content(id))
	if err != nil {
		return missing(err)
	}
	return sameSize(info, size)
}

// missing makes damage of an error that says that a content file is not there.
func missing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return damaged("content file missing")
	}
	return err
}

func sameSize(info fs.FileInfo, size int64) error {
	if info.Size() != size {
		return damaged(fmt.Sprintf("content file of %d octets, not %d", info.Size(), size))
	}
	return nil
}
