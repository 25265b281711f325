package static

import (
	"context"

	"toastmaster/directory"
)

// Broken is a back end whose every answer is the same *directory.Error.
type Broken struct {
	Outcome directory.Outcome
	Cause   error
}

// Entry implements directory.Backend.
func (b Broken) Entry(_ context.Context, key directory.Key) (directory.Entry, error) {
	return directory.Entry{}, &directory.Error{Outcome: b.Outcome, Table: "static:broken", Key: key.String(), Cause: b.Cause}
}

// Directory is the directory over it.
func (b Broken) Directory() *directory.Directory { return directory.New(b, "") }
