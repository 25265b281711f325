package pop3d

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"toastmaster/internal/wire"
	"toastmaster/mailstore/login"
)

// maxLine is the longest command, in octets: an AUTH with an initial response
// as long as SASL allows. RFC 2449 section 4 wants 255.
const maxLine = 12288 + 64

// The ends of a session that are no failure of the connection.
var (
	errQuit     = errors.New("quit")
	errFailures = errors.New("too many failed log-ins")
	errMistakes = errors.New("too many mistakes")
)

// session is one connection.
type session struct {
	h     *Handler
	ctx   context.Context // ends with the log-in
	login *login.Session
	wire  *wire.Conn

	name string // of USER
	drop *maildrop
	// mistakes are since the last good command after log-in; allMistakes are all.
	mistakes, allMistakes int
	reason                string
	count                 counts
}

// counts are for the log, as in Dovecot's pop3_logout_format.
type counts struct {
	top, topBytes, retr, retrBytes int64
}

// serve runs the session and returns why it ended.
func (s *session) serve() string {
	s.wire.In.MaxLine = maxLine
	s.wire.In.Bare = wire.Allow
	s.wire.ReadTimeout, s.wire.WriteTimeout = s.h.config.IdleTimeout, s.h.config.IdleTimeout
	s.ok(s.h.hostname + " POP3 server ready")
	for {
		line, err := s.wire.ReadCommand()
		if errors.Is(err, wire.ErrTooLong) {
			err = s.mistake("Line too long")
		} else if err == nil {
			err = s.command(line)
		}
		if err != nil {
			return s.goodbye(err)
		}
	}
}

// command runs one command line.
func (s *session) command(line []byte) error {
	v, rest := s.h.lookup(line)
	if v == nil {
		return s.mistake("Unknown command")
	}
	here := authorization
	if s.login.LoggedIn() {
		here = transaction
	}
	if err := s.login.Check(s.ctx); err != nil {
		return s.unchecked(err)
	}
	if v.in&here == 0 {
		if here == authorization {
			return s.mistake("Log in first")
		}
		return s.mistake("Not allowed after log-in")
	}
	args, ok := v.split(rest)
	if !ok {
		return s.mistake("Wrong number of arguments")
	}
	before := s.allMistakes
	err := v.run(s, args)
	if s.allMistakes == before && s.login.LoggedIn() {
		s.mistakes = 0
	}
	return err
}

// unchecked answers a command of somebody whose log-in is not good any more,
// which ends the session, or of whom that cannot be known now.
func (s *session) unchecked(err error) error {
	if s.login.Revoked() {
		return err
	}
	s.err(refusal(err))
	return nil
}

// goodbye says the last words that fit the error, and names it for the log.
// Whoever made too many mistakes has had the reply to the last one.
// Errors of writing are of no more interest.
func (s *session) goodbye(err error) string {
	reason := err.Error()
	switch {
	case s.login.Revoked() && !errors.Is(err, errQuit):
		reason = "revoked"
		s.err("[SYS/PERM] " + login.ErrRevoked.Text)
	case errors.Is(err, wire.ErrNotText):
		s.err("This is not POP3, or TLS on a port without")
	case errors.Is(err, wire.ErrEndless):
		s.err("Line without end")
	case errors.Is(err, wire.ErrInterrupted):
		reason = "shutdown"
		s.err("[SYS/TEMP] Server is shutting down")
	case errors.Is(err, os.ErrDeadlineExceeded):
		reason = "timeout"
		s.err("Disconnected for inactivity")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		reason = "connection closed"
	}
	_ = s.wire.Out.Flush()
	if s.talking(err) {
		s.wire.Linger()
	}
	return reason
}

// talking says that the client may be sending still: it ended the session by
// what it sent, or has said more than was read.
func (s *session) talking(err error) bool {
	for _, e := range []error{wire.ErrNotText, wire.ErrEndless, errMistakes, errFailures} {
		if errors.Is(err, e) {
			return true
		}
	}
	return s.wire.In.Buffered() > 0
}

// end gives everything back, also after a panic.
func (s *session) end() {
	stats := ""
	if s.drop != nil {
		stats = fmt.Sprintf("top=%d/%d retr=%d/%d del=%d/%d size=%d", s.count.top, s.count.topBytes,
			s.count.retr, s.count.retrBytes, s.drop.expunged, s.drop.len(), s.drop.total)
		s.drop.close(s)
	}
	s.login.Disconnect(s.reason, stats)
}

// ok answers "+OK text".
func (s *session) ok(text string) {
	// The first error of the writer sticks and comes back at the next flush,
	// so single writes need no check.
	_, _ = s.wire.Out.WriteString("+OK ")
	_, _ = s.wire.Out.WriteString(text)
	_, _ = s.wire.Out.WriteString("\r\n")
}

// err answers "-ERR text"; text may begin with a response code in brackets.
func (s *session) err(text string) {
	_, _ = s.wire.Out.WriteString("-ERR ")
	_, _ = s.wire.Out.WriteString(text)
	_, _ = s.wire.Out.WriteString("\r\n")
}

// line writes one line of a multi-line reply.
func (s *session) line(text string) {
	_, _ = s.wire.Out.WriteString(text)
	_, _ = s.wire.Out.WriteString("\r\n")
}

// dot ends a multi-line reply.
func (s *session) dot() { _, _ = s.wire.Out.WriteString(".\r\n") }

// maxAllMistakes is how many times pop3d.max_bad_commands a session may have in all.
// It is no parameter: pop3d.max_bad_commands scales it.
const maxAllMistakes = 10

// mistake answers a command that is wrong and counts it. A good command begins
// the count anew after log-in, as in Dovecot; the sum has a bound of its own, so
// that no NOOP between makes mistakes free.
func (s *session) mistake(text string) error {
	s.err(text)
	s.mistakes++
	s.allMistakes++
	if limit := s.h.config.MaxBadCommands; s.mistakes >= limit || s.allMistakes >= limit*maxAllMistakes {
		return errMistakes
	}
	return nil
}
