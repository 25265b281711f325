package dns

import (
	"errors"
	"net/netip"
	"time"
)

// Answer is what was found: at least one record.
type Answer[T any] struct {
	Records []T
	// Name is what the records belong to: what was asked for, or where its aliases
	// lead.
	Name string
	// TTL is how long the records hold.
	TTL time.Duration
	// Authentic says that the server has validated the answer (AD).
	Authentic bool
}

// MX is a mail exchanger. Host is "" for the null MX (RFC 7505).
type MX struct {
	Host       string
	Preference uint16
}

// Outcome is how a question ends.
type Outcome uint8

// The outcomes. Only NoAnswer may be another one later.
const (
	Found Outcome = iota
	NoName
	NoRecord
	NoAnswer
)

// String is the outcome in words.
func (o Outcome) String() string {
	switch o {
	case Found:
		return "found"
	case NoName:
		return "no such name"
	case NoRecord:
		return "no such record"
	}
	return "no answer"
}

// Error is why there is no record.
type Error struct {
	// Name and Type are the question.
	Name, Type string
	// Outcome is never Found.
	Outcome Outcome
	// TTL is how long NoName and NoRecord hold.
	TTL time.Duration
	// Cause has the trouble of NoAnswer.
	Cause error
}

// Error is for the log.
func (e *Error) Error() string {
	text := "DNS " + e.Type + " " + e.Name + ": " + e.Outcome.String()
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// OutcomeOf says what an error of a question means: Found for nil, NoAnswer for
// errors of others.
func OutcomeOf(err error) Outcome {
	if err == nil {
		return Found
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Outcome
	}
	return NoAnswer
}

// Family is a family of addresses.
type Family uint8

// The families.
const (
	Any Family = iota
	IPv4
	IPv6
)

// has says that the address is of the family.
func (f Family) has(a netip.Addr) bool {
	return f == Any || f == IPv4 && a.Is4() || f == IPv6 && a.Is6()
}
