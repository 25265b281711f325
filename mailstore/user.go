package mailstore

import (
	"context"
	"errors"

	"toastmaster/mailstore/box"
	"toastmaster/mailstore/maildir"
	"toastmaster/mailstore/volume"
)

// User is the access to one account of who may do everything there: its owner's
// Session, and an administrator's import and export. Mailbox names are UTF-8, with
// Separator between levels; "INBOX" in any case.
type User struct {
	account Account
	acct    *heldAccount
}

// User opens an account's folders, creating the Maildir if it is missing.
// Close it when the session ends.
func (s *Store) User(ctx context.Context, a Account) (*User, error) {
	acct, err := s.acquire(a)
	if err != nil {
		return nil, err
	}
	return &User{account: a, acct: acct}, nil
}

// Close ends the session; its views must be closed before.
func (u *User) Close() error {
	if u.acct == nil {
		return nil
	}
	u.acct.store.putAccount(u.acct)
	u.acct = nil
	return nil
}

// Separator is the hierarchy separator, a parameter of the store.
func (u *User) Separator() rune { return u.acct.store.vol.Separator }

func (u *User) canonical(name string) string {
	return maildir.Canonical(name, u.acct.store.vol.Separator)
}

// Status is the state of a mailbox.
type Status = box.Status

// Status reads it without opening a view; it opens no message file. That of a
// default folder which is not made yet is that of an empty one without
// UIDValidity; MakeDefault makes it.
func (u *User) Status(ctx context.Context, name string) (Status, error) {
	dir, err := u.acct.FolderDir(name)
	if err != nil {
		return Status{}, err
	}
	mb, err := u.acct.openDir(ctx, dir)
	if errors.Is(err, ErrNotFound) {
		st, there, failed := u.statusOfPending(dir, err)
		if !there {
			return st, failed
		}
		mb, err = u.acct.openDir(ctx, dir)
	}
	if err != nil {
		return Status{}, err
	}
	defer mb.Put()
	return mb.Status(ctx)
}

// statusOfPending is that of a default folder that is not made yet. there says
// that somebody has made the folder since the caller looked for it.
func (u *User) statusOfPending(dir string, notFound error) (st Status, there bool, err error) {
	if err := u.acct.Lock(); err != nil {
		return st, false, err
	}
	defer u.acct.Unlock()
	pending, err := u.acct.IsPending(dir)
	if err == nil && pending {
		return Status{UIDNext: 1}, false, nil
	}
	if err == nil {
		there, err = u.acct.HasFolder(dir)
	}
	if err != nil {
		return st, false, volume.Err(err)
	}
	return st, there, notFound
}
