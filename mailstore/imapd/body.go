package imapd

import (
	"bytes"
	"errors"
	"io"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/envelope"
	"toastmaster/internal/mime"
)

// errChanged: a file does not have the octets that were announced. The client
// waits for them, so the connection is of no more use.
var errChanged = errors.New("message file changed while it was sent")

// place is where a partial fetch stopped: clients read large parts piece by
// piece, and each piece would have to count line ends from the start.
type place struct {
	uid    imap.UID
	from   int64 // start of the section, stored
	stored int64
	wire   int64 // of the section, at stored
}

// writeSection writes a section as a literal.
func (s *session) writeSection(content envelope.Content, sec *section, uid imap.UID) error {
	r, ok := s.message.Section(sec.path, sec.what)
	if !ok {
		s.c.writeString("NIL")
		return nil
	}
	if sec.filter && s.message.IsMessage(sec.path) {
		return s.writeFields(content, r, sec)
	}
	offset, length := sec.piece(r.Wire)
	s.c.announce(length)
	if length == 0 {
		return nil
	}
	sent, err := int64(0), error(nil)
	if length == r.Wire {
		sent, err = s.c.sendWhole(content, r)
	} else {
		sent, err = s.sendPiece(content, r, offset, length, uid)
	}
	return s.sentAll(sent, length, err)
}

// piece is what a fetch wants of a section that has size octets on the wire.
func (sec *section) piece(size int64) (offset, length int64) {
	if !sec.partial {
		return 0, size
	}
	offset = min(sec.offset, size)
	return offset, min(sec.length, size-offset)
}

// announce writes the start of a literal.
func (c *conn) announce(length int64) {
	out := append(c.buf(), '{')
	out = appendNumber(out, length)
	c.out = append(out, "}\r\n"...)
}

// sentAll checks that a literal had the length announced.
func (s *session) sentAll(sent, length int64, err error) error {
	if err == nil && sent != length && !s.c.lost() {
		err = errChanged
	}
	if err != nil && s.c.werr == nil {
		if !errors.Is(err, errGone) && s.ctx.Err() == nil {
			s.srv.log.Error("sending a message failed", "service", "imapd", "session", s.login.ID, "cause", err.Error())
		}
		s.c.werr = err
	}
	return err
}

// copyWork is how many octets are read for one unit of conn.step.
const copyWork = 64

// pieces calls f with the stored octets [from,to) piece by piece; f returns
// false to stop.
func (c *conn) pieces(content envelope.Content, from, to int64, f func(piece []byte) bool) error {
	if b, ok := content.Bytes(); ok {
		if to > int64(len(b)) {
			return errChanged
		}
		for piece := b[from:to]; len(piece) > 0; {
			n := min(len(piece), blockSize)
			if err := c.step(n / copyWork); err != nil {
				return err
			}
			if !f(piece[:n]) {
				break
			}
			piece = piece[n:]
		}
		return nil
	}
	block := c.blocks.get()
	defer c.blocks.put(block)
	for from < to {
		if err := c.step(blockSize / copyWork); err != nil {
			return err
		}
		n, err := content.ReadAt((*block)[:min(blockSize, to-from)], from)
		if n == 0 {
			if err == nil || err == io.EOF {
				err = errChanged
			}
			return err
		}
		if !f((*block)[:n]) {
			break
		}
		from += int64(n)
	}
	return nil
}

// sendWhole writes a range in its wire form and returns how long that was.
func (c *conn) sendWhole(content envelope.Content, r mime.Range) (int64, error) {
	w := crlfWriter{c: c}
	err := c.pieces(content, r.From, r.To, w.write)
	return w.sent, err
}

// crlfWriter writes stored octets in their wire form: an LF becomes CR LF, but
// not behind a CR (see envelope.Content).
type crlfWriter struct {
	c    *conn
	cr   bool
	sent int64
}

func (w *crlfWriter) write(b []byte) bool {
	for {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			break
		}
		if i > 0 {
			w.cr = b[i-1] == '\r'
		}
		w.line(b[:i])
		b = b[i+1:]
	}
	if len(b) > 0 {
		w.cr = b[len(b)-1] == '\r'
		w.c.writeText(b)
		w.sent += int64(len(b))
	}
	return w.c.werr == nil
}

// line writes one line and its end.
func (w *crlfWriter) line(text []byte) {
	c := w.c
	out := c.buf()
	if len(out)+len(text)+2 > blockSize {
		c.writeText(text)
		out = c.buf()
	} else {
		out = appendText(out, text)
	}
	w.sent += int64(len(text)) + 1
	if !w.cr {
		out = append(out, '\r')
		w.sent++
	}
	w.cr = false
	c.out = append(out, '\n')
	c.spill()
}

// sendPiece writes length octets of a section's wire form from offset on.
func (s *session) sendPiece(content envelope.Content, r mime.Range, offset, length int64, uid imap.UID) (int64, error) {
	p := s.place
	if p.uid != uid || p.from != r.From || p.wire > offset {
		p = place{uid: uid, from: r.From, stored: r.From}
	}
	w := pieceWriter{c: s.c, skip: offset - p.wire, left: length, at: p}
	if p.stored > r.From {
		var last [1]byte
		if _, err := content.ReadAt(last[:], p.stored-1); err != nil {
			return 0, err
		}
		w.cr = last[0] == '\r'
	}
	err := s.c.pieces(content, p.stored, r.To, w.write)
	s.place = w.at
	return w.sent, err
}

// pieceWriter is a crlfWriter that skips octets first and stops after some.
type pieceWriter struct {
	c          *conn
	skip, left int64
	sent       int64
	cr         bool
	at         place // start of the last line that was begun before the end
}

func (w *pieceWriter) write(b []byte) bool {
	for len(b) > 0 && w.left > 0 {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			w.emit(b)
			w.cr = b[len(b)-1] == '\r'
			w.at.stored += int64(len(b))
			w.at.wire += int64(len(b))
			break
		}
		if i > 0 {
			w.cr = b[i-1] == '\r'
		}
		w.emit(b[:i])
		end := "\r\n"
		if w.cr {
			end = "\n"
		}
		w.emit([]byte(end))
		w.cr = false
		if w.left > 0 {
			w.at.stored += int64(i + 1)
			w.at.wire += int64(i + len(end))
		}
		b = b[i+1:]
	}
	return w.left > 0 && w.c.werr == nil
}

// emit writes what of b lies in the wanted piece.
func (w *pieceWriter) emit(b []byte) {
	n := min(w.skip, int64(len(b)))
	w.skip -= n
	b = b[n:]
	b = b[:min(w.left, int64(len(b)))]
	w.left -= int64(len(b))
	w.sent += int64(len(b))
	w.c.writeText(b)
}
