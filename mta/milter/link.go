package milter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"toastmaster/internal/milter"
)

// state is where a filter stands in a session.
type state uint8

const (
	fresh       state = iota // not connected
	listening                // it hears the commands
	acceptsMail              // it has accepted the message, and wants to hear no more of it
	accepts                  // it has accepted the client
	refused                  // it has refused the client, with a verdict
	broken                   // there is no answer to be had: the verdict is the default action
)

// link is a filter in a session.
type link struct {
	s      *Session
	filter *filter
	c      *conn // nil in the states fresh and broken
	state  state
	// verdict is that of refused and broken.
	verdict Verdict
	// told are the commands that went over a kept connection which has not answered yet.
	told []event
	// skips is the command that it wants no more of in this message.
	skips milter.Command
	// over says that it hears no more in this session.
	over bool
	// greeted says that it has heard a HELO.
	greeted bool
}

// own is an error by which a filter wants what cannot be done: it speaks, but not sense.
type own struct{ error }

// wantsRefused says that the filter has asked for recipients that were refused.
func (l *link) wantsRefused() bool {
	return l.c != nil && l.c.agreed.Steps&milter.WantsRefusedRcpts != 0
}

// fail notes that there is no answer, with a line in the log, and is the default action.
func (l *link) fail(doing string, err error) Verdict {
	var mistake own
	l.state, l.verdict = broken, without(l.filter.DefaultAction, errors.As(err, &mistake), err)
	l.drop(false)
	l.s.f.o.Log.Warn("milter does not answer", "session", l.s.id, "milter", l.filter.Name, "command", doing, "action", l.filter.DefaultAction.String(), "cause", err)
	return l.verdict
}

// drop ends the connection.
func (l *link) drop(inOrder bool) {
	if l.c != nil {
		l.filter.peer.leave(l.c, inOrder)
		l.c = nil
	}
}

// tell tells a command, and is the verdict.
func (l *link) tell(ctx context.Context, e event) Verdict {
	switch l.state {
	case refused, broken:
		return l.verdict
	case accepts:
		return Verdict{}
	case acceptsMail:
		if e.code != milter.Helo {
			return Verdict{}
		}
	case fresh:
		c, err := l.filter.peer.connect(ctx, l.filter, true)
		if err != nil {
			return l.fail("connect", err)
		}
		l.c, l.state = c, listening
	}
	l.greeted = l.greeted || e.code == milter.Helo
	return l.say(ctx, e, l.filter.CommandTimeout, nil)
}

// say sends a command with its macros, and reads the answer. change takes what a filter wants changed, at the end of a message.
func (l *link) say(ctx context.Context, e event, timeout time.Duration, change func(milter.Reply, []byte) error) Verdict {
	c := l.c
	if c.never&e.leaves != 0 {
		return Verdict{}
	}
	if l.skips == e.code && e.code != 0 {
		return Verdict{}
	}
	l.skips = 0
	if c.kept && len(l.told) <= maxTold {
		l.told = append(l.told, e)
	}
	v, err := l.timed(ctx, e, timeout, change)
	if err != nil && l.mayBegin(ctx, e, err) {
		v, err = l.anew(ctx, timeout)
	}
	if l.c != nil && !l.c.kept {
		l.told = nil
	}
	if err != nil {
		return l.fail(commandName(e.code), err)
	}
	if l.over {
		l.drop(false)
	}
	return v
}

// timed is exchange in its time.
func (l *link) timed(ctx context.Context, e event, timeout time.Duration, change func(milter.Reply, []byte) error) (Verdict, error) {
	l.c.begin(ctx, timeout)
	v, err := l.exchange(ctx, e, change)
	if ended := l.c.end(); !ended && err == nil {
		err = context.Cause(ctx)
	}
	return v, err
}

// mayBegin says that the filter can be told all again over a new connection: it has ended a kept one without a word, as one does that is
// restarted, and what it was told is not much.
func (l *link) mayBegin(ctx context.Context, e event, err error) bool {
	switch e.code {
	case milter.Connect, milter.Helo, milter.Mail, milter.Rcpt:
		return l.c.kept && len(l.told) <= maxTold && ctx.Err() == nil && !errors.Is(err, os.ErrDeadlineExceeded)
	}
	return false
}

// maxTold bounds what is told again. It is no parameter: a filter that is to be asked answers long before.
const maxTold = 10

// anew tells all again, over a new connection.
func (l *link) anew(ctx context.Context, timeout time.Duration) (v Verdict, err error) {
	l.drop(false)
	if l.c, err = l.filter.peer.connect(ctx, l.filter, false); err != nil {
		return Verdict{}, err
	}
	for _, e := range l.told {
		if l.state != listening || v.Err != nil || v.Discard {
			break
		}
		if l.c.never&e.leaves != 0 {
			continue
		}
		hold := v.Hold
		if v, err = l.timed(ctx, e, timeout, nil); err != nil {
			return Verdict{}, err
		}
		v.Hold = v.Hold || hold
	}
	return v, nil
}

