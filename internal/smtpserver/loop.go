package smtpserver

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net"
	"strings"

	"toastmaster/internal/dsn"
	"toastmaster/internal/sasl"
	"toastmaster/internal/wire"
)

// loop reads and runs commands until the connection is over.
func (c *Conn) loop() {
	for !c.closing {
		if e := c.revoked.Load(); e != nil {
			c.bye(e, "revoked")
			return
		}
		if c.tooManyErrors() {
			c.dismiss(dsn.New(dsn.TooManyErrors, "Too many errors").WithCode(421), "too many errors")
			return
		}
		line := c.again
		if line == nil {
			var ok bool
			if line, ok = c.command(); !ok {
				continue
			}
		}
		c.again = nil
		if c.unwelcome != nil {
			c.rejected("starttls", "", c.unwelcome)
			c.dismiss(c.unwelcome, "refused after STARTTLS")
			return
		}
		c.run(line)
	}
}

// tooManyErrors says that the client has made as many as it may.
func (c *Conn) tooManyErrors() bool {
	most := c.limit(c.srv.MaxErrors, c.srv.Stress.MaxErrors)
	return most > 0 && c.errors >= most
}

// limit is usual, or what stress makes of it.
func (c *Conn) limit(usual, stress int) int {
	if stress > 0 && c.stressed.Load() {
		return stress
	}
	return usual
}

// tooManyCommands ends the session of a client that sends too many; see
// OnCommand.
func (c *Conn) tooManyCommands() bool {
	if c.onCommand == nil {
		return false
	}
	e := c.onCommand()
	if e == nil {
		return false
	}
	c.rejected("command", "", e)
	c.dismiss(e, "too many commands")
	return true
}

// early ends the session of a client that has sent something before its time.
// What it sent was made without knowing our answer, so it is no SMTP client, or
// it means what it says for another server (RFC 2920 section 3.1).
func (c *Conn) early(stage string) bool {
	if c.trusted || stage == "connect" && c.forgiven || !c.srv.ForbidEarly && !c.watchEarly || !c.w.Early() {
		return false
	}
	if c.sentEarly = true; !c.srv.ForbidEarly {
		return false
	}
	e := dsn.New(dsn.Make(5, 5, 0), "Error: SMTP protocol synchronization").WithCode(554)
	c.rejected(stage, "", e)
	c.linger = true
	c.replyError(e)
	c.End("protocol synchronization")
	return true
}

// pause makes errors cost time, as Postfix's smtpd_error_sleep_time: a client that
// probes addresses does not get thousands of answers a second.
func (c *Conn) pause() {
	s := c.srv
	if c.trusted || s.SoftErrors == 0 || c.errors < s.SoftErrors || s.ErrorSleep <= 0 || c.revoked.Load() != nil {
		return
	}
	timer := s.Clock.NewTimer(s.ErrorSleep)
	defer timer.Stop()
	select {
	case <-timer.C():
	case <-c.hurry:
	case <-c.ctx.Done():
	}
}

// command waits for a line. false: there is none, and what was to be said has
// been said.
func (c *Conn) command() ([]byte, bool) {
	c.w.In.MaxLine = wire.DefaultMaxLine
	if len(c.mechanisms()) > 0 {
		// An initial response may be long; run sees to the others.
		c.w.In.MaxLine = len("AUTH PLAIN ") + sasl.MaxLine
	}
	read := c.w.ReadCommand
	if c.tx.mail {
		read = c.w.ReadLine // which the drain does not interrupt: it has time for the message to come to its end
	}
	line, err := read()
	if c.watcher != nil {
		var ended bool
		if line, ended, err = c.watched(line, err); ended {
			return nil, false
		}
	}
	if err == nil {
		return line, true
	}
	if refusal := wire.Refusal(err); refusal != nil {
		c.count(unknown, false)
		c.replyError(refusal)
		return nil, false
	}
	c.lost(err, "")
	return nil, false
}

// watched shows a line to the session, or why there is none, and says whether that ends the
// connection, and what is left of the error.
func (c *Conn) watched(line []byte, err error) (_ []byte, ended bool, left error) {
	refusal := wire.Refusal(err)
	if err != nil && refusal == nil {
		c.watcher.Watch(Line{Err: err})
		return nil, false, err
	}
	line = bytes.Clone(line) // Waiting may move what is buffered
	rest, more := c.w.Waiting()
	e := c.watcher.Watch(Line{Text: line, Err: err, More: more, Rest: rest})
	switch {
	case e == nil && (errors.Is(err, wire.ErrBareLF) || errors.Is(err, wire.ErrBareCR)):
		return line, false, nil
	case e == nil:
		return line, false, err
	case e.Reply() == 421:
		c.dismiss(e, "refused by a test")
	default:
		c.linger = true
		c.replyError(e)
		c.End("refused by a test")
	}
	return nil, true, nil
}

// lost ends the connection after an error of reading or writing.
func (c *Conn) lost(err error, where string) {
	var ne net.Error
	switch {
	case errors.Is(err, wire.ErrCut) && c.revoked.Load() != nil:
		c.linger = where != ""
		c.bye(c.revoked.Load(), "revoked"+where)
	case errors.Is(err, wire.ErrInterrupted):
		c.bye(dsn.New(dsn.ShuttingDown, "Service is shutting down, try again later"), "shutdown")
	case errors.Is(err, wire.ErrEndless):
		c.dismiss(dsn.New(dsn.TooManyErrors, "Line without end").WithCode(421), "line without end"+where)
	case errors.As(err, &ne) && ne.Timeout():
		c.bye(dsn.New(dsn.BadConnection, "Timeout exceeded").WithCode(421), "timeout"+where)
	default:
		c.End("lost connection" + where)
	}
}

