package imapd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"toastmaster/internal/wire"
	"toastmaster/mailstore"
	"toastmaster/mailstore/login"
)

// session is one connection. It belongs to one goroutine.
type session struct {
	srv   *Server
	ctx   context.Context // ends with the log-in
	c     *conn
	login *login.Session
	mail  *mailstore.Session // nil before log-in

	box *mailbox // the selected mailbox, or nil

	tag     []byte
	a       args
	enabled []string // by ENABLE

	quit   bool   // after the present command
	reason string // of the end, for the log
	starts bool   // STARTTLS was accepted
	// talking says that what the client sends ends the session.
	talking bool
	// bads are commands that were wrong, since the last good one after log-in;
	// allBads are all.
	bads, allBads int
	counts        counts
}

// counts are for the log.
type counts struct{ commands, fetched, appended, expunged int }

// serve greets and runs commands until either side has enough.
func (s *session) serve() {
	s.c.writeString("* OK [CAPABILITY " + s.capabilities() + "] " + s.srv.options.Hostname + " IMAP server is ready\r\n")
	for !s.quit {
		if s.login.Revoked() {
			s.goodbye(login.ErrRevoked)
			return
		}
		line, err := s.c.ReadCommand()
		switch {
		case err == wire.ErrTooLong:
			s.tooLong()
		case err != nil:
			s.goodbye(err)
			return
		default:
			s.command(line)
		}
		if s.starts {
			s.startTLS()
		}
	}
	_ = s.c.Out.Flush() // nobody is left to be told
}

// hangUp lets the last words arrive at a client that may be sending still: it
// ended the session by what it sent, or has said more than was read.
func (s *session) hangUp() {
	if s.talking || s.c.In.Buffered() > 0 {
		s.c.Linger()
	}
}

// now is the time of the clock; deadlines of the socket are in the machine's.
func (s *session) now() time.Time { return s.srv.options.Clock.Now() }

// goodbye ends a session that waits. The BYE is a courtesy: it may not arrive.
func (s *session) goodbye(err error) {
	s.quit = true
	switch {
	case err == wire.ErrCut, errors.Is(err, login.ErrRevoked):
		s.reason = "revoked"
		s.c.writeString("* BYE " + login.ErrRevoked.Text + "\r\n")
	case err == wire.ErrEndless:
		s.reason, s.talking = "too much to discard", true
		s.c.writeString("* BYE Command is too large\r\n")
	case err == wire.ErrNotText:
		s.reason, s.talking = "no text", true
		s.c.writeString("* BYE This is not IMAP, or TLS on a port without\r\n")
	case err == errDraining, err == wire.ErrInterrupted:
		s.reason = "shutdown"
		s.c.writeString("* BYE Server is shutting down\r\n")
	case errors.Is(err, context.Canceled): // in the middle of a response
		s.reason = "shutdown"
		return
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.reason = "timeout"
		s.c.writeString("* BYE Autologout: you were quiet for too long\r\n")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		s.reason = "client closed the connection"
		return
	default:
		s.reason = "connection lost: " + err.Error()
		return
	}
	_ = s.c.Out.Flush()
}

// bye ends the session after the present command with a reason for the client.
func (s *session) bye(text string) {
	if s.quit {
		return // it was said
	}
	s.c.writeString("* BYE " + text + "\r\n")
	s.quit, s.reason = true, text
}

// tooLong answers a line over the limit, of which only the two ends are left.
// A client waits for an answer with its tag; it gets one if the line has a tag.
func (s *session) tooLong() {
	head, tail := s.c.In.Overlong()
	s.a = args{c: s.c, line: head}
	if !s.readTag() {
		s.tag = s.tag[:0]
	}
	s.a = args{c: s.c, line: tail}
	if err := s.a.drain(); err != nil {
		s.stop(err)
		return
	}
	if len(s.tag) > 0 {
		s.c.respond(s.tag, "BAD", "", "Command line is too long")
	} else {
		s.c.writeString("* BAD Command line is too long\r\n")
	}
	s.mistake()
}

// allMistakes is how many times imapd.max_bad_commands a session may have in all. It
// is no parameter: imapd.max_bad_commands scales it.
const allMistakes = 10

// mistake counts a command that was no command; too many end the session. A
// good command begins the count anew after log-in, as in Dovecot: a session of
// weeks may be wrong now and then. The sum has a bound of its own, so that no
// NOOP between makes mistakes free.
func (s *session) mistake() {
	s.bads++
	s.allBads++
	limit := s.srv.config.MaxBadCommands
	if !s.login.LoggedIn() {
		limit = min(limit, 5) // no client needs more to log in
	}
	if s.bads >= limit || s.allBads >= limit*allMistakes {
		s.bye("Too many invalid commands")
		s.talking = true
	}
}

// stop ends the session after an error in the middle of a command.
func (s *session) stop(err error) {
	if err == wire.ErrEndless && s.a.lit.pending && len(s.tag) > 0 {
		s.c.respond(s.tag, "BAD", "TOOBIG", "Literal is too large")
	}
	s.talking = err == wire.ErrCut // in the middle of what the client sends
	s.goodbye(err)
}

// close gives everything back; it runs after a panic, too.
func (s *session) close() {
	s.closeView()
	if s.reason == "" {
		s.reason = "lost"
	}
	s.login.Disconnect(s.reason, fmt.Sprintf("commands=%d fetched=%d appended=%d expunged=%d in=%d out=%d",
		s.counts.commands, s.counts.fetched, s.counts.appended, s.counts.expunged, s.c.Received(), s.c.Sent()))
}

// closeView leaves the selected mailbox.
func (s *session) closeView() {
	if s.box == nil {
		return
	}
	if err := s.box.view.Close(); err != nil {
		s.srv.log.Warn("closing a mailbox failed", "service", "imapd", "session", s.login.ID, "cause", err.Error())
	}
	s.box = nil
}

// newMailbox is what was opened.
func (s *session) newMailbox(v *mailstore.Selection) *mailbox {
	b := &mailbox{c: s.c, ctx: s.ctx, view: v}
	b.fetch = fetcher{mailbox: b, log: s.srv.log, id: s.login.ID, counts: &s.counts, copies: s.srv.config.MaxFetchCopies}
	return b
}

// lister is who tells the mailboxes of the user.
func (s *session) lister() *lister {
	return &lister{c: s.c, ctx: s.ctx, mail: s.mail, failed: func(err error) { s.logFailure("LIST", refuse(err)) }}
}
