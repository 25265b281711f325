package queue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"toastmaster/internal/crc32c"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/vfs"
)

// A message file: header, envelope, content, then its progress, again at each change.
// doc.go has the octets.
const (
	fileMagic      = "TMQUEUE1"
	fileHeader     = 32
	progressMagic  = 0x31545354 // "TST1"
	progressHeader = 12
	// maxMeta and maxProgress bound what a damaged length makes us allocate.
	maxMeta     = 256 << 20
	maxProgress = 256 << 20
)

// errDamaged is wrapped by every error about the content of a message file.
var errDamaged = errors.New("queue: damaged file")

// errContent is wrapped by the error of a copy whose source cannot be read.
var errContent = errors.New("queue: content cannot be read")

func damaged(what string) error { return fmt.Errorf("%w: %s", errDamaged, what) }

// rcpt is what became of one recipient.
type rcpt struct {
	done bool
	last *dsn.Error
	// gen is the number of the checkpoint that makes an EffectStore durable,
	// zero for everything else. It is not written to files.
	gen uint64
}

// progress is what changes of a message: what became of its attempts.
type progress struct {
	attempts int
	warned   bool
	// boot is the process that wrote it; another one must assume that
	// recipients were tried and the mark was lost.
	boot  uint64
	rcpts []rcpt
	// expired says that an operator made it expire.
	expired bool
}

func (s *progress) pending() bool {
	for i := range s.rcpts {
		if !s.rcpts[i].done {
			return true
		}
	}
	return false
}

// Version 2 of a progress is version 1 with a flag behind the number of the process, and written only where the
// flag is set: other files can still be read by the program before.
const (
	progressVersion = 1
	expiredVersion  = 2
)

func (s *progress) encode() []byte {
	e := encoder{make([]byte, 0, 64)}
	if s.expired {
		e.byte(expiredVersion)
	} else {
		e.byte(progressVersion)
	}
	e.uint(uint64(s.attempts))
	e.bool(s.warned)
	e.b = binary.LittleEndian.AppendUint64(e.b, s.boot)
	if s.expired {
		e.bool(true)
	}
	e.uint(uint64(len(s.rcpts)))
	for _, r := range s.rcpts {
		switch {
		case r.done:
			e.byte('d')
		case r.last != nil:
			e.byte('f')
			e.dsnError(r.last)
		default:
			e.byte('p')
		}
	}
	return e.b
}

// decodeProgress reads the progress of n recipients.
func decodeProgress(b []byte, n int) (*progress, error) {
	d := newDecoder(b)
	version := d.Byte()
	if version != progressVersion && version != expiredVersion {
		return nil, errFormat
	}
	s := &progress{attempts: d.Number(), warned: d.Byte() == 1, boot: d.Fixed64()}
	if version == expiredVersion {
		s.expired = d.Byte() == 1
	}
	if d.Count(1) != n {
		return nil, errFormat
	}
	s.rcpts = make([]rcpt, n)
	for i := range s.rcpts {
		switch d.Byte() {
		case 'd':
			s.rcpts[i].done = true
		case 'f':
			s.rcpts[i].last = d.dsnError()
		case 'p':
		default:
			d.Fail()
		}
	}
	if d.Len() != 0 {
		d.Fail()
	}
	return s, d.err()
}

// progressBlock is an encoded progress with its header; the checksum includes the
// offset, so that a block is valid in one place only.
func progressBlock(s *progress, off int64) []byte {
	payload := s.encode()
	b := make([]byte, progressHeader, progressHeader+len(payload))
	binary.LittleEndian.PutUint32(b, progressMagic)
	binary.LittleEndian.PutUint32(b[4:], uint32(len(payload)))
	binary.LittleEndian.PutUint32(b[8:], progressSum(payload, off))
	return append(b, payload...)
}

func progressSum(payload []byte, off int64) uint32 {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(off))
	return crc32c.Update(crc32c.Sum(b[:]), payload)
}

// messageFile is a parsed message file.
type messageFile struct {
	env      *envelope.Envelope
	progress *progress
	// The content lies at [contentAt, contentAt+contentSize).
	contentAt, contentSize int64
	contentSum             uint32
	// end is where the next progress goes.
	end   int64
	mtime time.Time
}

// content is the part of f, the file m was read from, and owns f.
func (m *messageFile) content(f vfs.File) *fileContent {
	return &fileContent{file: f, off: m.contentAt, size: m.contentSize, sum: checksum{m.contentSum, true}}
}

