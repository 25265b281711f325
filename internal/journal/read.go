package journal

import (
	"io"

	"toastmaster/internal/crc32c"
)

// ReadAt reads from the payload of a live record, as io.ReaderAt says. It does
// not check the payload's checksum.
func (j *Journal) ReadAt(pos Position, p []byte, off int64) (int, error) {
	j.mu.Lock()
	s := j.segment(pos.Segment)
	j.mu.Unlock()
	if s == nil || pos.Offset == 0 {
		return 0, ErrNoRecord
	}
	left := int64(pos.Length) - off
	if off < 0 || left <= 0 {
		return 0, io.EOF
	}
	short := int64(len(p)) > left
	n, err := s.file.ReadAt(p[:min(int64(len(p)), left)], int64(pos.Offset)+recordHeader+off)
	if err == nil && short {
		err = io.EOF
	}
	return n, err
}

// Load returns the whole payload of a live record, checked.
func (j *Journal) Load(pos Position) ([]byte, error) {
	j.mu.Lock()
	s := j.segment(pos.Segment)
	j.mu.Unlock()
	if s == nil || pos.Offset == 0 {
		return nil, ErrNoRecord
	}
	b := make([]byte, recordHeader+int(pos.Length))
	if _, err := s.file.ReadAt(b, int64(pos.Offset)); err != nil {
		return nil, diskError(err)
	}
	h, ok := parseHeader(b, s.seed, int64(pos.Offset), s.end())
	payload := b[recordHeader:]
	if !ok || h.length != pos.Length || crc32c.Sum(payload) != h.payloadCRC {
		return nil, diskError(ErrDamaged)
	}
	return payload, nil
}
