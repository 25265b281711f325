package usage

import (
	"errors"
	"fmt"
)

// Err marks an error that is the mistake of whoever asked, in the command line,
// in the configuration or in what it names: exit code 2. Nothing was started or made,
// and no repetition mends it.
var Err = errors.New("usage")

// Error is such an error.
type Error struct{ error }

// Errorf makes one.
func Errorf(format string, args ...any) error { return &Error{fmt.Errorf(format, args...)} }

// New makes err one.
func New(err error) error { return &Error{err} }

// Is makes it an Err.
func (u *Error) Is(target error) bool { return target == Err }

// Unwrap is the mistake.
func (u *Error) Unwrap() error { return u.error }
