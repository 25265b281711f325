package queue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"time"

	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/vfs"
)

// A message file: header, envelope, content, then one state after the other.
// doc.go has the octets.
const (
	fileMagic   = "TMQUEUE1"
	fileHeader  = 32
	stateMagic  = 0x31545354 // "TST1"
	stateHeader = 12
	// maxMeta and maxState bound what a damaged length makes us allocate.
	maxMeta  = 256 << 20
	maxState = 256 << 20
)

// errDamaged is wrapped by every error about the content of a message file.
var errDamaged = errors.New("queue: damaged file")

// errContent is wrapped by the error of a copy whose source cannot be read.
var errContent = errors.New("queue: content cannot be read")

func damaged(what string) error { return fmt.Errorf("%w: %s", errDamaged, what) }

// rcpt is the state of one recipient.
type rcpt struct {
	done bool
	last *dsn.Error
	// gen is the number of the checkpoint that makes an EffectStore durable,
	// zero for everything else. It is not written to files.
	gen uint64
}

// state is what changes of a message.
type state struct {
	attempts int
	warned   bool
	// boot is the process that wrote it; another one must assume that
	// recipients were tried and the mark was lost.
	boot  uint64
	rcpts []rcpt
}

func (s *state) pending() bool {
	for i := range s.rcpts {
		if !s.rcpts[i].done {
			return true
		}
	}
	return false
}

const stateVersion = 1

func (s *state) encode() []byte {
	e := encoder{make([]byte, 0, 64)}
	e.byte(stateVersion)
	e.uint(uint64(s.attempts))
	e.bool(s.warned)
	e.b = binary.LittleEndian.AppendUint64(e.b, s.boot)
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

// decodeState reads a state for n recipients.
func decodeState(b []byte, n int) (*state, error) {
	d := newDecoder(b)
	if d.Byte() != stateVersion {
		return nil, errFormat
	}
	s := &state{attempts: int(d.Uint()), warned: d.Byte() == 1, boot: d.Fixed64()}
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

// stateBlock is an encoded state with its header; the checksum includes the
// offset, so that a block is valid in one place only.
func stateBlock(s *state, off int64) []byte {
	payload := s.encode()
	b := make([]byte, stateHeader, stateHeader+len(payload))
	binary.LittleEndian.PutUint32(b, stateMagic)
	binary.LittleEndian.PutUint32(b[4:], uint32(len(payload)))
	binary.LittleEndian.PutUint32(b[8:], stateSum(payload, off))
	return append(b, payload...)
}

func stateSum(payload []byte, off int64) uint32 {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(off))
	return crc32.Update(crc32.Checksum(b[:], castagnoli), castagnoli, payload)
}

// messageFile is a parsed message file.
type messageFile struct {
	env   *envelope.Envelope
	state *state
	// The content lies at [contentAt, contentAt+contentSize).
	contentAt, contentSize int64
	contentSum             uint32
	// stateEnd is where the next state goes.
	stateEnd int64
	mtime    time.Time
}

// content is the part of f, the file m was read from, and owns f.
func (m *messageFile) content(f vfs.File) *fileContent {
	return &fileContent{file: f, off: m.contentAt, size: m.contentSize, sum: checksum{m.contentSum, true}}
}

// writeMessage writes a whole message file to w and returns nothing but
// errors: header, envelope, content, first state.
func writeMessage(w vfs.File, env *envelope.Envelope, content envelope.Content, s *state) error {
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
	if _, err := w.WriteAt(stateBlock(s, at+size), at+size); err != nil {
		return err
	}
	_, err = w.WriteAt(fileHead(meta.b, size, sum), 0)
	return err
}

const copySize = 128 << 10

// copyContent writes content at off and returns its checksum.
func copyContent(w io.WriterAt, off int64, content envelope.Content) (uint32, error) {
	if b, ok := content.Bytes(); ok {
		_, err := w.WriteAt(b, off)
		return crc32.Checksum(b, castagnoli), err
	}
	buf := make([]byte, min(copySize, content.Size()))
	sum := uint32(0)
	for done := int64(0); done < content.Size(); {
		part := buf[:min(int64(len(buf)), content.Size()-done)]
		n, err := content.ReadAt(part, done)
		if n < len(part) {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return 0, fmt.Errorf("%w: %w", errContent, err)
		}
		sum = crc32.Update(sum, castagnoli, part)
		if _, err := w.WriteAt(part, off+done); err != nil {
			return 0, err
		}
		done += int64(n)
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
	if string(h[:8]) != fileMagic || crc32.Checksum(h[:28], castagnoli) != binary.LittleEndian.Uint32(h[28:]) {
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
	if crc32.Checksum(meta, castagnoli) != binary.LittleEndian.Uint32(h[12:]) {
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
	return m, m.readStates(f, info.Size())
}

// readStates finds the last valid state. What follows it is a torn write.
func (m *messageFile) readStates(f readerAt, end int64) error {
	m.stateEnd = m.contentAt + m.contentSize
	for {
		s, size, err := readState(f, m.stateEnd, end, len(m.env.Recipients))
		if err != nil {
			return err
		}
		if s == nil {
			break
		}
		m.state = s
		m.stateEnd += size
	}
	if m.state == nil {
		return damaged("no state")
	}
	return nil
}

// readState reads the state at off; nil when there is none.
func readState(f readerAt, off, end int64, n int) (*state, int64, error) {
	if off+stateHeader > end {
		return nil, 0, nil
	}
	var h [stateHeader]byte
	if err := readFull(f, h[:], off); err != nil {
		return nil, 0, err
	}
	size := int64(binary.LittleEndian.Uint32(h[4:]))
	if binary.LittleEndian.Uint32(h[:]) != stateMagic || size > maxState || off+stateHeader+size > end {
		return nil, 0, nil
	}
	payload := make([]byte, size)
	if err := readFull(f, payload, off+stateHeader); err != nil {
		return nil, 0, err
	}
	if stateSum(payload, off) != binary.LittleEndian.Uint32(h[8:]) {
		return nil, 0, nil
	}
	s, err := decodeState(payload, n)
	if err != nil {
		return nil, 0, nil
	}
	return s, stateHeader + size, nil
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
