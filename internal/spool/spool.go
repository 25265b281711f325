package spool

import (
	"errors"
	"io"
	"sync"

	"golang.org/x/sys/unix"

	"toastmaster/internal/crc32c"
	"toastmaster/internal/dsn"
	"toastmaster/internal/vfs"
)

// Dir makes buffers. It is safe for concurrent use.
type Dir struct {
	FS vfs.FS
	// Path is the folder in whose file system large messages are put.
	Path string
	// Memory is the size in octets up to which a message stays in memory.
	Memory int

	pool sync.Pool // *[]byte
}

// pooled buffers start at this size and are dropped from the pool above Memory.
const firstSize = 8 << 10

// New starts an empty buffer.
func (d *Dir) New() *Buffer {
	p, _ := d.pool.Get().(*[]byte)
	if p == nil {
		b := make([]byte, 0, firstSize)
		p = &b
	}
	return &Buffer{dir: d, mem: p}
}

// Buffer is one message. Writes come from one goroutine; reads after the last
// write may come from several.
type Buffer struct {
	dir  *Dir
	mem  *[]byte
	file vfs.File
	size int64
	sum  uint32 // of what went to file
}

// Write appends. After an error the buffer holds an unknown part of p and can
// only be closed.
func (b *Buffer) Write(p []byte) (int, error) {
	if b.file == nil && int(b.size)+len(p) <= b.dir.Memory {
		*b.mem = append(*b.mem, p...)
		b.size += int64(len(p))
		return len(p), nil
	}
	if b.file == nil {
		if err := b.spill(); err != nil {
			return 0, err
		}
	}
	n, err := b.file.Write(p)
	b.size += int64(n)
	b.sum = crc32c.Update(b.sum, p[:n])
	return n, writeError(err)
}

func (b *Buffer) spill() error {
	f, err := b.dir.FS.OpenTemp(b.dir.Path, 0o600)
	if err != nil {
		return writeError(err)
	}
	if _, err := f.Write(*b.mem); err != nil {
		return errors.Join(writeError(err), f.Close())
	}
	b.file = f
	b.sum = crc32c.Sum(*b.mem)
	*b.mem = (*b.mem)[:0]
	return nil
}

// writeError tells a full disk from other trouble (RFC 3463 x.3.1).
func writeError(err error) error {
	switch {
	case err == nil:
		return nil
	case IsFull(err):
		return dsn.Wrap(dsn.SystemFull, "Insufficient system storage", err)
	}
	return dsn.Wrap(dsn.MailSystem, "Temporary failure while receiving the message", err)
}

// IsFull says that err means no space, no quota or no inode left.
func IsFull(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}

// Size is the number of octets written.
func (b *Buffer) Size() int64 { return b.size }

// Bytes returns the message when it lies in memory.
func (b *Buffer) Bytes() ([]byte, bool) {
	if b.file != nil || b.mem == nil {
		return nil, false
	}
	return *b.mem, true
}

// File is the file of a large message, nil for one in memory. It stays the
// buffer's; whoever wants to keep it links it.
func (b *Buffer) File() vfs.File { return b.file }

// Sum is the CRC32C of a message that lies in a file, of the octets as they
// were written and not as they may be read; of no meaning for one in memory.
func (b *Buffer) Sum() uint32 { return b.sum }

// ReadAt reads from memory or file.
func (b *Buffer) ReadAt(p []byte, off int64) (int, error) {
	if b.file != nil {
		return b.file.ReadAt(p, off)
	}
	if b.mem == nil || off >= b.size {
		return 0, io.EOF
	}
	n := copy(p, (*b.mem)[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Close returns the memory to the pool and closes the file. The slice of
// Bytes must not be used afterwards. A second Close does nothing.
func (b *Buffer) Close() error {
	if b.mem != nil {
		if cap(*b.mem) <= max(b.dir.Memory, firstSize) {
			*b.mem = (*b.mem)[:0]
			b.dir.pool.Put(b.mem)
		}
		b.mem = nil
	}
	if b.file == nil {
		return nil
	}
	f := b.file
	b.file = nil
	return f.Close()
}
