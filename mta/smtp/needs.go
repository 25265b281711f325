package smtp

import (
	"bytes"
	"unicode/utf8"

	"toastmaster/internal/envelope"
	"toastmaster/internal/wire"
	"toastmaster/mta/agent"
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
}

func inspect(r *agent.Request) (*needs, error) {
	n := &needs{size: r.Content.Size(), content: r.Content}
	if b, ok := r.Content.Bytes(); ok {
		n.size = wire.WireSize(b)
	}
	if !r.Envelope.UTF8 {
		return n, nil
	}
	n.utf8 = !r.Envelope.Sender.IsASCII()
	if !n.utf8 {
		var err error
		n.utf8, err = headerHas8Bit(r.Content)
		if err != nil {
			return nil, err
		}
	}
	return n, nil
}

// has8Bit reads the message; it is asked only for peers without 8BITMIME.
func (n *needs) has8Bit() (bool, error) { return scan(n.content, has8Bit) }

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
		return has8Bit(p)
	})
}

func has8Bit(p []byte) bool {
	for len(p) >= 8 {
		if (p[0]|p[1]|p[2]|p[3]|p[4]|p[5]|p[6]|p[7])&utf8.RuneSelf != 0 {
			return true
		}
		p = p[8:]
	}
	for _, c := range p {
		if c >= utf8.RuneSelf {
			return true
		}
	}
	return false
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
