package wire

import "bytes"

// Sizer measures the wire form of content with LF line ends, which is given to
// Add piece by piece. The zero value is ready.
type Sizer struct {
	// Wire is the number of octets so far.
	Wire int64
	cr   bool
}

// Add measures a piece.
func (s *Sizer) Add(p []byte) {
	if len(p) == 0 {
		return
	}
	s.Wire += int64(len(p)) + int64(bytes.Count(p, []byte{'\n'})-bytes.Count(p, []byte("\r\n")))
	if s.cr && p[0] == '\n' {
		s.Wire--
	}
	s.cr = p[len(p)-1] == '\r'
}

// WireSize is the number of octets that content p with LF line ends has in CR
// LF form, when it is written as one piece.
func WireSize(p []byte) int64 {
	var s Sizer
	s.Add(p)
	return s.Wire
}
