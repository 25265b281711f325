package box

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"toastmaster/mailstore/index"
	"toastmaster/mailstore/maildir"
	"toastmaster/mailstore/packed"
	"toastmaster/mailstore/volume"
)

// difference is what a scan of the Maildir of a mailbox, which is locked, found to be
// different from the index.
type difference struct {
	mb *Box
	// rebuild: the index was lost, and dovecot-uidlist is believed.
	rebuild          bool
	readNew, readCur bool
	moved            []*index.Message     // with the place in at
	at               map[string]foundFile // afterwards: unknown files
	where            []foundFile          // parallel to moved
	missing          []uint32
	// letters are the flags of all unknown and changed files.
	letters maildir.Flags
}

// scan reads the directories and compares them with the index. A message
// that is not found is looked for once more in both: a file renamed while its
// directory is read may be listed under neither name.
func (d *difference) scan(scanNew, scanCur bool) error {
	mb := d.mb
	for again := false; ; again = true {
		*d = difference{mb: mb, rebuild: d.rebuild, readNew: scanNew, readCur: scanCur, at: make(map[string]foundFile, len(mb.st.Messages)/2)}
		// new first: mail moves from new to cur.
		if scanNew {
			if err := mb.files.list(d.at, "new", true); err != nil {
				return err
			}
		}
		if scanCur {
			if err := mb.files.list(d.at, "cur", false); err != nil {
				return err
			}
		}
		d.takeKnown()
		if len(d.missing) == 0 || again {
			return nil
		}
		scanNew, scanCur = true, true
	}
}

// takeKnown takes what the index knows out of d.at.
func (d *difference) takeKnown() {
	for _, m := range d.mb.st.Messages {
		p, found := d.at[m.Name]
		if !found {
			if m.InNew && d.readNew || !m.InNew && d.readCur {
				d.missing = append(d.missing, m.UID)
			}
			continue
		}
		delete(d.at, m.Name)
		if !p.is(m) {
			d.letters |= p.flags
			d.moved, d.where = append(d.moved, m), append(d.where, p)
		}
	}
	for _, p := range d.at {
		d.letters |= p.flags
	}
}

// merge logs the differences into the batch and commits what is large.
func (d *difference) merge(ctx context.Context) error {
	mb := d.mb
	modSeq := mb.st.ModSeq + 1
	for i, m := range d.moved {
		p, seq := d.where[i], m.ModSeq
		if p.flags != m.Flags {
			seq = modSeq
		}
		mb.batch.Flags([]uint32{m.UID}, p.flags, p.inNew, p.hasInfo, seq)
		if p.odd {
			mb.batch.Rare([]uint32{m.UID}, p.rare(m.Rarely()))
		}
		mb.flagsGen++
	}
	if len(d.missing) > 0 {
		var size int64
		for _, uid := range d.missing {
			size += mb.st.Get(uid).Size
		}
		mb.batch.Expunge(d.missing, modSeq, mb.now().Unix(), true)
		mb.setGen++
		mb.acct.Quota.Add(-size, -int64(len(d.missing)))
	}
	if len(d.at) == 0 {
		return nil
	}
	return d.addFound(ctx, modSeq)
}

// found is an unknown file with the UID it is to have, 0 for the next.
type found struct {
	base string
	foundFile
	uid uint32
}

