package mailstore

import (
	"context"
	"errors"
	"slices"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/envelope"
)

// Selection is a mailbox that a session has opened: a view of it, and what the
// principal may do there. Flags of messages come and go through it and nothing else,
// so that here is the place for those that each principal has of its own: \Seen in a
// mailbox of others would be an overlay over Message, Info, Update and SetFlags, kept
// by UIDVALIDITY and UID in the principal's own account.
type Selection struct {
	*View
	at       Mailbox
	readOnly bool
}

// Open opens the mailbox for one session. A view that may change things takes the
// messages that are recent; a read-only one, by wish or by rights, leaves them.
func (m Mailbox) Open(ctx context.Context, readOnly bool) (*Selection, error) {
	u, err := m.in()
	if err != nil {
		return nil, err
	}
	readOnly = readOnly || m.rights&rightsChange == 0
	v, err := u.Open(ctx, m.inner, readOnly)
	if err != nil {
		return nil, err
	}
	return &Selection{View: v, at: m, readOnly: readOnly}, nil
}

// Name is what the session calls the mailbox now: it may have been renamed.
func (v *Selection) Name() string { return v.at.prefix + v.View.Info().Name }

// Rights are what the principal may do, as of when it was opened.
func (v *Selection) Rights() Rights { return v.at.rights }

// ReadOnly says that nothing may be changed, by wish or by rights.
func (v *Selection) ReadOnly() bool { return v.readOnly }

// MayStore says whether a flag may be changed.
func (v *Selection) MayStore(f imap.Flag) bool { return !v.readOnly && v.at.rights.MayStore(f) }

// SetFlags is View.SetFlags for those of the flags that the principal may change
// (RFC 4314 section 4); others stay as they are. ErrNoPermission when there are none.
func (v *Selection) SetFlags(ctx context.Context, seqs []uint32, op FlagOp, flags []imap.Flag, unchangedSince uint64) (modified []uint32, err error) {
	may := v.at.rights.storable(flags)
	switch {
	case v.at.rights&RightsFlags == RightsFlags:
	case v.at.rights&RightsFlags == 0, len(may) == 0 && len(flags) > 0:
		return nil, ErrNoPermission
	case op == FlagsSet:
		// What may be changed and is not to be set goes; the rest stays.
		rest := slices.DeleteFunc(v.at.rights.storable(v.Info().Flags), func(f imap.Flag) bool { return slices.Contains(may, f) })
		modified, err = v.View.SetFlags(ctx, seqs, FlagsRemove, rest, unchangedSince)
		if err != nil || len(may) == 0 || len(modified) > 0 {
			return modified, err
		}
		return v.View.SetFlags(ctx, seqs, FlagsAdd, may, 0)
	}
	return v.View.SetFlags(ctx, seqs, op, may, unchangedSince)
}

// Copy copies messages to another mailbox, all or none; the copies are on disk when
// it returns. The UIDs are in the order of seqs. Within an account that is so
// whatever ends the process meanwhile (View.Copy); in another account they are
// messages of their own, stored one after the other, of which the end of the process
// may leave the first ones.
func (v *Selection) Copy(ctx context.Context, seqs []uint32, to Mailbox) (uidValidity uint32, uids []imap.UID, err error) {
	u, err := to.in()
	if err != nil {
		return 0, nil, err
	}
	if u == v.at.user && to.rights&RightsFlags == RightsFlags {
		return v.View.Copy(ctx, seqs, to.inner)
	}
	return v.copyTo(ctx, seqs, to)
}

// Move is Copy and takes the messages away here. What ends the process between, or an
// error, may leave them, where they go to another account, in both mailboxes.
func (v *Selection) Move(ctx context.Context, seqs []uint32, to Mailbox) (uidValidity uint32, uids []imap.UID, err error) {
	u, err := to.in()
	if err != nil {
		return 0, nil, err
	}
	if u == v.at.user && to.rights&RightsFlags == RightsFlags {
		return v.View.Move(ctx, seqs, to.inner)
	}
	if v.readOnly {
		return 0, nil, ErrReadOnly
	}
	uidValidity, uids, err = v.copyTo(ctx, seqs, to)
	if err != nil {
		return 0, nil, err
	}
	if err := v.Expunge(ctx, seqs); err != nil {
		// An expunge can fail when it has taken effect: then the copies are all that is left.
		if !v.AnyExpunged(seqs) {
			to.takeBack(uids)
		}
		return 0, nil, err
	}
	return uidValidity, uids, nil
}

// copyTo stores copies in another account, all or none.
func (v *Selection) copyTo(ctx context.Context, seqs []uint32, to Mailbox) (uidValidity uint32, uids []imap.UID, err error) {
	for _, seq := range seqs {
		var uid imap.UID
		uidValidity, uid, err = v.copyOne(ctx, seq, to)
		if uid != 0 {
			uids = append(uids, uid)
		}
		if err != nil {
			to.takeBack(uids)
			return 0, nil, err
		}
	}
	return uidValidity, uids, nil
}

func (v *Selection) copyOne(ctx context.Context, seq uint32, to Mailbox) (uidValidity uint32, uid imap.UID, err error) {
	content, err := v.Read(ctx, seq)
	if err != nil {
		return 0, 0, err
	}
	m := v.Message(seq)
	// Without the methods of a spool: its file has a name already.
	validity, n, err := to.Append(ctx, m.Flags, m.Date, struct{ envelope.Content }{content})
	return validity, imap.UID(n), errors.Join(err, content.Close())
}

// takeBack removes copies that were made before one failed. Its time is the store's,
// not that of a request that may be over.
func (m Mailbox) takeBack(uids []imap.UID) {
	if len(uids) == 0 {
		return
	}
	vol := m.session.store.vol
	ctx, cancel := vol.Last()
	defer cancel()
	if err := m.TakeBack(ctx, uids); err != nil {
		vol.Log.Warn("messages of a copy that failed were left", "mailbox", m.user.account.Address.String(), "folder", m.inner, "cause", err)
	}
}

// TakeBack removes messages that were just stored, by their UIDs, as if they had
// never been there; one that its owner has removed or moved meanwhile stays so.
func (u *User) TakeBack(ctx context.Context, name string, uids []imap.UID) error {
	v, err := u.Open(ctx, name, false)
	if err != nil {
		return err
	}
	var seqs []uint32
	for _, uid := range uids {
		if seq := v.Seq(uid); seq > 0 {
			seqs = append(seqs, seq)
		}
	}
	if len(seqs) > 0 {
		err = v.Expunge(ctx, seqs)
	}
	return errors.Join(err, v.Close())
}
