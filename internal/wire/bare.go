package wire

import (
	"errors"

	"toastmaster/internal/dsn"
)

// Policy says what a bare CR or LF means.
type Policy uint8

// The policies.
const (
	Reject Policy = iota
	Normalize
	Allow
)

// The errors of lines and content. The reader is in step after each of them:
// at the next line after ReadLine, and after Drain for content.
var (
	ErrTooLong     = errors.New("line too long")
	ErrBareLF      = errors.New("bare LF received")
	ErrBareCR      = errors.New("bare CR received")
	ErrInterrupted = errors.New("interrupted while waiting for a command")
	// ErrWoken: somebody had news for a client that waits for them (ReadIdle).
	ErrWoken = errors.New("woken while waiting for a command")
	// ErrEndless: the rest of a line that is too long has no end either; after
	// it there is nothing to read.
	ErrEndless = errors.New("line without end")
	// ErrNotText: what came is no line; after it there is nothing to read.
	ErrNotText = errors.New("not text")
	// ErrCut is the end of a connection that somebody else decided.
	ErrCut = errors.New("connection was cut")
)

// Refusal is the reply to a line or message that is refused for its form; nil
// for errors that are none of this package.
func Refusal(err error) *dsn.Error {
	switch {
	case errors.Is(err, ErrTooLong):
		return dsn.New(dsn.SyntaxError, "Line too long")
	case errors.Is(err, ErrBareLF):
		return dsn.New(dsn.SyntaxError, "bare <LF> received").WithCode(550)
	case errors.Is(err, ErrBareCR):
		return dsn.New(dsn.SyntaxError, "bare <CR> received").WithCode(550)
	}
	return nil
}
