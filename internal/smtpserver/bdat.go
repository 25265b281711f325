package smtpserver

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"

	"toastmaster/internal/dsn"
	"toastmaster/internal/wire"
)

// bdat is BDAT (RFC 3030). The first chunk starts the session's Data; the
// commands of the following chunks are read by the reader it reads from.
func bdat(c *Conn, arg string) *dsn.Error {
	size, last, ok := parseBdat(arg)
	if !ok {
		// Without the length there is no telling chunk from command.
		c.End("bad BDAT")
		return c.syntax()
	}
	src := &chunked{c: c, chunks: c.w.In.Chunks(c.bare), last: last}
	c.w.BeginContent()
	src.chunks.Chunk(size, last)
	if e := c.prepare(); e != nil {
		if err := src.chunks.Drain(); err != nil {
			c.lost(err, " in BDAT")
		}
		if !last && len(c.tx.rcpts) > 0 {
			c.reset() // the chunks that were sent along are the rest of this message, and none of their own
		}
		return e
	}
	b := &body{src: src, limit: c.srv.MaxMessageBytes}
	got, e := c.session.Data(c.ctx, b)
	if b.lost == nil {
		b.lost = src.chunks.Drain()
	}
	switch {
	case errors.Is(b.lost, errAbandoned):
		c.reset()
	case b.lost != nil:
		c.reset()
		c.lost(b.lost, " in BDAT")
	case !src.last:
		c.finishEarly(b, e)
	default:
		c.finish(b, got, e, c.outcomes())
	}
	return nil
}

// finishEarly answers a chunk that is not the last and during which the
// session gave up: one reply, also under LMTP. The transaction is over.
func (c *Conn) finishEarly(b *body, e *dsn.Error) {
	if e == nil {
		e = dsn.New(dsn.MailSystem, "Message was not read to its end")
	}
	c.finish(b, Accepted{}, e, 1)
}

// errAbandoned ends the session's Data when the client gave up a chunked
// message: RSET, QUIT or a new greeting.
var errAbandoned = errors.New("message abandoned by the client")

// chunked is the content of a message in BDAT framing, across its commands.
type chunked struct {
	c      *Conn
	chunks *wire.Chunks
	last   bool
}

func (s *chunked) LF()         { s.chunks.LF() }
func (s *chunked) Size() int64 { return s.chunks.Size() }

// Next reads on, into the next chunk when one is used up.
func (s *chunked) Next() ([]byte, error) {
	for {
		p, err := s.chunks.Next()
		if err != io.EOF || s.last {
			return p, err
		}
		s.c.ok(dsn.OK, strconv.FormatInt(s.chunks.Size(), 10)+" octets received")
		if err := s.nextCommand(); err != nil {
			return nil, err
		}
	}
}

// nextCommand reads commands up to the next chunk.
func (s *chunked) nextCommand() error {
	c := s.c
	for {
		if c.tooManyErrors() {
			return errAbandoned // the loop says why
		}
		c.w.In.MaxLine = wire.DefaultMaxLine
		line, err := c.w.ReadCommand()
		if err != nil {
			refusal := wire.Refusal(err)
			if refusal == nil {
				return err
			}
			c.fail(unknown, refusal)
			continue
		}
		if c.tooManyCommands() {
			return errAbandoned
		}
		asked := bytes.Clone(line) // what ends the message is replaced when it is run
		line, ok := c.replaced(asked)
		if !ok {
			continue
		}
		name, arg, _ := bytes.Cut(line, []byte{' '})
		switch strings.ToUpper(string(name)) {
		case "BDAT":
			size, last, ok := parseBdat(string(arg))
			if !ok {
				c.again = asked
				return errAbandoned
			}
			s.last = last
			c.w.BeginContent()
			s.chunks.Chunk(size, last)
			return nil
		case "NOOP":
			c.ok(dsn.OK, "Ok")
		case "RSET", "QUIT", "EHLO", "HELO", "LHLO":
			c.again = asked
			return errAbandoned
		default:
			c.fail(unknown, dsn.New(dsn.InvalidCommand, "Expected BDAT"))
		}
	}
}

// parseBdat reads "length" or "length LAST".
func parseBdat(arg string) (size int64, last, ok bool) {
	number, word, more := strings.Cut(strings.TrimSpace(arg), " ")
	n, err := strconv.ParseUint(number, 10, 63)
	last = strings.EqualFold(strings.TrimSpace(word), "LAST")
	return int64(n), last, err == nil && number[0] != '+' && (last || !more)
}
