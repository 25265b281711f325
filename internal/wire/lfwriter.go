package wire

import (
	"bytes"
	"io"
)

// LFWriter takes a message with CR LF line ends piece by piece and writes it
// with LF: what Content.LF does for those who get the message from elsewhere
// (IMAP literals, another engine). Bare CR and LF are kept. Close writes what
// was held back.
type LFWriter struct {
	dst  io.Writer
	crs  int // CRs held back, at most two
	buf  []byte
	size int64
}

// NewLFWriter writes to dst in pieces of up to 8 KiB. The first Write makes a
// buffer for one, unless Borrow gave it.
func NewLFWriter(dst io.Writer) *LFWriter { return &LFWriter{dst: dst} }

// Borrow gives the writer memory for its pieces, whose size it thereby bounds.
// It is the caller's again after the last Write.
func (l *LFWriter) Borrow(buf []byte) { l.buf = buf[:0] }

// Size is the number of octets taken so far.
func (l *LFWriter) Size() int64 { return l.size }

// Write converts p, which is not changed.
func (l *LFWriter) Write(p []byte) (int, error) {
	const room = 2 // for the CRs held back
	if cap(l.buf) <= room {
		l.buf = make([]byte, 0, 8<<10+room)
	}
	piece, total := cap(l.buf)-room, len(p)
	for len(p) > 0 {
		part := p[:min(len(p), piece)]
		p = p[len(part):]
		l.buf = append(l.buf[:0], "\r\r"[:l.crs]...)
		l.buf = append(l.buf, part...)
		s := scanner{lf: true, bare: Allow}
		out, used, _ := s.step(l.buf, false)
		l.crs = len(l.buf) - used
		if _, err := l.dst.Write(out); err != nil {
			return 0, err
		}
	}
	l.size += int64(total)
	return total, nil
}

// Close ends the message; it does not close dst.
func (l *LFWriter) Close() error {
	if l.crs == 0 {
		return nil
	}
	_, err := l.dst.Write(bytes.Repeat([]byte{'\r'}, l.crs))
	l.crs = 0
	return err
}
