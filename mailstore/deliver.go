package mailstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/envelope"
	"toastmaster/mailstore/box"
	"toastmaster/mailstore/maildir"
	"toastmaster/mailstore/volume"
)

// Delivery is one message for one mailbox.
type Delivery = box.Delivery

// maxID keeps file names below 255 octets.
const maxID = 64

// Deliver stores one message.
func (s *Store) Deliver(ctx context.Context, a Account, d *Delivery) error {
	if !ValidID(d.ID) {
		return fmt.Errorf("mailstore: delivery ID %q is not 1 to 64 letters and digits", d.ID)
	}
	again, err := s.deliver(ctx, a, d)
	if again { // to the account that is made anew, unless the mail was on its way before
		_, err = s.deliver(ctx, a, d)
	}
	return err
}

// deliver is one try of Deliver; again says that the account was found to be one that
// another process has removed.
func (s *Store) deliver(ctx context.Context, a Account, d *Delivery) (again bool, err error) {
	acct, err := s.acquire(a)
	if err != nil {
		return false, err
	}
	defer s.putAccount(acct)
	folder := d.Folder
	if folder == "" {
		folder = maildir.Inbox
	}
	mb, err := acct.open(ctx, folder)
	if err == nil {
		defer mb.Put()
		err = mb.Deliver(ctx, d)
	}
	return s.orRemoved(acct, err)
}

// orRemoved makes an error in an account that was removed ErrNotFound. The poke of another
// process that has removed it may be on its way still: its folders are gone already. found
// says that this was noticed here.
func (s *Store) orRemoved(a *heldAccount, err error) (found bool, _ error) {
	if err == nil {
		return false, nil
	}
	removed := a.records.Removed()
	if gone := errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrNotFound); gone && !removed {
		if failed := s.removedElsewhere(a); failed != nil {
			return false, volume.Err(failed) // the whole store, perhaps
		}
	}
	if a.records.Removed() {
		return !removed, ErrNotFound
	}
	return false, err
}

// ValidID says whether a delivery may have this ID: 1 to 64 letters and digits, or none.
func ValidID(id string) bool {
	if len(id) > maxID {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if !(c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z') {
			return false
		}
	}
	return true
}

// Append stores a message; it is on disk when Append returns nil. content
// stays the caller's.
func (u *User) Append(ctx context.Context, name string, flags []imap.Flag, date time.Time, content envelope.Content) (uidValidity, uid uint32, err error) {
	mb, err := u.acct.open(ctx, name)
	if err != nil {
		return 0, 0, err
	}
	defer mb.Put()
	if err := u.Room(content.Size()); err != nil {
		return 0, 0, err
	}
	uidValidity, uid, err = mb.Append(ctx, flags, date, content)
	_, err = u.acct.store.orRemoved(u.acct, err)
	return uidValidity, uid, err
}

// Room says whether a message of size octets may be stored by APPEND or COPY:
// ErrLittleRoom when it would leave less than store.min_free. What deletes asks
// nothing.
func (u *User) Room(size int64) error { return u.acct.store.roomFor(size) }
