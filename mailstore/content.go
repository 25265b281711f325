package mailstore

import (
	"io"

	"toastmaster/internal/vfs"
	"toastmaster/internal/wire"
)

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
