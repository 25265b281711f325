package packed

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"

	"github.com/ulikunitz/xz/lzma"
)

// The magic of a stream of xz, and of its end.
const (
	xzMagic = "\xfd7zXZ\x00"
	xzEnd   = "YZ"
)

// maxDictionary is what a block may want to be unpacked: that of xz -9, as Dovecot
// has it. A file of 40 octets could ask for 4 GiB, which is why the blocks are read here,
// and only what is in them by the library.
const maxDictionary = 64 << 20

// xzReader reads streams of xz (tukaani.org/xz/xz-file-format.txt): a header, blocks, an
// index of them, a footer.
type xzReader struct {
	r      *octets
	chunks chunks
	// flags are those of the stream, which its footer repeats.
	flags [2]byte
	block *xzBlock
	// blocks are what the index must say.
	blocks  int
	records hash.Hash
	err     error
}

// xzBlock is a block under way.
type xzBlock struct {
	// begin is where the block began, content where what is packed did.
	begin, content int64
	size           int64
	sum            hash.Hash
	// packed and unpacked are what the header says; -1 is nothing.
	packed, unpacked int64
}

// octets counts what was read.
type octets struct {
	*bufio.Reader
	n int64
}

func (o *octets) Read(p []byte) (int, error) {
	n, err := o.Reader.Read(p)
	o.n += int64(n)
	return n, err
}

// ReadByte makes a Reader of one octet at a time of it.
func (o *octets) ReadByte() (byte, error) {
	b, err := o.Reader.ReadByte()
	if err == nil {
		o.n++
	}
	return b, err
}

func newXZ(r io.Reader) (io.ReadCloser, error) {
	x := &xzReader{r: &octets{Reader: bufio.NewReader(r)}}
	x.chunks.r = x.r
	if err := x.stream(); err != nil {
		return nil, damaged(err)
	}
	return io.NopCloser(x), nil
}

