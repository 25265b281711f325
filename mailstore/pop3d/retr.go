package pop3d

import (
	"errors"
	"strconv"

	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/wire"
	"toastmaster/mailstore"
)

// retr is RETR.
func (s *session) retr(args []string) error {
	seq, m, reason := s.drop.find(args[0])
	if m == nil {
		return s.mistake(reason)
	}
	return s.send(seq, strconv.FormatInt(m.size, 10)+" octets", func(c envelope.Content, out *wire.ContentWriter) error {
		if err := s.copy(c, out.Write); err != nil {
			return err
		}
		s.count.retr++
		s.count.retrBytes += m.size
		if !s.h.config.NoFlagUpdates {
			s.drop.read(m)
		}
		return nil
	})
}

// send opens a message, and answers with it or with why not. An error of body
// ends the session: the client has seen +OK.
func (s *session) send(seq uint32, ok string, body func(c envelope.Content, out *wire.ContentWriter) error) error {
	c, err := s.drop.view.Read(s.ctx, seq)
	switch {
	case errors.Is(err, mailstore.ErrExpunged):
		s.err("Message was deleted by another session")
		return nil
	case err != nil:
		s.warn("reading a message failed", err)
		s.err(refusal(dsn.Wrap(dsn.MailSystem, "Message cannot be read now", err)))
		return nil
	}
	s.ok(ok)
	out := wire.NewDotWriter(s.wire.Out)
	err = body(c, out)
	if closeErr := c.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return out.Close()
}

// copy hands the content of c to write, piece by piece, until the end or the
// first error.
func (s *session) copy(c envelope.Content, write func(p []byte) (int, error)) error {
	var block *[blockSize]byte
	defer func() {
		if block != nil {
			s.h.blocks.Put(block)
		}
	}()
	room := func() []byte {
		block = s.h.blocks.Get().(*[blockSize]byte)
		return block[:]
	}
	for p, err := range envelope.Pieces(c, 0, c.Size(), room) {
		if err != nil { // io.ErrUnexpectedEOF: the file has shrunk
			s.warn("reading a message failed", err)
			return errUnreadable
		}
		if _, err := write(p); err != nil {
			return err
		}
	}
	return nil
}

var errUnreadable = errors.New("message cannot be read")

// warn logs what went wrong on our side.
func (s *session) warn(what string, err error) {
	s.h.log.Warn(what, "service", s.h.gate.Service, "session", s.login.ID,
		"mailbox", s.login.Account().Address.String(), "cause", err.Error())
}
