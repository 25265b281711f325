package volume

import (
	"errors"
	"fmt"

	"toastmaster/internal/dsn"
	"toastmaster/internal/spool"
	"toastmaster/internal/vfs"
)

// The closed set of errors. Each error of this package wraps exactly one of
// them (errors.Is); whatever wraps none of them is a temporary failure. Each
// protocol maps the set once.
var (
	ErrNotFound    = errors.New("no such mailbox")
	ErrExists      = errors.New("mailbox exists")
	ErrInvalidName = errors.New("invalid mailbox name")
	ErrHasChildren = errors.New("mailbox has children")
	ErrReadOnly    = errors.New("mailbox is read-only")
	ErrOverQuota   = errors.New("over quota")
	ErrFull        = errors.New("file system full")
	ErrExpunged    = errors.New("message expunged")
	// ErrUnreadable: the file of this one message cannot be opened. What else
	// is asked for may be had.
	ErrUnreadable = errors.New("message cannot be read")
	ErrLimit      = errors.New("limit reached")
	ErrClosed     = errors.New("store closed")
	ErrForeign    = errors.New("not a mail store")
	// ErrAbsent: the store is not where it was, or not the one that was asked
	// for. Temporary, because nothing is lost.
	ErrAbsent = errors.New("the mail store is not there")
	// ErrGone: the mailbox of a view was deleted, or made anew with other UIDs.
	ErrGone = errors.New("mailbox was deleted or made anew")
	// ErrBusy: another process or program keeps its lock. Temporary.
	ErrBusy = errors.New("locked by another process")
	// ErrNotDurable: a sync failed. It lasts until the store is opened anew.
	ErrNotDurable = errors.New("the store cannot be made durable, restart it when its disk works")
)

// What of an account has reached its limit; each is ErrLimit.
var (
	ErrTooManyFolders       = fmt.Errorf("%w: store.max_folders", ErrLimit)
	ErrFolderName           = fmt.Errorf("%w: store.max_folder_name or store.max_folder_depth", ErrLimit)
	ErrTooManySubscriptions = fmt.Errorf("%w: store.max_subscriptions", ErrLimit)
	// ErrLittleRoom is not the account's: the disk would have too little left.
	ErrLittleRoom = fmt.Errorf("%w: store.min_free", ErrLimit)
)

// DSN maps an error of this package to a delivery status: over quota 5.2.2,
// a full disk 4.3.1, everything else 4.3.0. An error that already is a
// *dsn.Error keeps its status.
func DSN(err error) *dsn.Error {
	var already *dsn.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &already):
		return already
	case errors.Is(err, ErrOverQuota):
		return dsn.Wrap(dsn.MailboxFull, "Mailbox is full", err)
	case errors.Is(err, ErrFull):
		return dsn.Wrap(dsn.SystemFull, "Insufficient system storage", err)
	}
	return dsn.Wrap(dsn.MailSystem, "Temporary failure in the message store", err)
}

// Err puts an error of the file system into the closed set.
func Err(err error) error {
	switch {
	case err == nil:
		return nil
	case spool.IsFull(err) && !errors.Is(err, ErrFull):
		return fmt.Errorf("%w: %w", ErrFull, err)
	case errors.Is(err, vfs.ErrLocked) && !errors.Is(err, ErrBusy):
		return fmt.Errorf("%w: %w", ErrBusy, err)
	}
	return err
}

// IsFull says that an error is about a full disk, or a full journal.
func IsFull(err error) bool {
	var e *dsn.Error
	return spool.IsFull(err) || errors.As(err, &e) && e.Status == dsn.SystemFull
}