// damaged is an error of what was read; an end before its time is one, too.
func damaged(err error) error {
	switch {
	case err == nil, errors.Is(err, ErrForm), errors.Is(err, ErrDamaged):
		return err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: cut", ErrDamaged)
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

// Read unpacks one block after the other.
func (x *xzReader) Read(p []byte) (int, error) {
	for x.err == nil && len(p) > 0 {
		if x.block == nil {
			x.err = x.next()
			continue
		}
		n, err := x.chunks.Read(p)
		x.block.sum.Write(p[:n])
		x.block.size += int64(n)
		if errors.Is(err, io.EOF) {
			err = x.endBlock()
		}
		x.err = damaged(err)
		if n > 0 {
			return n, nil
		}
	}
	if x.err == nil {
		return 0, nil
	}
	return 0, x.err
}

// stream reads the header of a stream.
func (x *xzReader) stream() error {
	var head [12]byte
	if _, err := io.ReadFull(x.r, head[:]); err != nil {
		return err
	}
	x.flags = [2]byte(head[6:8])
	if string(head[:6]) != xzMagic || head[6] != 0 || head[7] > 15 || crc32.ChecksumIEEE(head[6:8]) != binary.LittleEndian.Uint32(head[8:]) {
		return errors.New("no header of a stream")
	}
	x.blocks, x.records = 0, sha256.New()
	return nil
}

// next begins the next block, of the next stream when one is over. io.EOF is the end of all.
func (x *xzReader) next() error {
	size, err := x.r.ReadByte()
	if err != nil {
		return damaged(err)
	}
	if size != 0 {
		return damaged(x.beginBlock(size))
	}
	if err := x.index(); err != nil {
		return damaged(err)
	}
	// Four octets of nothing at a time may be between two streams.
	for {
		four, err := x.r.Peek(4)
		switch {
		case len(four) == 0 && errors.Is(err, io.EOF):
			return io.EOF
		case err != nil:
			return damaged(err)
		case !bytes.Equal(four, make([]byte, 4)):
			return damaged(x.stream())
		}
		if _, err := io.ReadFull(x.r, make([]byte, 4)); err != nil {
			return damaged(err)
		}
	}
}

// lzma2 is the number of the filter.
const lzma2 = 0x21

func (x *xzReader) beginBlock(size byte) error {
	begin := x.r.n - 1
	head := make([]byte, (int(size)+1)*4)
	head[0] = size
	if _, err := io.ReadFull(x.r, head[1:]); err != nil {
		return err
	}
	fields, sum := head[:len(head)-4], head[len(head)-4:]
	if crc32.ChecksumIEEE(fields) != binary.LittleEndian.Uint32(sum) {
		return errors.New("the header of a block")
	}
	b := &xzBlock{begin: begin, packed: -1, unpacked: -1}
	flags, r := fields[1], bytes.NewReader(fields[2:])
	for _, f := range []struct {
		has  byte
		size *int64
	}{{0x40, &b.packed}, {0x80, &b.unpacked}} {
		if flags&f.has != 0 {
			n, err := number(r)
			if err != nil {
				return err
			}
			*f.size = n
		}
	}
	filter, err := number(r)
	if err != nil {
		return err
	}
	if flags&0x3f != 0 || filter != lzma2 {
		return fmt.Errorf("%w: xz with filters", ErrForm)
	}
	length, err := number(r)
	if err != nil {
		return err
	}
	property, err := r.ReadByte()
	if err != nil || length != 1 || property > 40 {
		return errors.New("the filter of a block")
	}
	dictionary, err := lzma.DecodeDictCap(property)
	if err != nil {
		return err
	}
	if dictionary > maxDictionary {
		return fmt.Errorf("%w: xz with a dictionary of %d octets", ErrForm, dictionary)
	}
	if b.sum = x.check(); b.sum == nil {
		return fmt.Errorf("%w: xz with the check %d", ErrForm, x.flags[1])
	}
	b.content = x.r.n
	x.chunks.begin(max(int(dictionary), lzma.MinDictCap))
	x.block = b
	return nil
}

// check is the sum of what a block unpacks to; nil is one that nobody writes.
func (x *xzReader) check() hash.Hash {
	switch x.flags[1] {
	case 0:
		return noSum{}
	case 1:
		return crc32.NewIEEE()
	case 4:
		return crc64.New(crc64.MakeTable(crc64.ECMA))
	case 10:
		return sha256.New()
	}
	return nil
}

// noSum is the check that is none.
type noSum struct{}

func (noSum) Write(p []byte) (int, error) { return len(p), nil }
func (noSum) Sum(b []byte) []byte         { return b }
func (noSum) Reset()                      {}
func (noSum) Size() int                   { return 0 }
func (noSum) BlockSize() int              { return 1 }

// endBlock reads what is behind the content of a block.
func (x *xzReader) endBlock() error {
	b := x.block
	x.block = nil
	packed := x.r.n - b.content
	if b.packed >= 0 && b.packed != packed || b.unpacked >= 0 && b.unpacked != b.size {
		return errors.New("a block of another size")
	}
	padding := make([]byte, -packed&3)
	if _, err := io.ReadFull(x.r, padding); err != nil {
		return err
	}
	want := b.sum.Sum(nil)
	if x.flags[1] != 10 {
		for i, j := 0, len(want)-1; i < j; i, j = i+1, j-1 { // the lowest octet first
			want[i], want[j] = want[j], want[i]
		}
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(x.r, got); err != nil {
		return err
	}
	if !bytes.Equal(got, want) || bytes.ContainsFunc(padding, func(c rune) bool { return c != 0 }) {
		return errors.New("the sum of a block")
	}
	x.blocks++
	x.record(x.r.n-b.begin-int64(len(padding)), b.size)
	return nil
}

// record notes a block for the index, in bounded space.
func (x *xzReader) record(unpadded, size int64) {
	var b [2 * binary.MaxVarintLen64]byte
	n := binary.PutUvarint(b[:], uint64(unpadded))
	n += binary.PutUvarint(b[n:], uint64(size))
	x.records.Write(b[:n])
}

// index reads the index, whose first octet is read, and the footer, and compares.
func (x *xzReader) index() error {
	begin := x.r.n - 1
	sum := crc32.NewIEEE()
	sum.Write([]byte{0})
	r := &summed{x.r, sum}
	count, err := number(r)
	if err != nil {
		return err
	}
	if count != int64(x.blocks) {
		return errors.New("the index has not the blocks that there are")
	}
	want := x.records.Sum(nil)
	x.records.Reset()
	for range x.blocks {
		unpadded, err := number(r)
		if err != nil {
			return err
		}
		size, err := number(r)
		if err != nil {
			return err
		}
		x.record(unpadded, size)
	}
	for (x.r.n-begin)%4 != 0 {
		if c, err := r.ReadByte(); err != nil || c != 0 {
			return errors.Join(err, errors.New("the end of the index"))
		}
	}
	var tail [16]byte // the sum, and the footer
	if _, err := io.ReadFull(x.r, tail[:]); err != nil {
		return err
	}
	length := x.r.n - begin - 12
	switch {
	case !bytes.Equal(x.records.Sum(nil), want), binary.LittleEndian.Uint32(tail[:]) != sum.Sum32():
		return errors.New("the index")
	case binary.LittleEndian.Uint32(tail[4:]) != crc32.ChecksumIEEE(tail[8:14]), (int64(binary.LittleEndian.Uint32(tail[8:]))+1)*4 != length,
		[2]byte(tail[12:14]) != x.flags, string(tail[14:]) != xzEnd:
		return errors.New("the footer")
	}
	return nil
}

// summed adds up what it reads.
type summed struct {
	r   io.ByteReader
	sum hash.Hash32
}

func (s *summed) ReadByte() (byte, error) {
	c, err := s.r.ReadByte()
	if err == nil {
		s.sum.Write([]byte{c})
	}
	return c, err
}

// number reads an integer of 63 bits in at most nine octets, written in as few as it takes.
func number(r io.ByteReader) (n int64, err error) {
	for i := range 9 {
		c, err := r.ReadByte()
		if err != nil {
			return 0, err
		}
		n |= int64(c&0x7f) << (7 * i)
		if c&0x80 == 0 {
			if c == 0 && i > 0 {
				break
			}
			return n, nil
		}
	}
	return 0, errors.New("a number")
}
