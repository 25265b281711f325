package text

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"io"

	"toastmaster/internal/mime"
)

// NewReader reads a text part as UTF-8: r are its stored octets. What does not
// fit its encoding is passed over or stays as it is, and a charset that is not
// known is read as it is; the only errors are those of r.
func NewReader(r io.Reader, encoding mime.Encoding, name string) io.Reader {
	switch encoding {
	case mime.Base64:
		r = &base64Reader{r: r}
	case mime.QuotedPrintable:
		r = &quotedReader{r: r}
	}
	if name == "" {
		return r
	}
	return charset(name, r)
}

// Pieces reads r to its end through block and gives the text to f, until f
// returns false. No piece ends within what may be one character: what may go on
// is held for the next. work is told how many octets were read each time; its
// error ends the reading and is returned.
func Pieces(r io.Reader, block []byte, work func(octets int) error, f func(piece []byte) bool) error {
	held := 0 // at the start of block
	for {
		n, err := r.Read(block[held:])
		if lost := work(n); lost != nil {
			return lost
		}
		piece := block[:held+n]
		whole := len(piece)
		if err == nil {
			whole = Whole(piece)
		}
		if whole == 0 && len(piece) == len(block) {
			// A character that fills all the memory is none that anybody writes.
			whole = max(wholeRunes(piece), 1)
		}
		if !f(piece[:whole]) || err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil
		}
		if err != nil {
			return err
		}
		held = copy(block, piece[whole:])
	}
}

// base64Reader decodes base64 and passes over everything that is not in its
// alphabet; the standard library gives up there, and mail is not that clean.
type base64Reader struct {
	r    io.Reader
	in   [1024]byte
	quad []byte // octets of the alphabet that do not make a group yet
	out  []byte // decoded and not yet read
	buf  [1024]byte
	err  error
}

var base64Alphabet = func() (t [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
		t[c] = true
	}
	return t
}()

// Read decodes.
func (b *base64Reader) Read(p []byte) (int, error) {
	for len(b.out) == 0 {
		if b.err != nil {
			return 0, b.err
		}
		b.fill()
	}
	n := copy(p, b.out)
	b.out = b.out[n:]
	return n, nil
}

func (b *base64Reader) fill() {
	n, err := b.r.Read(b.in[:])
	b.err = err
	b.out = b.buf[:0]
	for _, c := range b.in[:n] {
		if c == '=' {
			b.group()
			continue
		}
		if !base64Alphabet[c] {
			continue
		}
		if b.quad = append(b.quad, c); len(b.quad) == 4 {
			b.group()
		}
	}
	if err != nil {
		b.group()
	}
}

// group decodes the present group; a single letter says nothing.
func (b *base64Reader) group() {
	if len(b.quad) > 1 {
		// The alphabet was checked, so it decodes.
		out, _ := base64.RawStdEncoding.AppendDecode(b.out, b.quad)
		b.out = out
	}
	b.quad = b.quad[:0]
}

// quotedReader decodes quoted-printable; what is none stays as it is, and a
// line may have any length.
type quotedReader struct {
	r    io.Reader
	in   [1024]byte
	held []byte // "=" and what followed, when that was too little
	out  []byte
	buf  []byte
	err  error
}

// Read decodes.
func (q *quotedReader) Read(p []byte) (int, error) {
	for len(q.out) == 0 {
		if q.err != nil {
			return 0, q.err
		}
		q.fill()
	}
	n := copy(p, q.out)
	q.out = q.out[n:]
	return n, nil
}

func (q *quotedReader) fill() {
	n, err := q.r.Read(q.in[:])
	q.err = err
	b := append(q.held, q.in[:n]...)
	q.buf = q.buf[:0]
	for len(b) > 0 {
		i := bytes.IndexByte(b, '=')
		if i < 0 {
			i = len(b)
		}
		q.buf = append(q.buf, b[:i]...)
		b = b[i:]
		used := q.escape(b)
		if used == 0 {
			break
		}
		b = b[used:]
	}
	if err != nil {
		q.buf = append(q.buf, b...)
		b = nil
	}
	q.held = append([]byte(nil), b...)
	q.out = q.buf
}

// escape decodes what follows "=" and returns how much it was; 0 when that
// cannot be known yet.
func (q *quotedReader) escape(b []byte) int {
	if len(b) == 0 {
		return 0
	}
	if len(b) > 1 && b[1] == '\n' {
		return 2
	}
	if len(b) < 3 {
		return 0
	}
	if b[1] == '\r' && b[2] == '\n' {
		return 3
	}
	var octet [1]byte
	if _, err := hex.Decode(octet[:], b[1:3]); err != nil {
		q.buf = append(q.buf, '=')
		return 1
	}
	q.buf = append(q.buf, octet[0])
	return 3
}
