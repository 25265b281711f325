package milter

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// MaxPacket is how much libmilter takes in a packet unless more was agreed on, its code included.
const MaxPacket = 65535

// ErrLength is a packet whose length is none.
var ErrLength = errors.New("no length of a packet")

// Reader reads packets.
type Reader struct {
	R io.Reader
	// Max is how many octets a packet may have, its code included.
	Max int

	head [5]byte
	room []byte
}

// step is how much room is made before so much has come.
const step = 64 << 10

// Next reads a packet. data is valid until the next call. The error is ErrLength, or that of R: io.EOF between
// packets alone.
func (r *Reader) Next() (code byte, data []byte, err error) {
	if _, err := io.ReadFull(r.R, r.head[:4]); err != nil {
		return 0, nil, err
	}
	n := int64(binary.BigEndian.Uint32(r.head[:4]))
	if n < 1 || n > int64(r.Max) {
		return 0, nil, fmt.Errorf("%w: %d", ErrLength, n)
	}
	if _, err := io.ReadFull(r.R, r.head[4:]); err != nil {
		return 0, nil, unexpected(err)
	}
	r.room = r.room[:0]
	for left := int(n) - 1; left > 0; {
		part := min(left, step)
		at := len(r.room)
		if cap(r.room)-at < part {
			r.room = append(r.room, make([]byte, part)...)
		}
		r.room = r.room[:at+part]
		if _, err := io.ReadFull(r.R, r.room[at:]); err != nil {
			return 0, nil, unexpected(err)
		}
		left -= part
	}
	if cap(r.room) > 4*step && len(r.room) <= step {
		r.room = bytes.Clone(r.room) // a large one was there once
	}
	return r.head[4], r.room, nil
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Append appends a packet to b.
func Append(b []byte, code byte, data ...[]byte) []byte {
	n := 1
	for _, d := range data {
		n += len(d)
	}
	b = append(binary.BigEndian.AppendUint32(b, uint32(n)), code)
	for _, d := range data {
		b = append(b, d...)
	}
	return b
}

// Strings are texts as they stand in a packet, each with a NUL behind it. A NUL in one is sent as "?".
func Strings(texts ...string) []byte {
	n := 0
	for _, t := range texts {
		n += len(t) + 1
	}
	b := make([]byte, 0, n)
	for _, t := range texts {
		at := len(b)
		b = append(b, t...)
		for i := at; i < len(b); i++ {
			if b[i] == 0 {
				b[i] = '?'
			}
		}
		b = append(b, 0)
	}
	return b
}

// Cut takes the text in front of data, up to its NUL, and says what stands behind it. Without a NUL there is none.
func Cut(data []byte) (text string, rest []byte, ok bool) {
	before, rest, ok := bytes.Cut(data, []byte{0})
	return string(before), rest, ok
}

// CutNumber takes a number of four octets in front of data.
func CutNumber(data []byte) (n uint32, rest []byte, ok bool) {
	if len(data) < 4 {
		return 0, data, false
	}
	return binary.BigEndian.Uint32(data), data[4:], true
}

// Numbers are numbers as they stand in a packet.
func Numbers(numbers ...uint32) []byte {
	b := make([]byte, 0, 4*len(numbers))
	for _, n := range numbers {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	return b
}
