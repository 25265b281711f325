package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"toastmaster/internal/crc32c"
	"toastmaster/internal/vfs"
)

// magic ends in the version of the format. A change of what is written needs a
// new one and a new file in testdata/golden.
const (
	magic         = "TMJRNL1\n"
	segmentPrefix = "segment-"
	headerSize    = 44
)

// segment is one file, during one use of it.
type segment struct {
	name  string // path
	slot  int    // number in the name
	file  vfs.File
	size  int64
	seq   uint64
	nonce uint64
	tail  uint64 // the oldest segment in use when this use began
	seed  uint32

	// off is where the next record goes; the committer's.
	off int64
	// short: the file is not as long as its header says.
	short bool
	// unused: the replay found nothing in it.
	unused bool
	// spoiled: it could not be made ready for a new use, and is to go.
	spoiled bool

	// The rest is under Journal.mu. refs counts live records and pins; idle
	// is the number of the last checkpoint begun before refs fell to zero.
	refs   int
	idle   uint64
	sealed bool
}

// end is where records must end.
func (s *segment) end() int64 {
	if s.short {
		return s.size
	}
	return s.size - block
}

// usable says that the file can be used again.
func (s *segment) usable(size int64) bool { return s.size == size && !s.short && !s.spoiled }

// header is the segment's header:
// magic, sequence, nonce, tail, size, CRC32C of the preceding.
func (s *segment) header() []byte {
	b := make([]byte, 0, block)
	b = append(b, magic...)
	for _, v := range []uint64{s.seq, s.nonce, s.tail, uint64(s.size)} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	b = binary.LittleEndian.AppendUint32(b, crc32c.Sum(b))
	return b[:block]
}

// parse takes seq, nonce, tail and the size from a header block.
func (s *segment) parse(b []byte) error {
	if !bytes.HasPrefix(b, []byte(magic)) {
		return errors.New("no segment header")
	}
	if crc32c.Sum(b[:headerSize-4]) != binary.LittleEndian.Uint32(b[headerSize-4:]) {
		return errors.New("segment header: " + errChecksum.Error())
	}
	size := binary.LittleEndian.Uint64(b[32:])
	if size < MinSegmentSize || size > MaxSegmentSize || size%block != 0 {
		return fmt.Errorf("segment header: size %d", size)
	}
	s.seq = binary.LittleEndian.Uint64(b[8:])
	s.nonce = binary.LittleEndian.Uint64(b[16:])
	s.tail = binary.LittleEndian.Uint64(b[24:])
	s.size = int64(size)
	s.seed = s.makeSeed()
	return nil
}

func (s *segment) makeSeed() uint32 {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], s.seq)
	binary.LittleEndian.PutUint64(b[8:], s.nonce)
	return crc32c.Sum(b[:])
}

// begin starts a new use of the file: new header, first and last block, synced
// before the first record, so that nothing of the earlier use is read again
// when its records are half overwritten.
func (s *segment) begin(seq, tail uint64) error {
	s.seq, s.tail, s.nonce = seq, tail, rand.Uint64()
	s.seed, s.off = s.makeSeed(), block
	s.refs, s.idle, s.sealed = 0, 0, false
	h := s.header()
	if _, err := s.file.WriteAt(h, 0); err != nil {
		return err
	}
	if _, err := s.file.WriteAt(h, s.end()); err != nil {
		return err
	}
	return s.file.Datasync()
}

// readHeader reads the first copy, or the second of a file of fileSize octets.
// A file that is shorter than its header says has lost its end, not its records.
func (s *segment) readHeader(fileSize int64) error {
	b := make([]byte, block)
	var errs []error
	for _, off := range []int64{0, fileSize - block} {
		if off < 0 {
			continue
		}
		_, err := s.file.ReadAt(b, off)
		if err == nil {
			err = s.parse(b)
		}
		if err == nil && off > 0 && s.size != fileSize {
			err = fmt.Errorf("segment header: size %d", s.size)
		}
		if err == nil {
			if s.short = fileSize < s.size; s.short {
				s.size = fileSize
			}
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// The trailer lies in the last block, in another sector than the header's copy:
// how far the records were synced when the segment was left, or whole when an
// Open looked; CRC32C of that, begun with the seed. It tells damage from the
// unfinished write of a crash, of which nobody was told.
const (
	trailerAt   = block / 2
	trailerSize = 12
)

func (s *segment) trailer(proven int64) []byte {
	b := binary.LittleEndian.AppendUint64(make([]byte, 0, trailerSize), uint64(proven))
	return binary.LittleEndian.AppendUint32(b, crc32c.Update(s.seed, b))
}

// finish writes the trailer of a segment that gets no more records.
func (s *segment) finish(proven int64) error {
	if s.short || proven <= block || proven > s.end() {
		return nil
	}
	if _, err := s.file.WriteAt(s.trailer(proven), s.end()+trailerAt); err != nil {
		return err
	}
	return s.file.Datasync()
}

// readTrailer takes proven from the last block of the image, 0 without a trailer.
func (s *segment) readTrailer(image []byte) (proven int64) {
	if s.short {
		return 0
	}
	b := image[s.end()+trailerAt:][:trailerSize]
	proven = int64(binary.LittleEndian.Uint64(b))
	if proven < block || proven > s.end() || !bytes.Equal(b, s.trailer(proven)) {
		return 0
	}
	return proven
}

func slotName(dir string, slot int) string {
	return filepath.Join(dir, fmt.Sprintf("%s%06d", segmentPrefix, slot))
}

// slotOf reads the number in a segment's file name.
func slotOf(base string) (int, bool) {
	digits, ok := strings.CutPrefix(base, segmentPrefix)
	n, err := strconv.Atoi(digits)
	return n, ok && err == nil && n >= 0
}

// zeroes is what create writes at once.
const zeroes = 256 << 10

// create makes a segment file of zeros. They are really written: blocks that
// are merely allocated must be converted at their first write, and that costs
// a commit of the file system's own journal at each fdatasync.
func create(fsys vfs.FS, dir string, slot int, size int64) (*segment, error) {
	name := slotName(dir, slot)
	f, err := fsys.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	err = fill(f, size)
	if err == nil {
		err = fsys.SyncDir(dir)
	}
	if err != nil {
		// What stays behind has the wrong size or no header; Open removes it.
		return nil, errors.Join(err, f.Close(), removeIfThere(fsys, name))
	}
	return &segment{name: name, slot: slot, file: f, size: size}, nil
}

func fill(f vfs.File, size int64) error {
	zero := make([]byte, min(zeroes, size))
	for off := int64(0); off < size; off += int64(len(zero)) {
		n := min(int64(len(zero)), size-off)
		if _, err := f.WriteAt(zero[:n], off); err != nil {
			return err
		}
	}
	return f.Sync()
}

func removeIfThere(fsys vfs.FS, name string) error {
	err := fsys.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
