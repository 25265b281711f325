package mailstore

import (
	"context"

	"toastmaster/mailstore/box"
)

// View is what one session sees of an open mailbox, see [box.View].
type View = box.View

// What a view tells.
type (
	Info    = box.Info
	Message = box.Message
	Update  = box.Update
	Texts   = box.Texts
)

// FlagOp is how View.SetFlags combines.
type FlagOp = box.FlagOp

// The three forms of STORE.
const (
	FlagsSet    = box.FlagsSet
	FlagsAdd    = box.FlagsAdd
	FlagsRemove = box.FlagsRemove
)

// Open opens a mailbox for one session. A read-write view takes the messages
// that are recent; a read-only one leaves them recent.
func (u *User) Open(ctx context.Context, name string, readOnly bool) (*View, error) {
	mb, err := u.acct.openAtLast(ctx, name)
	if err != nil {
		return nil, err
	}
	v, err := mb.View(ctx, u.canonical(name), readOnly)
	if err != nil {
		mb.Put()
		return nil, err
	}
	return v, nil
}
