package mailstore

import (
	"context"
	"fmt"
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/envelope"
	"toastmaster/mailstore/box"
	"toastmaster/mailstore/maildir"
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
	acct, err := s.acquire(a)
	if err != nil {
		return err
	}
	defer s.putAccount(acct)
	folder := d.Folder
	if folder == "" {
		folder = maildir.Inbox
	}
	mb, err := acct.open(ctx, folder)
	if err != nil {
		return err
	}
	defer mb.Put()
	err = mb.Deliver(ctx, d)
	if err != nil && acct.records.Removed() {
		return ErrNotFound // removed meanwhile
	}
	return err
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
	return mb.Append(ctx, flags, date, content)
}

// Room says whether a message of size octets may be stored by APPEND or COPY:
// ErrLittleRoom when it would leave less than store.min_free. What deletes asks
// nothing.
func (u *User) Room(size int64) error { return u.acct.store.roomFor(size) }
