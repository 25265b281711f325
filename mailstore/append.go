package mailstore

import (
	"context"
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/envelope"
)

// Append stores a message; it is on disk when Append returns nil. content
// stays the caller's.
func (u *User) Append(ctx context.Context, name string, flags []imap.Flag, date time.Time, content envelope.Content) (uidValidity, uid uint32, err error) {
	mb, err := u.acct.open(ctx, name)
	if err != nil {
		return 0, 0, err
	}
	defer u.acct.store.release(mb)
	m, validity, err := mb.deliver(ctx, &Delivery{Flags: flags, Date: date, Content: content, Own: true, Durable: true, needKeywords: true})
	if err != nil {
		return 0, 0, err
	}
	return validity, m.UID, nil
}
