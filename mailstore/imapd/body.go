package imapd

import (
	"errors"
	"io"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/envelope"
	"toastmaster/internal/mime"
	"toastmaster/internal/wire"
)

// errChanged: a file does not have the octets that were announced. The client
// waits for them, so the connection is of no more use.
var errChanged = errors.New("message file changed while it was sent")

// resumePoint is where a partial fetch stopped: clients read large parts piece by
// piece, and each piece would have to count line ends from the start.
type resumePoint struct {
	uid  imap.UID
	from int64       // start of the section, stored
	at   wire.Offset // the wire form is counted from the start of the section
}

// writeSection writes a section as a literal.
func (f *fetcher) writeSection(content envelope.Content, sec *section, uid imap.UID) error {
	r, ok := f.message.Section(sec.path, sec.what)
	if !ok {
		f.c.writeString("NIL")
		return nil
	}
	if content == nil { // the record has it
		return f.writeKept(sec)
	}
	if sec.filter && f.message.IsMessage(sec.path) {
		return f.writeFields(content, r, sec)
	}
	offset, length := sec.piece(r.Wire)
	f.c.announce(length)
	if length == 0 {
		return nil
	}
	sent, err := int64(0), error(nil)
	if length == r.Wire {
		sent, err = f.c.sendWhole(content, r)
	} else {
		sent, err = f.sendPiece(content, r, offset, length, uid)
	}
	return f.sentAll(sent, length, err)
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
	c.put(append(out, "}\r\n"...))
}

// sentAll checks that a literal had the length announced.
func (f *fetcher) sentAll(sent, length int64, err error) error {
	if err == nil && sent != length && !f.c.lost() {
		err = errChanged
	}
	if err != nil {
		if !f.c.lost() && f.ctx.Err() == nil {
			f.log.Error("sending a message failed", "service", "imapd", "session", f.id, "cause", err.Error())
		}
		f.c.Fail(err)
		f.c.Out.Fail(err) // the client waits for octets of the message
	}
	return err
}

// copyWork is how many octets are read for one unit of conn.step.
const copyWork = 64

// pieces calls f with the stored octets [from,to) piece by piece; f returns
// false to stop.
func (c *conn) pieces(content envelope.Content, from, to int64, f func(piece []byte) bool) error {
	var block *[]byte
	defer func() {
		if block != nil {
			c.blocks.Put(block)
		}
	}()
	room := func() []byte {
		block = c.blocks.Get()
		return *block
	}
	for piece, err := range envelope.Pieces(content, from, to, room) {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return errChanged
		}
		if err != nil {
			return err
		}
		for len(piece) > 0 { // what lies in memory is one piece
			n := min(len(piece), wire.BlockSize)
			if err := c.step(n / copyWork); err != nil {
				return err
			}
			if !f(piece[:n]) {
				return nil
			}
			piece = piece[n:]
		}
	}
	return nil
}

// sendWhole writes a range in its wire form and returns how long that was.
func (c *conn) sendWhole(content envelope.Content, r mime.Range) (int64, error) {
	w := wire.NewLiteralWriter(c.Out)
	err := c.pieces(content, r.From, r.To, writeTo(w))
	return w.Sent(), err
}

// writeTo gives pieces to w until it wants no more. Its error is the
// connection's, and found there.
func writeTo(w *wire.ContentWriter) func(piece []byte) bool {
	return func(piece []byte) bool {
		_, err := w.Write(piece)
		return err == nil && !w.Full()
	}
}

// sendPiece writes length octets of a section's wire form from offset on.
func (f *fetcher) sendPiece(content envelope.Content, r mime.Range, offset, length int64, uid imap.UID) (int64, error) {
	p := f.resume
	if p.uid != uid || p.from != r.From || p.at.Wire > offset {
		p = resumePoint{uid: uid, from: r.From, at: wire.Offset{Stored: r.From}}
	}
	w := wire.NewLiteralWriter(f.c.Out)
	w.Window(offset-p.at.Wire, length)
	cr := false
	if p.at.Stored > r.From {
		var last [1]byte
		if _, err := content.ReadAt(last[:], p.at.Stored-1); err != nil {
			return 0, err
		}
		cr = last[0] == '\r'
	}
	w.Resume(p.at, cr)
	err := f.c.pieces(content, p.at.Stored, r.To, writeTo(w))
	p.at = w.Offset()
	f.resume = p
	return w.Sent(), err
}