// bye says e, with the host name as RFC 5321 wants it in a 421, and ends.
func (c *Conn) bye(e *dsn.Error, reason string) {
	said := *e
	said.Text = c.srv.Hostname + " " + e.Text
	c.replyError(&said)
	c.End(reason)
}

// dismiss is bye for a client that ends the session by what it sends, and may
// be sending more.
func (c *Conn) dismiss(e *dsn.Error, reason string) {
	c.linger = true
	c.bye(e, reason)
}

// replaced is the command in the place of a line (Server.Replace). false: there is none, and the client has been told.
func (c *Conn) replaced(line []byte) ([]byte, bool) {
	if c.srv.Replace == nil {
		return line, true
	}
	other, e := c.srv.Replace(c, string(line))
	if e != nil {
		c.fail(unknown, e)
		return nil, false
	}
	return []byte(other), true
}

// run runs one command line.
func (c *Conn) run(line []byte) {
	line, ok := c.replaced(line)
	if !ok {
		return
	}
	name, arg, _ := bytes.Cut(line, []byte{' '})
	t := c.srv.commands()
	i := t.find(name)
	if e := c.allowed(t, i, line); e != nil {
		c.fail(i, e)
		return
	}
	v := &t.rows[i]
	if c.tooManyCommands() || v.Last && c.early(strings.ToLower(v.Name)) {
		return
	}
	if v.Junk && c.tooMuchJunk() {
		c.dismiss(dsn.New(dsn.TooManyErrors, "Too many commands that lead nowhere").WithCode(421), "too much junk")
		return
	}
	if e := c.outOfOrder(v); e != nil {
		c.fail(i, e)
		return
	}
	c.verb, c.messageRefused = v, false
	if e := v.Run(c, string(bytes.TrimSpace(arg))); e != nil {
		c.fail(i, e)
		return
	}
	c.count(i, !c.messageRefused)
}

// allowed says whether the verb at i may run with this line.
func (c *Conn) allowed(t *table, i int, line []byte) *dsn.Error {
	switch {
	case len(line) > wire.DefaultMaxLine && (i == unknown || t.rows[i].Name != "AUTH"):
		return wire.Refusal(wire.ErrTooLong)
	case i == unknown:
		if word, _, _ := bytes.Cut(line, []byte{' '}); c.srv.Forbidden != nil && c.srv.Forbidden(c, string(word)) {
			return forbidden(c, "")
		}
		if s, ok := c.session.(Stranger); ok {
			if e := s.Unknown(c.ctx, string(line)); e != nil {
				return e
			}
		}
		return dsn.New(dsn.InvalidCommand, "Command not recognized").WithCode(500)
	case bytes.IndexByte(line, 0) >= 0:
		return dsn.New(dsn.SyntaxError, "NUL in command")
	case c.srv.RequireTLS && c.tls == nil && !t.rows[i].Clear:
		return dsn.New(dsn.Make(5, 7, 0), "Must issue a STARTTLS command first").WithCode(530)
	case c.helo == "":
		return c.outOfOrder(&t.rows[i])
	}
	return nil
}

// outOfOrder says that the state of the session is none of the verb's.
func (c *Conn) outOfOrder(v *Verb) *dsn.Error {
	state := c.state()
	switch {
	case v.States&state != 0:
		return nil
	case state == Fresh:
		return dsn.Newf(dsn.InvalidCommand, "Send %s first", c.greetingVerb())
	case state == Greeted:
		return errNeedMail()
	}
	return dsn.New(dsn.InvalidCommand, cmp.Or(v.Busy, "Not during a mail transaction"))
}

func (c *Conn) state() State {
	switch {
	case c.helo == "":
		return Fresh
	case c.tx.mail:
		return Transaction
	}
	return Greeted
}

func (c *Conn) tooMuchJunk() bool {
	c.junk++
	most := c.limit(c.srv.MaxJunk, c.srv.Stress.MaxJunk)
	return most > 0 && c.junk > most
}

func (c *Conn) greetingVerb() string {
	if c.srv.LMTP {
		return "LHLO"
	}
	return "HELO or EHLO"
}

// fail answers a command with an error. A session that is over gets its last
// words from the loop instead.
func (c *Conn) fail(verb int, e *dsn.Error) {
	c.count(verb, false)
	if c.revoked.Load() != nil {
		return
	}
	c.replyError(e)
	c.hangUp(e)
}

// hangUp ends the session behind a reply that says so (RFC 5321 section 3.8, RFC 7504; Postfix
// access(5)): the session may answer a command with 421 or 521.
func (c *Conn) hangUp(e *dsn.Error) {
	if code := e.Reply(); (code == 421 || code == 521) && !c.closing {
		c.linger = true
		c.End(fmt.Sprintf("refused with %d", code))
	}
}

// count keeps the statistics of the log; an error brings the end nearer, and
// may cost time.
func (c *Conn) count(verb int, ok bool) {
	c.stats.add(verb, ok)
	if !ok {
		c.errors++
		c.pause()
	}
}
