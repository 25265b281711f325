package mailstore

import (
	"context"
	"errors"
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/envelope"
	"toastmaster/mailstore/volume"
)

// Mailbox is a name that Session.Resolve has found the place of, and what the
// principal may do there. It is good as long as the session.
type Mailbox struct {
	session *Session
	// user is the account that it lies in, nil for a level above all mailboxes of a
	// namespace; inner is its name there, prefix what the session says before that.
	user          *User
	prefix, inner string
	rights        Rights
}

// Name is what the session calls it.
func (m Mailbox) Name() string { return m.prefix + m.inner }

// Rights are what the principal may do with it.
func (m Mailbox) Rights() Rights { return m.rights }

// Owner is the account that it lies in, whose quota counts.
func (m Mailbox) Owner() Account {
	if m.user == nil {
		return Account{}
	}
	return m.user.account
}

// in is the account; a level above mailboxes is in none.
func (m Mailbox) in() (*User, error) {
	if m.user == nil {
		return nil, ErrNotFound
	}
	return m.user, nil
}

// exists says whether there is a mailbox, or a default one that is not made yet.
func (m Mailbox) exists() (bool, error) {
	u, err := m.in()
	if err != nil {
		return false, err
	}
	dir, err := u.acct.FolderDir(m.inner)
	if err != nil {
		return false, err
	}
	if err := u.acct.Lock(); err != nil {
		return false, err
	}
	defer u.acct.Unlock()
	err = u.acct.Free(dir)
	if errors.Is(err, ErrExists) {
		return true, nil
	}
	return false, err
}

// Status is User.Status. made asks for the UIDVALIDITY, too, for which a default
// folder is made if need be.
func (m Mailbox) Status(ctx context.Context, made bool) (Status, error) {
	u, err := m.in()
	if err != nil {
		return Status{}, err
	}
	st, err := u.Status(ctx, m.inner)
	if err == nil && made && st.UIDValidity == 0 {
		// A default folder that is not made yet; from now on it has to keep it.
		if err = u.MakeDefault(ctx, m.inner); err == nil {
			st, err = u.Status(ctx, m.inner)
		}
	}
	return st, err
}

// Append stores a message, with those of the flags that may be stored there; it is
// on disk when Append returns nil. content stays the caller's.
func (m Mailbox) Append(ctx context.Context, flags []imap.Flag, date time.Time, content envelope.Content) (uidValidity, uid uint32, err error) {
	u, err := m.in()
	if err != nil {
		return 0, 0, err
	}
	return u.Append(ctx, m.inner, m.rights.storable(flags), date, content)
}

// Deliver stores a message that came for the principal; see Store.Deliver. It sets
// d.Folder.
func (m Mailbox) Deliver(ctx context.Context, d *Delivery) error {
	u, err := m.in()
	if err != nil {
		return err
	}
	d.Folder, d.Flags = m.inner, m.rights.storable(d.Flags)
	return m.session.store.Deliver(ctx, u.account, d)
}

// TakeBack is User.TakeBack.
func (m Mailbox) TakeBack(ctx context.Context, uids []imap.UID) error {
	u, err := m.in()
	if err != nil {
		return err
	}
	return u.TakeBack(ctx, m.inner, uids)
}

// Create makes a mailbox, and its parents. specialUse may be "", and is the
// principal's own business: elsewhere it is none.
func (m Mailbox) Create(ctx context.Context, specialUse imap.MailboxAttr) error {
	u, err := m.in()
	if err != nil {
		return err
	}
	if u != m.session.own {
		specialUse = ""
	}
	return u.Create(ctx, m.inner, specialUse)
}

// Delete removes a mailbox and its messages; its children stay.
func (m Mailbox) Delete(ctx context.Context) error {
	u, err := m.in()
	if err != nil {
		return err
	}
	return u.Delete(ctx, m.inner)
}

// Rename moves a mailbox with its children to a name in the same account; into
// another one it is ErrElsewhere.
func (m Mailbox) Rename(ctx context.Context, to Mailbox) error {
	u, err := m.in()
	if err != nil {
		return err
	}
	if to.user != u {
		return ErrElsewhere
	}
	return u.Rename(ctx, m.inner, to.inner)
}

// QuotaRoot is what a quota holds for (RFC 9208): an account.
type QuotaRoot struct {
	Name string
	// Limits are zero where there is none.
	Used, Limits Usage
}

// QuotaRoot is that of the mailbox: its owner's, whoever stores something in it.
func (m Mailbox) QuotaRoot(ctx context.Context) (QuotaRoot, error) {
	u, err := m.in()
	if err != nil {
		return QuotaRoot{}, err
	}
	q := QuotaRoot{Name: u.account.Address.String(), Limits: Usage{Bytes: u.account.QuotaBytes, Messages: u.account.QuotaMessages}}
	if err := u.acct.Quota.Look(ctx); err != nil {
		return q, volume.Err(err)
	}
	q.Used, err = u.acct.Quota.Used(ctx)
	return q, volume.Err(err)
}
