package search

import (
	"bytes"
	"strconv"

	"toastmaster/internal/mime/text"
)

// Field is a field that the structure of a message has: its place in ENVELOPE.
type Field int

// The fields.
const (
	Date Field = iota
	Subject
	From
	Sender
	ReplyTo
	To
	Cc
	Bcc
	InReplyTo
	MessageID
)

// envelopeString appends an element of ENVELOPE to dst; an address list becomes
// text again: "Name <mailbox@host>, ...". ok is false when the message has no
// such field.
func envelopeString(dst, envelope []byte, field Field) (text []byte, ok bool) {
	r := dataReader{b: envelope}
	r.skip('(')
	for range field {
		dst = r.value(dst[:0])
		r.skip(' ')
	}
	if bytes.HasPrefix(r.b, []byte("NIL")) {
		return dst[:0], false
	}
	return r.value(dst[:0]), true
}

// dataReader reads the IMAP data that internal/mime wrote.
type dataReader struct{ b []byte }

func (r *dataReader) skip(c byte) bool {
	if len(r.b) > 0 && r.b[0] == c {
		r.b = r.b[1:]
		return true
	}
	return false
}

// value appends the text of a string, or of a list of addresses.
func (r *dataReader) value(dst []byte) []byte {
	if !r.skip('(') {
		dst, _ = r.str(dst)
		return dst
	}
	for len(r.b) > 0 && !r.skip(')') {
		if len(dst) > 0 {
			dst = append(dst, ", "...)
		}
		dst = r.address(dst)
	}
	return dst
}

// address appends one address as text.
func (r *dataReader) address(dst []byte) []byte {
	r.skip('(')
	before := len(dst)
	dst, _ = r.str(dst)
	if len(dst) > before {
		dst = append(decodeTail(dst, before), ' ')
	}
	r.skip(' ')
	_, _ = r.str(dst[len(dst):]) // the route is obsolete
	r.skip(' ')
	dst = append(dst, '<')
	dst, _ = r.str(dst)
	r.skip(' ')
	dst = append(dst, '@')
	dst, _ = r.str(dst)
	dst = append(dst, '>')
	r.skip(')')
	return dst
}

// decodeTail decodes the encoded words of dst[from:]: of each name for itself,
// because the list that the names become is not a field in which they could be
// told apart from addresses.
func decodeTail(dst []byte, from int) []byte {
	return append(dst[:from], text.DecodeWords(bytes.Clone(dst[from:]))...)
}

// str appends a string or nothing for NIL.
func (r *dataReader) str(dst []byte) (out []byte, ok bool) {
	switch {
	case r.skip('"'):
		for len(r.b) > 0 {
			c := r.b[0]
			r.b = r.b[1:]
			if c == '"' {
				return dst, true
			}
			if c == '\\' && len(r.b) > 0 {
				c = r.b[0]
				r.b = r.b[1:]
			}
			dst = append(dst, c)
		}
		return dst, true
	case r.skip('{'):
		i := bytes.IndexByte(r.b, '\n')
		if i < 2 {
			r.b = nil
			return dst, false
		}
		n, err := strconv.Atoi(string(r.b[:i-2]))
		r.b = r.b[i+1:]
		if err != nil || n < 0 || n > len(r.b) {
			r.b = nil
			return dst, false
		}
		dst = append(dst, r.b[:n]...)
		r.b = r.b[n:]
		return dst, true
	}
	r.b = r.b[min(3, len(r.b)):] // NIL
	return dst, false
}
