// Package logtest is a log that a test reads while servers write it.
//
// It is a place for octets and no log: give it to slog's handlers, or to
// whatever takes an io.Writer. It is never cleared.
package logtest
