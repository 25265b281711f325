package packed

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// Form is how a file is packed.
type Form uint8

// The forms.
const (
	None Form = iota
	Gzip
	Bzip2
	Zstd
	LZ4
	XZ
)

// HeadSize is how many octets of a file Detect wants to see.
const HeadSize = 16

const lz4Magic = "Dovecot-LZ4\x0d\x2a\x9b\xc5"

// Detect is the form of a file that begins with head.
func Detect(head []byte) Form {
	begins := func(magic string) bool { return bytes.HasPrefix(head, []byte(magic)) }
	switch {
	case begins("\x1f\x8b"):
		return Gzip
	case begins("BZh") && len(head) >= 10 && head[3] >= '1' && head[3] <= '9' && string(head[4:10]) == "\x31\x41\x59\x26\x53\x59":
		return Bzip2
	case begins("\x28\xb5\x2f\xfd"):
		return Zstd
	case begins(lz4Magic):
		return LZ4
	case begins(xzMagic):
		return XZ
	}
	return None
}

// String names the form.
func (f Form) String() string {
	return [...]string{"none", "gzip", "bzip2", "zstd", "lz4", "xz"}[f]
}

// ErrForm says that a form is known and not read: xz that wants more memory than
// anybody's mail does, or has been through other filters.
var ErrForm = errors.New("packed: this form is not read")

// ErrDamaged says that a file is not what its first octets promise.
var ErrDamaged = errors.New("packed: damaged")

// maxWindow is the window of zstd's highest level.
const maxWindow = 128 << 20

// Reader unpacks what r gives. Close gives memory back and leaves r open.
func (f Form) Reader(r io.Reader) (io.ReadCloser, error) {
	switch f {
	case Gzip:
		g, err := gzip.NewReader(bufio.NewReader(r))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		return g, nil
	case Bzip2:
		return io.NopCloser(bzip2.NewReader(r)), nil
	case Zstd:
		d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		return d.IOReadCloser(), nil
	case LZ4:
		return newLZ4(r)
	case XZ:
		return newXZ(r)
	case None:
		return io.NopCloser(r), nil
	}
	return nil, fmt.Errorf("%w: %s", ErrForm, f)
}

// lz4Reader reads Dovecot's frame.
type lz4Reader struct {
	r io.Reader
	// chunk is unpacked, rest the part of it that was not read.
	packed, chunk, rest []byte
}

// maxChunk is the longest chunk that Dovecot takes.
const maxChunk = 1 << 20

func newLZ4(r io.Reader) (io.ReadCloser, error) {
	br := bufio.NewReader(r)
	var head [len(lz4Magic) + 4]byte
	if _, err := io.ReadFull(br, head[:]); err != nil {
		return nil, damaged(err)
	}
	if string(head[:len(lz4Magic)]) != lz4Magic {
		return nil, fmt.Errorf("%w: no header of lz4", ErrDamaged)
	}
	size := binary.BigEndian.Uint32(head[len(lz4Magic):])
	if size == 0 || size > maxChunk {
		return nil, fmt.Errorf("%w: chunks of %d octets", ErrDamaged, size)
	}
	return io.NopCloser(&lz4Reader{r: br, chunk: make([]byte, size)}), nil
}

// Read unpacks one chunk after the other.
func (l *lz4Reader) Read(p []byte) (int, error) {
	for len(l.rest) == 0 {
		if err := l.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

func (l *lz4Reader) next() error {
	var length [4]byte
	if _, err := io.ReadFull(l.r, length[:]); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("%w: cut", ErrDamaged)
		}
		return err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n == 0 || n > maxChunk {
		return fmt.Errorf("%w: a chunk of %d octets", ErrDamaged, n)
	}
	if int(n) > cap(l.packed) {
		l.packed = make([]byte, n)
	}
	l.packed = l.packed[:n]
	if _, err := io.ReadFull(l.r, l.packed); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("%w: cut", ErrDamaged)
		}
		return err
	}
	size, err := lz4.UncompressBlock(l.packed, l.chunk)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	l.rest = l.chunk[:size]
	return nil
}
