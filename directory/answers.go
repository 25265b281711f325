package directory

import (
	"errors"
	"fmt"

	"toastmaster/internal/dsn"
)

// Outcome is one of the four answers of a lookup.
type Outcome uint8

// The four answers.
const (
	Found Outcome = iota
	NotFound
	Unavailable
	Misconfigured
)

// String names the outcome as the log does.
func (o Outcome) String() string {
	switch o {
	case Found:
		return "found"
	case NotFound:
		return "not found"
	case Unavailable:
		return "unavailable"
	}
	return "misconfigured"
}

// Error is every answer but Found.
type Error struct {
	Outcome Outcome
	// Table and Key say what was asked, for the log.
	Table string
	Key   string
	Cause error
}

// Error is for the log.
func (e *Error) Error() string {
	s := fmt.Sprintf("table %s, key %q: %s", e.Table, e.Key, e.Outcome)
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return s
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Missing makes the NotFound answer.
func Missing(table, key string) *Error { return &Error{Outcome: NotFound, Table: table, Key: key} }

// OutcomeOf reads the answer out of err. nil is Found; an error that is no
// *Error is Unavailable.
func OutcomeOf(err error) Outcome {
	if err == nil {
		return Found
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Outcome
	}
	return Unavailable
}

// DSN is the delivery status of a failed lookup: 4.3.0 for Unavailable, 4.3.5
// for Misconfigured. It must not be asked about Found or NotFound; for those
// it answers 4.3.0 too, which waits and loses nothing.
func DSN(err error) *dsn.Error {
	if OutcomeOf(err) == Misconfigured {
		return dsn.Wrap(dsn.Misconfigured, "Server configuration error", err)
	}
	return dsn.Wrap(dsn.MailSystem, "Temporary lookup failure", err)
}
