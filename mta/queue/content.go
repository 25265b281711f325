package queue

import (
	"io"

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
