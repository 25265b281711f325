package mailstore

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"

	"toastmaster/mailstore/index"
	"toastmaster/mailstore/maildir"
)

// systemFlags in the order of Info.Flags.
func systemFlags() []struct {
	flag imap.Flag
	bit  maildir.Flags
} {
	return []struct {
		flag imap.Flag
		bit  maildir.Flags
	}{
		{imap.FlagAnswered, maildir.Replied},
		{imap.FlagFlagged, maildir.Flagged},
		{imap.FlagDeleted, maildir.Trashed},
		{imap.FlagSeen, maildir.Seen},
		{imap.FlagDraft, maildir.Draft},
	}
}

// systemBit is the bit of a system flag, 0 for anything else. Flags are
// compared without case (RFC 9051 section 2.3.2).
func systemBit(f imap.Flag) maildir.Flags {
	switch len(f) {
	case len(imap.FlagSeen):
		if strings.EqualFold(string(f), string(imap.FlagSeen)) {
			return maildir.Seen
		}
	case len(imap.FlagDraft):
		if strings.EqualFold(string(f), string(imap.FlagDraft)) {
			return maildir.Draft
		}
	}
	for _, s := range systemFlags() {
		if strings.EqualFold(string(f), string(s.flag)) {
			return s.bit
		}
	}
	return 0
}

// missing is what flagBits does about a keyword that has no letter yet.
type missing uint8

const (
	ignoreMissing missing = iota // there is nothing to remove
	makeMissing                  // give it one; leave it out when all are taken
	needMissing                  // give it one; ErrLimit when all are taken
)

// flagBits turns flags into bits. \Recent and unknown system flags are
// ignored. With needMissing all keywords get a letter or none does. The locks
// are held.
func (mb *mailbox) flagBits(flags []imap.Flag, how missing) (maildir.Flags, error) {
	var bits maildir.Flags
	var unknown []string
	for _, f := range flags {
		if bit := systemBit(f); bit != 0 {
			bits |= bit
			continue
		}
		name := string(f)
		if !maildir.ValidKeyword(name) {
			continue
		}
		bit := mb.st.Keyword(name)
		if bit == 0 {
			unknown = append(unknown, name)
		}
		bits |= bit
	}
	if len(unknown) == 0 || how == ignoreMissing {
		return bits, nil
	}
	added, err := mb.addKeywords(unknown, how == needMissing)
	return bits | added, err
}

// flagSet is the flags of bits, shared by all messages that have the same.
func (mb *mailbox) flagSet(bits maildir.Flags) []imap.Flag {
	set, ok := mb.flagSets[bits]
	if ok {
		return set
	}
	for _, s := range systemFlags() {
		if bits&s.bit != 0 {
			set = append(set, s.flag)
		}
	}
	for i, k := range mb.st.Keywords {
		if bits&(1<<i) != 0 && k != "" {
			set = append(set, imap.Flag(k))
		}
	}
	set = slices.Clip(set)
	mb.flagSets[bits] = set
	return set
}

// FlagOp is how SetFlags combines.
type FlagOp uint8

// The three forms of STORE.
const (
	FlagsSet FlagOp = iota
	FlagsAdd
	FlagsRemove
)

func (op FlagOp) apply(old, bits maildir.Flags) maildir.Flags {
	switch op {
	case FlagsAdd:
		return old | bits
	case FlagsRemove:
		return old &^ bits
	default:
		return bits | old&maildir.Passed // no IMAP flag, kept
	}
}

// SetFlags changes the flags of messages and updates the view's own idea of
// them. Messages with a mod-sequence above unchangedSince (when it is not
// zero) are left alone and returned as modified (RFC 7162). Sequence numbers
// that were expunged meanwhile are skipped. \Recent cannot be set.
func (v *View) SetFlags(ctx context.Context, seqs []uint32, op FlagOp, flags []imap.Flag, unchangedSince uint64) (modified []uint32, err error) {
	if v.readOnly {
		return nil, ErrReadOnly
	}
	err = v.mb.locked(ctx, func() (err error) {
		modified, err = v.setFlags(ctx, seqs, op, flags, unchangedSince)
		return err
	})
	return modified, gone(err)
}

func (v *View) setFlags(ctx context.Context, seqs []uint32, op FlagOp, flags []imap.Flag, unchangedSince uint64) (modified []uint32, err error) {
	mb := v.mb
	how := needMissing
	if op == FlagsRemove {
		how = ignoreMissing
	}
	bits, err := mb.flagBits(flags, how)
	if err != nil {
		return nil, err
	}
	current := v.flagsGen == mb.flagsGen
	o, err := mb.before(true, true)
	if err != nil {
		return nil, err
	}
	changed, modified, lost, err := v.renameAll(seqs, op, bits, unchangedSince)
	if err != nil {
		return modified, errors.Join(err, mb.commitFlags(changed, o, v))
	}
	err = mb.commitFlags(changed, o, v)
	if current {
		v.flagsGen, v.modSeq = mb.flagsGen, mb.st.ModSeq
	}
	if lost && err == nil {
		// Another program renamed or removed files: see what is there now.
		mb.forget()
		err = mb.compare(ctx, false)
	}
	return modified, err
}

// renameAll gives the files their names for the new flags. The UIDs of those
// that were renamed are in changed, in case of an error too; lost says that
// some were not where the index has them.
func (v *View) renameAll(seqs []uint32, op FlagOp, bits maildir.Flags, unchangedSince uint64) (changed map[maildir.Flags][]uint32, modified []uint32, lost bool, err error) {
	changed = map[maildir.Flags][]uint32{}
	for _, seq := range seqs {
		m := v.live(seq)
		if m == nil {
			continue
		}
		if unchangedSince != 0 && m.ModSeq > unchangedSince {
			modified = append(modified, seq)
			continue
		}
		want := op.apply(m.Flags, bits)
		if want == m.Flags {
			continue
		}
		switch err := v.mb.rename(m, want); {
		case errors.Is(err, fs.ErrNotExist):
			lost = true
			continue
		case err != nil:
			return changed, modified, lost, err
		}
		changed[want] = append(changed[want], m.UID)
	}
	return changed, modified, lost, nil
}

// forget makes the next comparison read both directories.
func (mb *mailbox) forget() {
	mb.sync.newDue, mb.sync.curDue = mb.now(), mb.now()
}

// commitFlags commits changes to flags that view v made.
func (mb *mailbox) commitFlags(changed map[maildir.Flags][]uint32, o own, v *View) error {
	if len(changed) == 0 {
		return nil
	}
	modSeq := mb.st.ModSeq + 1
	for flags, uids := range changed {
		slices.Sort(uids)
		mb.batch.Flags(slices.Compact(uids), flags, false, false, modSeq)
	}
	mb.flagsGen++
	if err := mb.after(o); err != nil {
		mb.forget()
		mb.batch.Reset()
		return err
	}
	if err := mb.commit(v); err != nil {
		mb.forget() // the files have new names, the index does not know
		return err
	}
	return nil
}

// rename gives a message's file the name for its new flags, in cur.
func (mb *mailbox) rename(m *index.Message, want maildir.Flags) error {
	return mb.store().fs.Rename(filepath.Join(mb.path, m.File()), filepath.Join(mb.path, "cur", maildir.FileName(m.Name, want)))
}