// writeMessage writes a whole message file to w and returns nothing but
// errors: header, envelope, content, first progress.
func writeMessage(w vfs.File, env *envelope.Envelope, content envelope.Content, s *progress) error {
	meta := encoder{}
	meta.envelope(env)
	size := content.Size()
	// The header is written last, when the content's checksum is known; until
	// then the file is no message.
	at := int64(fileHeader + len(meta.b))
	sum, err := copyContent(w, at, content)
	if err != nil {
		return err
	}
	if _, err := w.WriteAt(progressBlock(s, at+size), at+size); err != nil {
		return err
	}
	_, err = w.WriteAt(fileHead(meta.b, size, sum), 0)
	return err
}

const copySize = 128 << 10

// copyContent writes content at off and returns its checksum.
func copyContent(w io.WriterAt, off int64, content envelope.Content) (uint32, error) {
	sum := uint32(0)
	for part, err := range envelope.Pieces(content, 0, content.Size(), envelope.Block(content, copySize)) {
		if err != nil {
			return 0, fmt.Errorf("%w: %w", errContent, err)
		}
		sum = crc32c.Update(sum, part)
		if _, err := w.WriteAt(part, off); err != nil {
			return 0, err
		}
		off += int64(len(part))
	}
	return sum, nil
}

// readerAt is what readMessage needs of a file.
type readerAt interface {
	io.ReaderAt
	Stat() (os.FileInfo, error)
}

// readMessage reads all but the content.
func readMessage(f readerAt) (*messageFile, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	var h [fileHeader]byte
	if err := readFull(f, h[:], 0); err != nil {
		return nil, err
	}
	if string(h[:8]) != fileMagic || crc32c.Sum(h[:28]) != binary.LittleEndian.Uint32(h[28:]) {
		return nil, damaged("header")
	}
	metaSize := int64(binary.LittleEndian.Uint32(h[8:]))
	size := int64(binary.LittleEndian.Uint64(h[16:]))
	if metaSize > maxMeta || size < 0 || size > info.Size() || fileHeader+metaSize > info.Size()-size {
		return nil, damaged("sizes")
	}
	meta := make([]byte, metaSize)
	if err := readFull(f, meta, fileHeader); err != nil {
		return nil, err
	}
	if crc32c.Sum(meta) != binary.LittleEndian.Uint32(h[12:]) {
		return nil, damaged("envelope")
	}
	d := newDecoder(meta)
	env, err := d.envelope()
	if err != nil {
		return nil, damaged("envelope")
	}
	m := &messageFile{
		env: env, contentAt: fileHeader + metaSize, contentSize: size,
		contentSum: binary.LittleEndian.Uint32(h[24:]), mtime: info.ModTime(),
	}
	return m, m.readProgress(f, info.Size())
}

// readProgress finds the last valid progress. What follows it is a torn write.
func (m *messageFile) readProgress(f readerAt, end int64) error {
	m.end = m.contentAt + m.contentSize
	for {
		s, size, err := readProgressAt(f, m.end, end, len(m.env.Recipients))
		if err != nil {
			return err
		}
		if s == nil {
			break
		}
		m.progress = s
		m.end += size
	}
	if m.progress == nil {
		return damaged("no state")
	}
	return nil
}

// readProgressAt reads the progress at off; nil when there is none.
func readProgressAt(f readerAt, off, end int64, n int) (*progress, int64, error) {
	if off+progressHeader > end {
		return nil, 0, nil
	}
	var h [progressHeader]byte
	if err := readFull(f, h[:], off); err != nil {
		return nil, 0, err
	}
	size := int64(binary.LittleEndian.Uint32(h[4:]))
	if binary.LittleEndian.Uint32(h[:]) != progressMagic || size > maxProgress || off+progressHeader+size > end {
		return nil, 0, nil
	}
	payload := make([]byte, size)
	if err := readFull(f, payload, off+progressHeader); err != nil {
		return nil, 0, err
	}
	if progressSum(payload, off) != binary.LittleEndian.Uint32(h[8:]) {
		return nil, 0, nil
	}
	s, err := decodeProgress(payload, n)
	if err != nil {
		return nil, 0, nil
	}
	return s, progressHeader + size, nil
}

// readFull tells a short file from a failing disk.
func readFull(f io.ReaderAt, b []byte, off int64) error {
	n, err := f.ReadAt(b, off)
	switch {
	case n == len(b):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return damaged("short")
	}
	return err
}
