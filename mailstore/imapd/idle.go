package imapd

import (
	"errors"
	"os"
	"strings"
	"time"

	"toastmaster/internal/wire"
)

// runIdle is IDLE (RFC 2177). The session's goroutine waits for the client as
// always; a second one, which lives only here, waits for the mailbox and
// interrupts the first. All buffers but the small one are given back.
func runIdle(s *session, a *args) (reply, error) {
	if err := a.end(); err != nil {
		return reply{}, err
	}
	s.c.writeString("+ idling\r\n")
	if s.box != nil {
		// What changed before IDLE is told before the wait.
		if err := s.news(true); err != nil {
			return reply{}, err
		}
	}
	began := s.now()
	for {
		line, err := s.idleWait()
		switch {
		case err == nil && strings.EqualFold(string(line), "DONE"):
			a.line, a.i = nil, 0
			return reply{text: "Idle completed"}, nil
		case err == nil, errors.Is(err, wire.ErrTooLong):
			a.line, a.i = line, 0
			return reply{}, bad("Expected DONE")
		case errors.Is(err, wire.ErrWoken):
			if err := s.idleNews(); err != nil {
				return reply{}, err
			}
		case s.stillHere(err, began):
		default:
			return s.idleOver(err)
		}
	}
}

// idleNews tells what happened, if the client may still know.
func (s *session) idleNews() error {
	if err := s.stillGood(); err != nil {
		if !s.login.Revoked() { // unknown, and a wait must not be a way around
			s.bye("Mailbox is not available, please reconnect")
		}
		return err
	}
	return s.news(true)
}

// idleWait waits for a line of the client or news of the mailbox.
func (s *session) idleWait() ([]byte, error) {
	stop := s.watch()
	defer stop()
	if notify := s.srv.config.IdleNotify; notify > 0 {
		return s.c.ReadIdle(notify)
	}
	return s.c.ReadIdle(s.srv.config.IdleTimeout)
}

// watch starts the goroutine that wakes the session when the mailbox changes;
// stop ends it and waits for it.
func (s *session) watch() (stop func()) {
	if s.box == nil {
		return func() {}
	}
	changed := s.box.view.Changed()
	quit, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		select {
		case <-changed:
			s.c.Wake()
		case <-quit:
		}
	}()
	return func() {
		close(quit)
		<-over
	}
}

// stillHere tells a client that nothing has happened to, so that the address
// translators between do not forget the connection.
func (s *session) stillHere(err error, began time.Time) bool {
	notify := s.srv.config.IdleNotify
	if !errors.Is(err, os.ErrDeadlineExceeded) || notify == 0 || s.now().Sub(began) > s.srv.config.IdleTimeout {
		return false
	}
	s.c.writeString("* OK Still here\r\n")
	return true
}

// idleOver ends an IDLE that the client did not.
func (s *session) idleOver(err error) (reply, error) {
	if !s.c.lost() {
		s.c.Fail(err) // the server stops, or the client was quiet for too long
	}
	return reply{}, err
}
