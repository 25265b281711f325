package smtp

import (
	"bytes"
	"errors"
	"iter"

	"toastmaster/internal/envelope"
	"toastmaster/internal/mime"
	"toastmaster/internal/mime/downgrade"
	"toastmaster/internal/wire"
)

// needs is what a message asks of the peer, found out once per request.
type needs struct {
	// size is the number of octets on the wire; of a message that lies in a
	// file the number in the file, which is a little less. RFC 1870 lets it
	// be an estimate, and reading a large file twice to count lines is not
	// worth a better one.
	size int64
	// utf8: SMTPUTF8 was said, and sender or header need it.
	utf8    bool
	content envelope.Content

	// asked: seven is known, which is what a peer without 8BITMIME gets.
	asked bool
	seven form
}

// form is one in which the message can leave.
type form struct {
	size int64
	// pieces are its octets; the error is one of reading.
	pieces iter.Seq2[[]byte, error]
	// refused is why it cannot leave like this, nil when it can.
	refused *downgrade.ImpossibleError
}

func inspect(d *delivery) (*needs, error) {
	n := &needs{size: d.content.Size(), content: d.content}
	if b, ok := d.content.Bytes(); ok {
		n.size = wire.WireSize(b)
	}
	if !d.request.Envelope.UTF8 {
		return n, nil
	}
	n.utf8 = !d.sender.IsASCII()
	if !n.utf8 {
		var err error
		n.utf8, err = headerHas8Bit(d.content)
		if err != nil {
			return nil, err
		}
	}
	return n, nil
}

// asItIs is the message with 8-bit content where it has some.
func (n *needs) asItIs() form {
	return form{size: n.size, pieces: envelope.Pieces(n.content, 0, n.content.Size(), envelope.Block(n.content, pieceSize))}
}

// sevenBit is the message for a peer without 8BITMIME, which is looked at and
// converted only for such a one.
func (n *needs) sevenBit() (form, error) {
	if n.asked {
		return n.seven, nil
	}
	f := n.asItIs()
	eight, err := scan(n.content, mime.Has8Bit)
	if err == nil && eight {
		f, err = n.converted(f)
	}
	if err != nil {
		return form{}, err
	}
	n.asked, n.seven = true, f
	return f, nil
}

// converted is f with bodies that have no 8-bit content; it is f when none has.
func (n *needs) converted(f form) (form, error) {
	plan, err := downgrade.New(n.content, mime.Limits{})
	if errors.As(err, &f.refused) {
		return f, nil
	}
	if err != nil || plan == nil {
		return f, err
	}
	var size wire.Sizer
	for p, err := range plan.Pieces() {
		if err != nil {
			return form{}, err
		}
		size.Add(p)
	}
	return form{size: size.Wire, pieces: plan.Pieces()}, nil
}

func headerHas8Bit(c envelope.Content) (bool, error) {
	before := byte('\n') // the last octet of the piece before
	ended := false
	return scan(c, func(p []byte) bool {
		if ended {
			return false
		}
		if before == '\n' && p[0] == '\n' {
			ended = true
			return false
		}
		if i := bytes.Index(p, []byte("\n\n")); i >= 0 {
			ended = true
			p = p[:i]
		}
		if len(p) > 0 {
			before = p[len(p)-1]
		}
		return mime.Has8Bit(p)
	})
}

const pieceSize = 32 << 10

// scan gives the content to found piece by piece until it says true.
func scan(c envelope.Content, found func(p []byte) bool) (bool, error) {
	for p, err := range envelope.Pieces(c, 0, c.Size(), envelope.Block(c, pieceSize)) {
		if err != nil || found(p) {
			return err == nil, err
		}
	}
	return false, nil
}
