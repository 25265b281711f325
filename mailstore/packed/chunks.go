package packed

import (
	"encoding/binary"
	"errors"
	"io"

	"github.com/ulikunitz/xz/lzma"
)

// chunks unpacks the blocks of an xz file: LZMA2, a sequence of chunks with an octet 0 at
// its end. The library makes a dictionary for each sequence that it reads, up to 64 MiB,
// and a block can have 24 octets. So all blocks are one sequence for it: their chunks one
// after the other, without the octets between them. The first chunk of each block empties
// the dictionary, or is damaged.
type chunks struct {
	r *octets
	// lzma reads from feed, and has a dictionary of so many octets.
	lzma       *lzma.Reader2
	dictionary int
	feed       feed
	// wanted is the dictionary of this block, first says that no chunk of it was read.
	wanted int
	first  bool
	// left is how much of the chunk is not unpacked.
	left int64
}

// feed is one chunk: its header, and what is packed.
type feed struct {
	r      *octets
	header []byte
	packed int64
}

// Read reads no further than the chunk.
func (f *feed) Read(p []byte) (n int, err error) {
	switch {
	case len(f.header) > 0:
		n = copy(p, f.header)
		f.header = f.header[n:]
		return n, nil
	case f.packed == 0:
		return 0, io.EOF
	}
	n, err = f.r.Read(p[:min(int64(len(p)), f.packed)])
	f.packed -= int64(n)
	return n, err
}

// begin begins a block that wants a dictionary of so many octets.
func (c *chunks) begin(dictionary int) { c.wanted, c.first, c.left = dictionary, true, 0 }

// Read unpacks; io.EOF is the end of the block.
func (c *chunks) Read(p []byte) (int, error) {
	if c.left == 0 {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	n, err := c.lzma.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// The octets that a chunk may begin with, and the bits of one that is packed.
const (
	endOfChunks   = 0x00
	plainFirst    = 0x01 // the dictionary is emptied
	plain         = 0x02
	packedChunk   = 0x80
	packedProps   = 0x40 // with its properties
	packedFirst   = 0x60 // the dictionary is emptied, with its properties
	sizeInControl = 0x1f
)

// next begins a chunk.
func (c *chunks) next() error {
	if c.feed.packed > 0 || len(c.feed.header) > 0 {
		return errors.New("a chunk that is longer than what it holds")
	}
	control, err := c.r.ReadByte()
	if err != nil {
		return noEnd(err)
	}
	if control == endOfChunks {
		return io.EOF
	}
	length := 3
	switch {
	case control&packedChunk != 0 && control&packedFirst >= packedProps:
		length = 6
	case control&packedChunk != 0:
		length = 5
	case control > plain:
		return errors.New("a chunk of no kind")
	}
	if c.first && control != plainFirst && control&(packedChunk|packedFirst) != packedChunk|packedFirst {
		return errors.New("a block that begins with what is no beginning")
	}
	header := make([]byte, length)
	header[0] = control
	if _, err := io.ReadFull(c.r, header[1:]); err != nil {
		return noEnd(err)
	}
	c.left = int64(binary.BigEndian.Uint16(header[1:])) + 1
	packed := c.left
	if control&packedChunk != 0 {
		c.left += int64(control&sizeInControl) << 16
		packed = int64(binary.BigEndian.Uint16(header[3:])) + 1
	}
	c.feed, c.first = feed{c.r, header, packed}, false
	if c.lzma == nil || c.dictionary < c.wanted {
		c.dictionary = c.wanted
		c.lzma, err = lzma.Reader2Config{DictCap: c.dictionary}.NewReader2(&c.feed)
	}
	return err
}

// noEnd is for what must not end here.
func noEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
