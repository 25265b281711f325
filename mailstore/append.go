package mailstore

import (
	"context"
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/envelope"
)

// Room says whether a message of size octets may be stored by APPEND or COPY:
// ErrLittleRoom when it would leave less than store.min_free. What deletes asks
// nothing.
func (u *User) Room(size int64) error { return u.acct.store.roomFor(size) }

// Append stores a message; it is on disk when Append returns nil. content
// stays the caller's.
func (u *User) Append(ctx context.Context, name string, flags []imap.Flag, date time.Time, content envelope.Content) (uidValidity, uid uint32, err error) {
	mb, err := u.acct.open(ctx, name)
	if err != nil {
		return 0, 0, err
	}
	defer u.acct.store.release(mb)
	if err := u.Room(content.Size()); err != nil {
		return 0, 0, err
	}
	m, validity, err := mb.deliver(ctx, &Delivery{Flags: flags, Date: date, Content: content, Own: true, Durable: true, needKeywords: true})
	if err != nil {
		return 0, 0, err
	}
	return validity, m.UID, nil
}
