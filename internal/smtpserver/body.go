package smtpserver

import (
	"errors"
	"io"

	"toastmaster/internal/dsn"
	"toastmaster/internal/wire"
)

// pieces is content that arrives: wire.Content, or a chunked message.
type pieces interface {
	Next() ([]byte, error)
	LF()
	Size() int64
}

// body is the reader that a session gets. It ends with io.EOF when the whole
// message was there and was fit to be accepted.
type body struct {
	src     pieces
	limit   int64
	rest    []byte
	refusal *dsn.Error // the message itself is refused: size, bare CR or LF
	lost    error      // the connection is
}

func (b *body) next() ([]byte, error) {
	switch {
	case b.lost != nil:
		return nil, b.lost
	case b.refusal != nil:
		return nil, b.refusal
	}
	p, err := b.src.Next()
	switch {
	case err == io.EOF:
		return nil, err
	case err != nil:
		if b.refusal = refusalOf(err); b.refusal != nil {
			return nil, b.refusal
		}
		b.lost = err
		return nil, err
	case b.limit > 0 && b.src.Size() > b.limit:
		b.refusal = errTooBig()
		return nil, b.refusal
	}
	return p, nil
}

func refusalOf(err error) *dsn.Error { return wire.Refusal(err) }

// Read gives the message with CR LF line ends.
func (b *body) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(b.rest) == 0 {
		piece, err := b.next()
		if err != nil {
			return 0, err
		}
		b.rest = piece
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// WriteTo writes the message with CR LF line ends.
func (b *body) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for {
		piece, err := b.rest, error(nil)
		if b.rest = nil; len(piece) == 0 {
			piece, err = b.next()
		}
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		n, err := w.Write(piece)
		total += int64(n)
		if err != nil {
			return total, err
		}
	}
}

// WireSize is how many octets of the message behind r, the reader that Data was given, have come so
// far, as SIZE counts them; 0 for another reader.
func WireSize(r io.Reader) int64 {
	if b, ok := r.(*body); ok {
		return b.src.Size()
	}
	return 0
}

// WriteLF writes the message behind r, the reader that Data was given, to w
// with LF line ends, from the engine's buffer. It works with any other reader
// of a message with CR LF line ends, too. It must be the first to read from r.
// The separator lines of an mbox at the very beginning become fields
// "X-Mailbox-Line: From ...".
func WriteLF(w io.Writer, r io.Reader) error {
	head := &headWriter{w: w}
	if b, ok := r.(*body); ok {
		b.src.LF()
		if _, err := b.WriteTo(head); err != nil {
			return err
		}
		return head.Close()
	}
	l := wire.NewLFWriter(head)
	if _, err := io.Copy(l, r); err != nil {
		return err
	}
	return errors.Join(l.Close(), head.Close())
}
