package mailstore

import (
	"errors"
	"fmt"

	"toastmaster/internal/dsn"
	"toastmaster/mailstore/volume"
)

// The closed set of errors, see package volume. Each error of this package wraps
// exactly one of them (errors.Is); whatever wraps none of them is a temporary
// failure. Each protocol maps the set once.
var (
	ErrNotFound             = volume.ErrNotFound
	ErrExists               = volume.ErrExists
	ErrInvalidName          = volume.ErrInvalidName
	ErrHasChildren          = volume.ErrHasChildren
	ErrReadOnly             = volume.ErrReadOnly
	ErrOverQuota            = volume.ErrOverQuota
	ErrFull                 = volume.ErrFull
	ErrExpunged             = volume.ErrExpunged
	ErrUnreadable           = volume.ErrUnreadable
	ErrLimit                = volume.ErrLimit
	ErrClosed               = volume.ErrClosed
	ErrForeign              = volume.ErrForeign
	ErrAbsent               = volume.ErrAbsent
	ErrGone                 = volume.ErrGone
	ErrBusy                 = volume.ErrBusy
	ErrNotDurable           = volume.ErrNotDurable
	ErrTooManyFolders       = volume.ErrTooManyFolders
	ErrFolderName           = volume.ErrFolderName
	ErrTooManySubscriptions = volume.ErrTooManySubscriptions
	ErrLittleRoom           = volume.ErrLittleRoom
)

// What a Session refuses.
var (
	// ErrNoPermission: the principal may know of the mailbox, but not do that.
	ErrNoPermission = errors.New("no permission")
	// ErrElsewhere: a mailbox cannot be renamed into another account.
	ErrElsewhere = fmt.Errorf("%w: it lies in another account", ErrInvalidName)
)

// DSN maps an error of this package to a delivery status: over quota 5.2.2,
// a full disk 4.3.1, everything else 4.3.0. An error that already is a
// *dsn.Error keeps its status.
func DSN(err error) *dsn.Error { return volume.DSN(err) }
