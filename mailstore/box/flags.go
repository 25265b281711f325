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
func (mb *Box) flagBits(flags []imap.Flag, how missing) (flagSet index.FlagSet, err error) {
	var unknown []string
	for _, f := range flags {
		if bit := systemBit(f); bit != 0 {
			flagSet.Flags |= bit
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
		flagSet = flagSet.Or(mark)
	}
	if len(unknown) == 0 || how == ignoreMissing {
		return flagSet, nil
	}
	added, err := mb.keywords.add(mb.st, mb.batch, unknown, how == needMissing)
	if err != nil {
		return index.FlagSet{}, err
	}
	return flagSet.Or(added), mb.commit(nil)
}

// FlagOp is how SetFlags combines.
type FlagOp uint8

// The three forms of STORE.
const (
	FlagsSet FlagOp = iota
	FlagsAdd
	FlagsRemove
)

func (op FlagOp) apply(old, flagSet index.FlagSet) index.FlagSet {
	switch op {
	case FlagsAdd:
		return old.Or(flagSet)
	case FlagsRemove:
		return old.AndNot(flagSet)
	default:
		flagSet.Flags |= old.Flags & maildir.Passed // no IMAP flag, kept
		return flagSet
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
	s := storing{v: v, op: op, flagSet: bits, unchangedSince: unchangedSince}
	lost, err := s.change(ctx, seqs)
	if current {
		v.flagsGen, v.modSeq = mb.flagsGen, mb.st.ModSeq
	}
	if len(lost) > 0 && err == nil {
		// Another program renamed or removed files: see what is there now,
		// and change those that are.
		mb.stamps.forget()
		if err = mb.compare(ctx, false); err == nil {
			lost, err = s.change(ctx, lost)
			if err == nil && len(lost) > 0 {
				err = mb.misplaced("setting flags", len(lost))
			}
		}
		slices.Sort(s.modified)
	}
	return s.modified, err
}

// misplaced is the error, and the log line, for messages whose files are not
// where a scan of this moment saw them.
func (mb *Box) misplaced(what string, n int) error {
	mb.vol.Log.Warn("message files are not where the index has them", "path", mb.path, "operation", what, "messages", n)
	return fmt.Errorf("%w: files of %d messages in %s are renamed all the time by another program", volume.ErrBusy, n, mb.path)
}

// storing is one change of flags. The mailbox is locked.
type storing struct {
	v              *View
	op             FlagOp
	flagSet        index.FlagSet
	unchangedSince uint64
	// changed are the UIDs of messages whose files have new names, after an error too,
	// modified the numbers of those that were left alone.
	changed  map[become][]uint32
	modified []uint32
}

// become is what a message has after a change of flags.
type become struct {
	flags maildir.Flags
	rare  index.Rare
	// had says that it had something rare before.
	had bool
}

// change gives the files their names for the new flags and commits it.
// Those not found under the name that the index has are lost.
func (s *storing) change(ctx context.Context, seqs []uint32) (lost []uint32, err error) {
	o, err := s.v.mb.stamps.beginOwn(true, true)
	if err != nil {
		return nil, err
	}
	s.changed = map[become][]uint32{}
	lost, err = s.rename(ctx, seqs)
	return lost, errors.Join(err, s.commit(o))
}

// rename gives the files their names for the new flags; lost are those that were not
// where the index has them.
func (s *storing) rename(ctx context.Context, seqs []uint32) (lost []uint32, err error) {
	for _, seq := range seqs {
		if err := ctx.Err(); err != nil {
			return lost, err
		}
		m := s.v.live(seq)
		if m == nil {
			continue
		}
		if s.unchangedSince != 0 && m.ModSeq > s.unchangedSince {
			s.modified = append(s.modified, seq)
			continue
		}
		old := m.FlagSet()
		want := s.op.apply(old, s.flagSet)
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
		switch err := s.v.mb.rename(m, b); {
		case errors.Is(err, fs.ErrNotExist):
			lost = append(lost, seq)
			continue
		case err != nil:
			return lost, err
		}
		s.changed[b] = append(s.changed[b], m.UID)
	}
	return lost, nil
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

// commit commits what was changed.
func (s *storing) commit(o own) error {
	mb := s.v.mb
	if len(s.changed) == 0 {
		return nil
	}
	modSeq := mb.st.ModSeq + 1
	for b, uids := range s.changed {
		slices.Sort(uids)
		uids = slices.Compact(uids)
		mb.batch.Flags(uids, b.flags, false, false, modSeq)
		if b.had || b.rare != (index.Rare{}) {
			mb.batch.Rare(uids, b.rare)
		}
	}
	mb.flagsGen++
	if err := mb.stamps.endOwn(mb.st, mb.batch, o); err != nil {
		mb.stamps.forget()
		mb.batch.Reset()
		return err
	}
	if err := mb.commit(s.v); err != nil {
		mb.stamps.forget() // the files have new names, the index does not know
		return err
	}
	return nil
}
