package mailstore

import (
	"context"

	"toastmaster/mailstore/box"
	"toastmaster/mailstore/maildir"
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

// MaxKeyword is the longest name of a keyword, in octets.
const MaxKeyword = maildir.MaxKeyword

// ValidKeyword says whether a message can have s as a keyword. SetFlags and Append pass
// over any other.
func ValidKeyword(s string) bool { return maildir.ValidKeyword(s) }

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
