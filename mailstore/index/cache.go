package index

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"toastmaster/internal/crc32c"
	"toastmaster/internal/vfs"
)

const (
	cacheMagic  = "TMCACHE\x01"
	cacheHeader = 8
	entryHeader = 8
)

// Cache is the open cache file of one mailbox.
type Cache struct {
	fs   vfs.FS
	name string
	file vfs.File
}

// OpenCache prepares the cache in dir; the file is opened at first use.
func OpenCache(fsys vfs.FS, dir string) *Cache {
	return &Cache{fs: fsys, name: filepath.Join(dir, CacheFile)}
}

// Close closes the file.
func (c *Cache) Close() error {
	if c.file == nil {
		return nil
	}
	f := c.file
	c.file = nil
	return f.Close()
}

func (c *Cache) open(create bool) error {
	if c.file != nil {
		return nil
	}
	flag := os.O_RDWR
	if create {
		flag |= os.O_CREATE
	}
	f, err := c.fs.OpenFile(c.name, flag, 0o600)
	if err != nil {
		return err
	}
	c.file = f
	return nil
}

// Record is what the cache keeps of a message. Who needs the first part only does not
// pay for checking the other, which lies in front of it.
type Record struct{ Data, Front []byte }

// Append writes a record for uid at off, which is the state's CacheEnd, and returns
// the place of its Data: where the message is to have its entry. Room is memory that it
// may use, and grow. The lock of the log is held.
func (c *Cache) Append(room *[]byte, off int64, uid uint32, r Record) (at int64, n uint32, err error) {
	if err := c.open(true); err != nil {
		return 0, 0, err
	}
	b := (*room)[:0]
	if off == cacheHeader {
		b, off = append(b, cacheMagic...), 0
	}
	if len(r.Front) > 0 {
		b = appendEntry(b, uid, r.Front)
	}
	start := len(b)
	b = appendEntry(b, uid, r.Data)
	*room = b[:0]
	if _, err := c.file.WriteAt(b, off); err != nil {
		return 0, 0, err
	}
	return off + int64(start), uint32(len(b) - start), nil
}

func appendEntry(b []byte, uid uint32, data []byte) []byte {
	start := len(b)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint32(b, uid)
	b = append(b, data...)
	binary.LittleEndian.PutUint32(b[start:], crc32c.Sum(b[start+4:]))
	return b
}

// FrontLen is how many octets before its entry the Front of a record begins that has
// size octets.
func FrontLen(size int) int64 { return int64(size) + entryHeader }

// ReadAt fills p from off, as far as the file goes; 0 if there is no file.
func (c *Cache) ReadAt(p []byte, off int64) (int, error) {
	if err := c.open(false); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return 0, nil
		}
		return 0, err
	}
	return c.file.ReadAt(p, off)
}

// Entry checks an entry, or the Front of one, and returns its data, a part of raw; ok
// is false when it is damaged or another message's.
func Entry(raw []byte, uid uint32) (data []byte, ok bool) {
	if len(raw) < entryHeader || binary.LittleEndian.Uint32(raw[4:]) != uid ||
		binary.LittleEndian.Uint32(raw) != crc32c.Sum(raw[4:]) {
		return nil, false
	}
	return raw[entryHeader:], true
}
