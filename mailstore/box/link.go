package box

import (
	"errors"
	"io/fs"
	"syscall"
	"time"

	"toastmaster/mailstore/index"
)

// link gives the message its name and its UID. The locks are held.
func (in *incoming) link(d *Delivery) (*index.Message, error) {
	mb := in.mb
	how := makeMissing
	if d.needKeywords {
		how = needMissing
	}
	flagSet, err := mb.flagBits(d.Flags, how)
	if err != nil {
		return nil, err
	}
	m := &in.msg
	m.Flags, m.InNew = flagSet.Flags, flagSet.Flags == 0
	m.SetRare(index.Rare{Keywords: flagSet.Keywords})
	if m.UID == 0 { // else the journal has told it (Restore)
		if err := mb.uidsLeft(1); err != nil {
			return nil, err
		}
		m.UID = mb.st.UIDNext
	}
	m.ModSeq = mb.st.ModSeq + 1
	o, err := mb.stamps.beginOwn(m.InNew, !m.InNew)
	if err != nil {
		return nil, err
	}
	path := mb.path + "/" + m.File() // both are clean
	err = in.file.LinkTo(path)
	if (errors.Is(err, syscall.EXDEV) || errors.Is(err, syscall.EMLINK)) && !in.owned {
		// The content was spooled on another file system, or has as many names
		// as a file can have.
		if err = in.write(&mb.files, d); err == nil {
			err = in.file.LinkTo(path)
		}
	}
	if err != nil {
		if errors.Is(err, fs.ErrExist) && d.ID != "" {
			return nil, nil // it is there; the next scan finds it
		}
		return nil, err
	}
	if away := mb.now().Sub(d.Date); !d.Date.IsZero() && (away > dateSlack || away < -dateSlack) {
		if err := mb.vol.FS.Chtimes(path, d.Date, d.Date); err != nil {
			return nil, errors.Join(err, mb.vol.FS.Remove(path))
		}
	}
	if err := in.add(o); err != nil {
		return nil, errors.Join(err, mb.vol.FS.Remove(path))
	}
	mb.acct.Quota.Redeem(in.room, m.Size, 1)
	return m, nil
}

// dateSlack is how far the file's mtime, which is the internal date for other
// programs, may be off.
const dateSlack = time.Minute

// add logs the message, whose file is in place.
func (in *incoming) add(o own) error {
	mb, m := in.mb, &in.msg
	mb.records.add(mb.st.CacheEnd, m, in.record)
	mb.batch.Add(m)
	if err := mb.stamps.endOwn(mb.st, mb.batch, o); err != nil {
		mb.batch.Reset()
		return err
	}
	if err := mb.commitNew(); err != nil {
		return err
	}
	mb.epochs.came(m.UID)
	return nil
}
