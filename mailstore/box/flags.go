package box

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/emersion/go-imap/v2"

	"toastmaster/mailstore/index"
	"toastmaster/mailstore/maildir"
	"toastmaster/mailstore/volume"
)

// missing is what flagBits does about a keyword that the mailbox does not have yet.
type missing uint8

const (
	ignoreMissing missing = iota // there is nothing to remove
	makeMissing                  // make it; leave it out beyond store.max_keywords
	needMissing                  // make it; volume.ErrLimit beyond store.max_keywords
)

// flagBits turns flags into bits. \Recent and unknown system flags are
// ignored. With needMissing all keywords are made or none is. The locks are held.
func (mb *Box) flagBits(flags []imap.Flag, how missing) (marks index.Marks, err error) {
	var unknown []string
	for _, f := range flags {
		if bit := systemBit(f); bit != 0 {
			marks.Flags |= bit
			continue
		}
		name := string(f)
		if !maildir.ValidKeyword(name) {
			continue
		}
		mark := mb.st.Keyword(name)
		if mark.Empty() {
			unknown = append(unknown, name)
		}
		marks = marks.Or(mark)
	}
	if len(unknown) == 0 || how == ignoreMissing {
		return marks, nil
	}
	added, err := mb.keywords.add(mb.st, &mb.batch, unknown, how == needMissing)
	if err != nil {
		return index.Marks{}, err
	}
	return marks.Or(added), mb.commit(nil)
}

// FlagOp is how SetFlags combines.
type FlagOp uint8

// The three forms of STORE.
const (
	FlagsSet FlagOp = iota
	FlagsAdd
	FlagsRemove
)

func (op FlagOp) apply(old, marks index.Marks) index.Marks {
	switch op {
	case FlagsAdd:
		return old.Or(marks)
	case FlagsRemove:
		return old.AndNot(marks)
	default:
		marks.Flags |= old.Flags & maildir.Passed // no IMAP flag, kept
		return marks
	}
}

// SetFlags changes the flags of messages and updates the view's own idea of
// them. Messages with a mod-sequence above unchangedSince (when it is not
// zero) are left alone and returned as modified (RFC 7162). Sequence numbers
// that were expunged meanwhile are skipped. \Recent cannot be set.
func (v *View) SetFlags(ctx context.Context, seqs []uint32, op FlagOp, flags []imap.Flag, unchangedSince uint64) (modified []uint32, err error) {
	if v.readOnly {
		return nil, volume.ErrReadOnly
	}
	err = v.retry(ctx, func() error {
		return orExpunged(v.mb.locked(ctx, func() (err error) {
			modified, err = v.setFlags(ctx, seqs, op, flags, unchangedSince)
			return err
		}))
	})
	return modified, err
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
	modified, lost, err := v.changeFlags(ctx, seqs, op, bits, unchangedSince)
	if current {
		v.flagsGen, v.modSeq = mb.flagsGen, mb.st.ModSeq
	}
	if len(lost) > 0 && err == nil {
		// Another program renamed or removed files: see what is there now,
		// and change those that are.
		mb.forget()
		if err = mb.compare(ctx, false); err == nil {
			var again, still []uint32
			again, still, err = v.changeFlags(ctx, lost, op, bits, unchangedSince)
			modified = append(modified, again...)
			if err == nil && len(still) > 0 {
				err = mb.misplaced("setting flags", len(still))
			}
		}
		slices.Sort(modified)
	}
	return modified, err
}

// misplaced is the error, and the log line, for messages whose files are not
// where a scan of this moment saw them.
func (mb *Box) misplaced(what string, n int) error {
	mb.vol.Log.Warn("message files are not where the index has them", "path", mb.path, "operation", what, "messages", n)
	return fmt.Errorf("%w: files of %d messages in %s are renamed all the time by another program", volume.ErrBusy, n, mb.path)
}

// changeFlags gives the files their names for the new flags and commits it.
// Those not found under the name that the index has are lost.
func (v *View) changeFlags(ctx context.Context, seqs []uint32, op FlagOp, marks index.Marks, unchangedSince uint64) (modified, lost []uint32, err error) {
	mb := v.mb
	o, err := mb.before(true, true)
	if err != nil {
		return nil, nil, err
	}
	changed, modified, lost, err := v.renameFiles(ctx, seqs, op, marks, unchangedSince)
	return modified, lost, errors.Join(err, mb.commitFlags(changed, o, v))
}

// become is what a message has after a change of flags.
type become struct {
	flags maildir.Flags
	rare  index.Rare
	// had says that it had something rare before.
	had bool
}

// renameFiles gives the files their names for the new flags. The UIDs of those
// that were renamed are in changed, in case of an error too; lost are those
// that were not where the index has them.
func (v *View) renameFiles(ctx context.Context, seqs []uint32, op FlagOp, marks index.Marks, unchangedSince uint64) (changed map[become][]uint32, modified, lost []uint32, err error) {
	changed = map[become][]uint32{}
	for _, seq := range seqs {
		if err := ctx.Err(); err != nil {
			return changed, modified, lost, err
		}
		m := v.live(seq)
		if m == nil {
			continue
		}
		if unchangedSince != 0 && m.ModSeq > unchangedSince {
			modified = append(modified, seq)
			continue
		}
		old := m.Marks()
		want := op.apply(old, marks)
		if want == old {
			continue
		}
		b := become{want.Flags, m.Rarely(), m.Rare != nil}
		b.rare.Keywords = want.Keywords
		if b.rare.Odd && want.Flags != old.Flags {
			b.rare.Rest = maildir.Respell(b.rare.Rest, want.Flags)
			b.rare.Odd = !maildir.Usual(b.rare.Rest, want.Flags)
		}
		if !b.rare.Odd {
			b.rare.Rest = ""
		}
		switch err := v.mb.rename(m, b); {
		case errors.Is(err, fs.ErrNotExist):
			lost = append(lost, seq)
			continue
		case err != nil:
			return changed, modified, lost, err
		}
		changed[b] = append(changed[b], m.UID)
	}
	return changed, modified, lost, nil
}

// commitFlags commits changes to flags that view v made.
func (mb *Box) commitFlags(changed map[become][]uint32, o own, v *View) error {
	if len(changed) == 0 {
		return nil
	}
	modSeq := mb.st.ModSeq + 1
	for b, uids := range changed {
		slices.Sort(uids)
		uids = slices.Compact(uids)
		mb.batch.Flags(uids, b.flags, false, false, modSeq)
		if b.had || b.rare != (index.Rare{}) {
			mb.batch.Rare(uids, b.rare)
		}
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
func (mb *Box) rename(m *index.Message, b become) error {
	next := *m
	next.Flags, next.InNew, next.HasInfo = b.flags, false, false
	next.SetRare(b.rare)
	from, to := m.File(), next.File()
	if from == to {
		// Only keywords without a letter changed.
		_, err := mb.vol.FS.Stat(filepath.Join(mb.path, from))
		return err
	}
	return mb.vol.WithReserve(func() error { return mb.vol.FS.Rename(filepath.Join(mb.path, from), filepath.Join(mb.path, to)) })
}
