package imapd

import (
	"bytes"
	"errors"

	"toastmaster/internal/dsn"
	"toastmaster/internal/msglog"
	"toastmaster/mailstore"
	"toastmaster/mailstore/login"
)

// command runs one command: tag, verb, arguments, answer.
func (s *session) command(line []byte) {
	s.counts.commands++
	s.a = args{c: s.c, line: line, room: s.srv.config.MaxLiteral}
	if !s.readTag() {
		s.refuseUntagged("Invalid tag")
		return
	}
	v := s.verb()
	var answer reply
	err := s.allowed(v)
	if err == nil && v.name != "LOGOUT" {
		err = s.stillGood()
	}
	if err == nil {
		s.mayUse(v)
		answer, err = v.run(s, &s.a)
	}
	if s.login.Revoked() {
		s.goodbye(login.ErrRevoked)
		return
	}
	if s.c.lost() {
		s.stop(s.c.Err())
		return
	}
	if err != nil && s.ctx.Err() != nil {
		s.goodbye(errDraining)
		return
	}
	if err := s.a.drain(); err != nil {
		s.stop(err)
		return
	}
	s.answer(v, answer, err)
}

// mayUse looks at what the row of a verb needs of the selected mailbox. What it needs
// of those that the command names, args does when it has read them.
func (s *session) mayUse(v *verb) {
	s.a.mail, s.a.ctx, s.a.needs = s.mail, s.ctx, v.rights
	need := v.rights.ofSelected()
	switch {
	case s.box == nil || need == 0:
	case !s.box.view.Rights().Allow(need):
		s.a.denied = mailstore.ErrNoPermission
	case s.box.view.ReadOnly():
		s.a.denied = errReadOnly
	}
}

// readTag reads the tag of a command and the blank behind it.
func (s *session) readTag() bool {
	s.tag = append(s.tag[:0], s.a.word(&tagEnd)...)
	s.a.space()
	return 0 < len(s.tag) && len(s.tag) <= maxTag && s.a.err == nil
}

// tagEnd ends a tag: what is no ASTRING-CHAR, and "+".
var tagEnd = func() [256]bool {
	t := atomEnd
	t['+'] = true
	return t
}()

const (
	maxTag  = 128
	maxVerb = 24
)

// verb reads the name of the command and finds its row; nil if it has none.
func (s *session) verb() *verb {
	var upper [maxVerb]byte
	name := appendUpper(upper[:0], s.a.word(&atomEnd))
	if string(name) == "UID" && s.a.more() {
		s.a.uid = true
		name = appendUpper(append(name, ' '), s.a.word(&atomEnd))
	}
	return s.srv.verbs[string(name)]
}

func appendUpper(dst, word []byte) []byte {
	for _, c := range word[:min(len(word), maxVerb-len(dst))] {
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

// allowed says whether the verb fits the state of the session.
func (s *session) allowed(v *verb) error {
	switch {
	case v == nil:
		return bad("Unknown command")
	case v.in&s.state() != 0:
		return nil
	case s.mail == nil:
		return bad("Log in first")
	case v.in == selected:
		return bad("No mailbox selected")
	}
	return bad("Already logged in")
}

// stillGood says whether the log-in still is. After ErrRevoked the session
// ends; anything else refuses what was about to be done.
func (s *session) stillGood() error {
	err := s.login.Check(s.ctx)
	if err == nil || errors.Is(err, login.ErrRevoked) {
		return err
	}
	return &refusal{kind: "NO", code: "UNAVAILABLE", text: dsn.From(err).Text, cause: err}
}

func (s *session) state() state {
	switch {
	case s.mail == nil:
		return fresh
	case s.box == nil:
		return authenticated
	}
	return selected
}

// answer writes the news of the mailbox and the tagged response.
func (s *session) answer(v *verb, answer reply, err error) {
	if err == nil || refuse(err).kind == "NO" {
		if v != nil && v.flags&noNews == 0 && s.box != nil {
			if lost := s.news(v.flags&usesSeqs == 0 || s.a.uid); lost != nil {
				return
			}
		}
	}
	if s.mail != nil && (err == nil || refuse(err).kind != "BAD") {
		s.bads = 0
	}
	if err == nil {
		s.c.respond(s.tag, "OK", answer.code, answer.text)
		return
	}
	r := refuse(err)
	if v != nil {
		s.logFailure(v.name, r)
	}
	s.c.respond(s.tag, r.kind, r.code, r.text)
	if r.kind == "BAD" {
		s.mistake()
	}
}

// logFailure logs what failed on our side: the answer says nothing of it. What
// failed at log-in directory/password has logged.
func (s *session) logFailure(command string, r *refusal) {
	ours := r.code == "SERVERBUG" || r.code == "UNAVAILABLE" && s.mail != nil
	if r.cause == nil || !ours {
		return
	}
	s.srv.log.Error("command failed", "service", "imapd", "session", s.login.ID,
		"mailbox", s.login.Account().Address.String(), "command", command, "cause", r.cause.Error())
}

// refuseUntagged answers what has no tag to answer to.
func (s *session) refuseUntagged(text string) {
	if err := s.a.drain(); err != nil {
		s.stop(err)
		return
	}
	s.c.writeString("* BAD " + text + "\r\n")
	s.mistake()
}

// news tells what others did to the selected mailbox; see mailbox.news. One that
// cannot be shown any more ends the session: to go on with numbers that nobody
// keeps would be worse than to start anew.
func (s *session) news(expunge bool) error {
	err := s.box.news(expunge)
	switch {
	case err == nil:
	case errors.Is(err, mailstore.ErrGone):
		s.bye("Mailbox was deleted")
	default:
		s.srv.log.Event(msglog.Reject{Service: "imapd", Session: s.login.ID, Stage: "update", Err: mailstore.DSN(err)})
		s.bye("Mailbox is not available, please reconnect")
	}
	return err
}

// startTLS makes the handshake that STARTTLS promised.
func (s *session) startTLS() {
	s.starts = false
	err := s.login.StartTLS()
	switch {
	case err == nil:
	case s.c.lost():
		s.goodbye(err)
	default:
		s.quit, s.reason = true, "TLS handshake failed: "+errors.Unwrap(err).Error()
	}
}

// equalFold compares ASCII words.
func equalFold(b []byte, s string) bool { return bytes.EqualFold(b, []byte(s)) }
