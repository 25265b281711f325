package model

import (
	"errors"
	"strings"
)

// Kind is the class of an Error.
type Kind uint8

// The kinds.
const (
	// Internal: nobody's fault that the caller could know. Details are in the
	// log only.
	Internal Kind = iota
	Invalid       // a field is wrong; Fields says which
	NotFound
	Exists    // the name or address is taken
	InUse     // others depend on it
	OverLimit // a limit of the domain
	Unauthenticated
	Forbidden
	Unavailable // try again later
	Blocked     // too many wrong tokens from this client
)

// FieldError is one mistake in the input.
type FieldError struct {
	// Field is the name in JSON; "" for the whole.
	Field   string `json:"field"`
	Message string `json:"message"`
}

// Error is every failure of administration.
type Error struct {
	Kind Kind
	// Text is for the caller and has no internals.
	Text   string
	Fields []FieldError
	// Staff is more of it for a caller who runs the host: paths, what others have, and
	// what to do there.
	Staff string
	// Cause is for the log.
	Cause error
}

// Error is the text, with the fields, what staff hears and the cause.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Text)
	for i, f := range e.Fields {
		if i == 0 && e.Text != "" {
			b.WriteString(": ")
		} else if i > 0 {
			b.WriteString("; ")
		}
		if f.Field != "" {
			b.WriteString(f.Field + ": ")
		}
		b.WriteString(f.Message)
	}
	if e.Staff != "" {
		b.WriteString(": " + e.Staff)
	}
	if e.Cause != nil {
		b.WriteString(": " + e.Cause.Error())
	}
	return b.String()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Fail makes an error without a cause.
func Fail(k Kind, text string) *Error { return &Error{Kind: k, Text: text} }

// KindOf reads the kind out of err; an error that is none of ours is Internal.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// mistakes collects field errors.
type mistakes []FieldError

func (m *mistakes) add(field, message string) { *m = append(*m, FieldError{field, message}) }

func (m mistakes) err() error {
	if len(m) == 0 {
		return nil
	}
	return &Error{Kind: Invalid, Text: "invalid input", Fields: m}
}
