package smtpserver

import (
	"errors"

	"github.com/emersion/go-smtp"

	"toastmaster/internal/dsn"
)

// Backend makes the session of a connection, before the greeting. Its error
// is sent instead of the greeting and ends the connection.
type Backend interface {
	NewSession(c *Conn) (smtp.Session, error)
}

// BackendFunc is a function as Backend.
type BackendFunc func(c *Conn) (smtp.Session, error)

// NewSession calls f.
func (f BackendFunc) NewSession(c *Conn) (smtp.Session, error) { return f(c) }

// HeloSession is an add-on: the session is asked about the greeting of the
// client. esmtp is false for HELO.
type HeloSession interface {
	Helo(name string, esmtp bool) error
}

// Accepted is what Data returns to accept a message with a text of its own:
// "queued as ID".
func Accepted(text string) error {
	return &smtp.SMTPError{Code: 250, EnhancedCode: smtp.EnhancedCode{2, 0, 0}, Message: text}
}

// outcome turns what a session returned into a reply. accepted is true for nil
// and for errors of code 2xx; e then has the text, if there is one.
func outcome(err error) (e *dsn.Error, accepted bool) {
	if err == nil {
		return nil, true
	}
	var ours *dsn.Error
	if errors.As(err, &ours) {
		return ours, false
	}
	var theirs *smtp.SMTPError
	if !errors.As(err, &theirs) {
		return dsn.From(err), false
	}
	if theirs.Code/100 == 2 {
		return &dsn.Error{Code: theirs.Code, Status: enhanced(theirs), Text: theirs.Message}, true
	}
	return &dsn.Error{Code: theirs.Code, Status: enhanced(theirs), Text: theirs.Message, Cause: err}, false
}

// enhanced is the status of e, or the plain x.0.0 of its code.
func enhanced(e *smtp.SMTPError) dsn.Status {
	c := e.EnhancedCode
	if c == smtp.EnhancedCodeNotSet || c == smtp.NoEnhancedCode || c[0] < 2 {
		return dsn.Make(e.Code/100, 0, 0)
	}
	return dsn.Make(c[0], c[1], c[2])
}
