package static

import (
	"context"

	"toastmaster/directory"
	"toastmaster/internal/addr"
)

// Broken is a directory whose every answer is the same *directory.Error.
type Broken struct {
	Outcome directory.Outcome
	Cause   error
}

func (b Broken) answer(key string) error {
	return &directory.Error{Outcome: b.Outcome, Table: "static:broken", Key: key, Cause: b.Cause}
}

// Domain implements directory.Directory.
func (b Broken) Domain(_ context.Context, name string) (directory.Domain, error) {
	return directory.Domain{}, b.answer(name)
}

// Recipient implements directory.Directory.
func (b Broken) Recipient(_ context.Context, a addr.Address) (directory.Recipient, error) {
	return directory.Recipient{}, b.answer(a.Key())
}

// Account implements directory.Directory.
func (b Broken) Account(_ context.Context, login string) (directory.Account, error) {
	return directory.Account{}, b.answer(login)
}
