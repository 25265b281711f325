package dsn

import (
	"errors"
	"fmt"
)

// Error is an outcome that is not success.
type Error struct {
	// Code is the SMTP reply code. Zero lets Reply derive it from Status.
	Code int
	// Status is the enhanced status code; it alone decides the class.
	Status Status
	// Text is shown to the peer and in bounces. No internals: no paths, no
	// table names, no addresses of other machines.
	Text string
	// Cause goes to the log and never to the peer. May be nil.
	Cause error
	// RemoteMTA and RemoteReply are set when another host said no: its name
	// and its reply as received (RFC 3464 Remote-MTA and Diagnostic-Code).
	RemoteMTA   string
	RemoteReply string
}

// New makes an error without a cause.
func New(s Status, text string) *Error { return &Error{Status: s, Text: text} }

// Newf is New with a format. The text goes to the peer.
func Newf(s Status, format string, args ...any) *Error {
	return &Error{Status: s, Text: fmt.Sprintf(format, args...)}
}

// Wrap makes an error whose cause only the log sees.
func Wrap(s Status, text string, cause error) *Error {
	return &Error{Status: s, Text: text, Cause: cause}
}

// WithCode returns a copy of e that answers with the given SMTP reply code.
func (e *Error) WithCode(code int) *Error {
	c := *e
	c.Code = code
	return &c
}

// Error is for the log: status, text and cause.
func (e *Error) Error() string {
	if e.Cause == nil {
		return e.Status.String() + " " + e.Text
	}
	return fmt.Sprintf("%s %s: %v", e.Status, e.Text, e.Cause)
}

// Unwrap gives the cause to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Cause }

// Temporary is computed from the status.
func (e *Error) Temporary() bool { return e.Status.Temporary() }

// Soft is e as a temporary error: with status and code of class 4 where it has class 5 (Postfix soft_bounce).
func (e *Error) Soft() *Error {
	if e == nil || e.Status.Class() != 5 {
		return e
	}
	c := *e
	if c.Code = e.Reply(); c.Code/100 == 5 {
		c.Code -= 100
	}
	c.Status = Make(4, e.Status.Subject(), e.Status.Detail())
	return &c
}

// Reply is the SMTP reply code: Code when set, otherwise the usual one for the
// status (RFC 5321 section 4.2.3, RFC 2034 section 4).
func (e *Error) Reply() int {
	if e.Code != 0 {
		return e.Code
	}
	temporary := e.Temporary()
	switch {
	case e.Status == SystemFull:
		return 452
	case e.Status == ShuttingDown:
		return 421
	case e.Status == MailboxMoved:
		return 551
	case e.Status == MailboxFull || e.Status == MessageTooLong:
		return 552
	case e.Status == AuthFailed:
		return 535
	case e.Status == SyntaxError:
		return 500
	case e.Status == InvalidArguments || e.Status == BadDestSyntax || e.Status == BadSenderSyntax:
		return 501
	case e.Status == InvalidCommand:
		return 503
	case temporary:
		return 451
	case e.Status.Subject() == 1 || e.Status.Subject() == 2:
		return 550
	}
	return 554
}

// From turns any error into an *Error: nil stays nil, an *Error anywhere in
// the chain is returned as it is, anything else is 4.3.0 with the error as the
// cause, because what we do not understand must wait and not bounce.
func From(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return Wrap(MailSystem, "Temporary failure, please try again later", err)
}