func (l *link) exchange(ctx context.Context, e event, change func(milter.Reply, []byte) error) (Verdict, error) {
	c := l.c
	// The macros come also where the command is left out, as in Postfix.
	if err := c.send(byte(milter.Macro), []byte{byte(e.code)}, l.s.macros(ctx, e.at, &c.agreed)); err != nil {
		return Verdict{}, err
	}
	if c.agreed.Steps&e.leaves != 0 {
		return Verdict{}, nil
	}
	if err := c.send(byte(e.code), e.data); err != nil {
		return Verdict{}, err
	}
	if e.silent != 0 && c.agreed.Steps&e.silent != 0 {
		return Verdict{}, nil
	}
	return l.answer(e, change)
}

// answer reads packets up to the one that ends a command.
func (l *link) answer(e event, change func(milter.Reply, []byte) error) (Verdict, error) {
	until := realNow().Add(l.s.f.o.Params.ProgressTimeout)
	held := Verdict{}
	for {
		code, data, err := l.c.receive()
		if err != nil {
			return Verdict{}, err
		}
		r := milter.Reply(code)
		switch r {
		case milter.Progress:
			if len(data) > 0 {
				return Verdict{}, trailing(r)
			}
		case milter.Quarantine:
			held.Hold = true
		case milter.AddHeader, milter.InsertHeader, milter.ChangeHeader, milter.AddRcpt, milter.AddRcptArgs, milter.DeleteRcpt, milter.ChangeFrom, milter.ReplaceBody:
			if change == nil {
				return Verdict{}, fmt.Errorf("a change (%q) that is none of this command's", rune(code))
			}
			if err := change(r, data); err != nil {
				return Verdict{}, err
			}
		default:
			v, err := l.decide(e, r, data)
			v.Hold = v.Hold || held.Hold
			return v, err
		}
		if realNow().After(until) {
			return Verdict{}, errors.New("it was at work for longer than milter.progress_timeout")
		}
	}
}

func trailing(r milter.Reply) error {
	return fmt.Errorf("an answer %q with something behind it", rune(r))
}

// decide is what the last packet of an answer means.
func (l *link) decide(e event, r milter.Reply, data []byte) (Verdict, error) {
	early := e.code == milter.Connect || e.code == milter.Helo
	v := Verdict{}
	switch r {
	case milter.Accept:
		if l.state = acceptsMail; early {
			l.state = accepts
		}
	case milter.Continue:
	case milter.Skip:
		l.skips = e.code
	case milter.Discard:
		if !early {
			l.state, v.Discard = acceptsMail, true
		}
	case milter.Reject:
		v.Err = errRejected
	case milter.TempFail:
		v.Err = errLater
	case milter.Shutdown:
		v.Err = errClosing
		l.state, l.verdict = refused, v
	case milter.ConnFail:
		v.Err = errLater.WithCode(421)
		l.state, l.verdict = refused, v
	case milter.ReplyCode:
		var ok bool
		if v.Err, ok = reply(data); !ok {
			return Verdict{}, own{fmt.Errorf("a reply %.100q that is none", data)}
		}
		data = nil
	default:
		return Verdict{}, fmt.Errorf("an answer %q that there is not", rune(r))
	}
	if len(data) > 0 {
		return Verdict{}, trailing(r)
	}
	if early && v.Err != nil {
		l.state, l.verdict = refused, v
	}
	if l.state == accepts || l.state == refused {
		l.over = true
	}
	return v, nil
}

// abort says that the transaction is over.
func (l *link) abort() {
	l.skips = 0
	l.told = slices.DeleteFunc(l.told, func(e event) bool { return e.code != milter.Connect && e.code != milter.Helo })
	switch l.state {
	case listening, acceptsMail:
		l.state = listening
		l.c.begin(context.Background(), l.filter.CommandTimeout)
		defer l.c.end()
		if err := errors.Join(l.c.send(byte(milter.Abort)), l.c.flush()); err != nil {
			l.fail(commandName(milter.Abort), err)
		}
	}
}

// close ends the session. What is behind HELO is given up first, as Postfix does.
func (l *link) close() {
	if l.greeted && (l.state == listening || l.state == acceptsMail) {
		l.c.begin(context.Background(), goodbye)
		if err := l.c.send(byte(milter.Abort)); err != nil {
			l.state = broken
		}
		l.c.end()
	}
	l.drop(l.state != broken)
	l.state = broken
}

// commandName is for the log.
func commandName(c milter.Command) string {
	switch c {
	case milter.Connect:
		return "connect"
	case milter.Helo:
		return "helo"
	case milter.Mail:
		return "mail"
	case milter.Rcpt:
		return "rcpt"
	case milter.Data:
		return "data"
	case milter.Header:
		return "header"
	case milter.EndOfHeader:
		return "end of header"
	case milter.Body:
		return "body"
	case milter.EndOfBody:
		return "end of message"
	case milter.Unknown:
		return "unknown"
	}
	return "abort"
}

// log notes what of the filter's wishes is not done.
func (l *link) log(what string, cause error) {
	l.s.f.o.Log.Warn("milter wants what cannot be done", "session", l.s.id, "milter", l.filter.Name, "wish", what, "cause", cause)
}
