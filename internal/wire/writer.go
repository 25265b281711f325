package wire

import "io"

// Writer gathers what is written and gives it to dst with one call at Flush,
// or when a block is full. It belongs to one goroutine. The first error sticks.
type Writer struct {
	dst   io.Writer
	pool  *Pool
	block *[]byte
	n     int
	err   error
}

// NewWriter writes to dst. pool may be nil.
func NewWriter(dst io.Writer, pool *Pool) *Writer { return &Writer{dst: dst, pool: pool} }

// Reset continues with another destination; what is gathered is dropped.
func (w *Writer) Reset(dst io.Writer) {
	w.returnBuffer()
	w.dst, w.err = dst, nil
}

// Buffered is the number of octets that wait for Flush.
func (w *Writer) Buffered() int { return w.n }

// minRoom is what Room leaves for an ordinary response.
const minRoom = 2 << 10

// Room returns an empty slice whose capacity is the free part of the block, at
// least 2 KiB; what is gathered is written when less is free. What is appended
// to it and then given to Write, before anything else is written, is not copied.
func (w *Writer) Room() []byte {
	if w.block == nil {
		w.block = w.pool.Get()
	}
	if len(*w.block)-w.n < minRoom {
		w.write()
	}
	return (*w.block)[w.n:w.n]
}

// Fail makes err the error of all writes to come, of what is gathered too.
func (w *Writer) Fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// room returns at least one free octet of the block.
func (w *Writer) room() []byte {
	if w.block == nil {
		w.block = w.pool.Get()
	}
	if w.n == len(*w.block) {
		w.write()
	}
	return (*w.block)[w.n:]
}

// Write appends p. A piece as large as a block is not copied when nothing
// waits before it.
func (w *Writer) Write(p []byte) (int, error) {
	total := len(p)
	if total > 0 && w.block != nil && w.n < len(*w.block) && &p[0] == &(*w.block)[w.n] {
		w.n += total // it was appended to Room
		return total, w.err
	}
	for len(p) > 0 && w.err == nil {
		if w.n == 0 && len(p) >= BlockSize {
			_, w.err = w.dst.Write(p)
			break
		}
		n := copy(w.room(), p)
		w.n += n
		p = p[n:]
	}
	if w.err != nil {
		return 0, w.err
	}
	return total, nil
}

// WriteString appends s.
func (w *Writer) WriteString(s string) (int, error) {
	total := len(s)
	for len(s) > 0 && w.err == nil {
		n := copy(w.room(), s)
		w.n += n
		s = s[n:]
	}
	if w.err != nil {
		return 0, w.err
	}
	return total, nil
}

// WriteByte appends one octet.
func (w *Writer) WriteByte(c byte) error {
	if w.err != nil {
		return w.err
	}
	w.room()[0] = c
	w.n++
	return w.err
}

// Flush writes what is gathered and gives the block back.
func (w *Writer) Flush() error {
	if w.n > 0 {
		w.write()
	}
	w.returnBuffer()
	return w.err
}

func (w *Writer) write() {
	if w.err == nil {
		_, w.err = w.dst.Write((*w.block)[:w.n])
	}
	w.n = 0
}

func (w *Writer) returnBuffer() {
	if w.block != nil {
		w.pool.Put(w.block)
		w.block = nil
	}
	w.n = 0
}