// addFound gives the unknown files UIDs: those of dovecot-uidlist as far as
// they are still free, then new ones in the order of their names.
func (d *difference) addFound(ctx context.Context, modSeq uint64) error {
	mb := d.mb
	hints, err := d.uidHints()
	if err != nil {
		return err
	}
	files := make([]found, 0, len(d.at))
	for base, p := range d.at {
		files = append(files, found{base: base, foundFile: p, uid: hints[base]})
	}
	slices.SortFunc(files, func(a, b found) int {
		switch {
		case a.uid != b.uid && a.uid != 0 && b.uid != 0:
			return cmp.Compare(a.uid, b.uid)
		case (a.uid != 0) != (b.uid != 0):
			return cmp.Compare(b.uid, a.uid) // those with a UID first
		}
		return cmp.Or(cmp.Compare(maildir.Seconds(a.base), maildir.Seconds(b.base)), cmp.Compare(a.base, b.base))
	})
	next := mb.st.UIDNext
	promised := mb.promised()
	for _, p := range promised {
		next = max(next, p.UID+1) // the journal puts that message here next
	}
	var size, count int64
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		m, err := d.examine(ctx, f)
		if errors.Is(err, fs.ErrNotExist) {
			continue // gone again
		}
		if volume.Odd(err) {
			mb.stamps.notRead(f.file, err)
			continue
		}
		if err != nil {
			return err
		}
		m.UID, m.ModSeq = f.uid, modSeq
		if p, ok := promised[f.base]; ok {
			m.Date, m.Zone = p.Date, p.Zone
		}
		if m.UID == 0 {
			m.UID = next
		}
		if m.UID > index.MaxUID {
			mb.stamps.notRead(f.file, mb.noUIDs())
			continue
		}
		next = max(next, m.UID+1)
		mb.batch.Add(m)
		mb.epochs.came(m.UID)
		size, count = size+m.Size, count+1
	}
	if d.rebuild {
		return nil // not new for the account, and usage is computed anyway
	}
	mb.acct.Quota.Add(size, count)
	return nil
}

// uidHints reads dovecot-uidlist for the UIDs of files the index does not
// know. When not rebuilding only UIDs that we never gave are taken.
func (d *difference) uidHints() (map[string]uint32, error) {
	mb := d.mb
	hints, err := mb.uids.hints(mb.st, d.rebuild)
	if err != nil {
		return nil, err
	}
	for base, p := range mb.promised() {
		if mb.st.Get(p.UID) != nil {
			continue
		}
		if hints == nil {
			hints = map[string]uint32{}
		}
		hints[base] = p.UID
	}
	return hints, nil
}

// examine opens a file we did not write: its date is its mtime, as Dovecot
// has it; its sizes are in its name or must be counted.
func (d *difference) examine(ctx context.Context, f found) (*index.Message, error) {
	mb := d.mb
	file, err := volume.OpenRegular(mb.vol.FS, filepath.Join(mb.path, f.file), os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info := file.Info
	size, wire := maildir.Sizes(f.base)
	if info.Size() == 0 && size > 0 && d.neverStored(f.base) {
		return nil, &fs.PathError{Op: "read", Path: file.Name(), Err: volume.ErrNeverStored}
	}
	m := &index.Message{
		Name: f.base, Flags: f.flags, InNew: f.inNew, HasInfo: f.hasInfo,
		Date: info.ModTime().Unix(), Size: info.Size(), Wire: wire,
	}
	m.SetRare(f.rare(index.Rare{Keywords: mb.more[f.base]}))
	form, err := mb.o.Memory.packed.isPacked(ctx, file, f.base, f.rest)
	switch {
	case err != nil:
		return nil, err
	case form != packed.None:
		err = mb.o.Memory.packed.examine(ctx, file, form, m)
	case wire < 0 || size != info.Size():
		m.Wire, err = wireSize(&stored{File: file, size: info.Size()})
	}
	return m, err
}

// neverStored says of an empty file that it was never stored. It is one of ours, because others have
// other rules; none that the queue delivers again, which finds the name and
// fills the file; and none that the journal has, which does the same. It stays
// where it is: whoever copies a mailbox with cp may be about to fill it. A part
// of a message is shown: it may be all that there is.
func (d *difference) neverStored(base string) bool {
	mb := d.mb
	if _, told := mb.promised()[base]; told {
		return false
	}
	_, rest, _ := strings.Cut(base, ".")
	unique, rest, _ := strings.Cut(rest, ".")
	host, _, _ := strings.Cut(rest, ",S=")
	return volume.IsUnique(unique) && host == mb.vol.Host()
}
