package run

import (
	"errors"
	"fmt"
)

// ErrUsage marks an error that is the mistake of whoever asked, in the command line,
// in the configuration or in what it names: exit code 2. Nothing was started or made,
// and no repetition mends it.
var ErrUsage = errors.New("usage")

// Usage is such an error.
type Usage struct{ error }

// Usagef makes one.
func Usagef(format string, args ...any) error { return &Usage{fmt.Errorf(format, args...)} }

// NewUsage makes err one.
func NewUsage(err error) error { return &Usage{err} }

// Is makes it an ErrUsage.
func (u *Usage) Is(target error) bool { return target == ErrUsage }

// Unwrap is the mistake.
func (u *Usage) Unwrap() error { return u.error }
