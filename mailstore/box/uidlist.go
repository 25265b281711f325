package box

import (
	"crypto/rand"
	"encoding/hex"
	"path/filepath"
	"time"

	"toastmaster/mailstore/index"
	"toastmaster/mailstore/maildir"
	"toastmaster/mailstore/volume"
)

const uidListFile = "dovecot-uidlist"

// uidList is dovecot-uidlist, and what this process knows of it.
type uidList struct {
	files *folder
	// written is the version of the mailbox (Box.version) at the last write, at is when.
	written uint64
	at      time.Time
	// noUIDLs is the dovecot-uidlist that had no saved UIDL.
	noUIDLs volume.Stamp
}

// write writes a version of the mailbox, unless somebody else writes just now.
func (l *uidList) write(st *index.State, version uint64) error {
	vol, name := l.files.vol, filepath.Join(l.files.path, uidListFile)
	done, err := vol.ReplaceLocked(name, func() ([]byte, error) {
		old, err := volume.ReadFile(vol.FS, name)
		if err != nil {
			return nil, err
		}
		return l.entries(st, old).Append(nil), nil
	})
	if done {
		l.written, l.at = version, vol.Clock.Now()
	}
	return err
}

// entries are what is to be written; old is the file of before.
func (l *uidList) entries(st *index.State, old []byte) *maildir.UIDList {
	out := &maildir.UIDList{UIDValidity: st.UIDValidity, NextUID: st.UIDNext}
	extra := map[string]string{}
	was, err := maildir.ParseUIDList(old)
	if err != nil && len(old) > 0 {
		l.files.vol.Log.Warn("dovecot-uidlist cannot be read and is written anew", "path", l.files.path, "cause", err)
	}
	if err == nil {
		out.GUID = was.GUID
		for i := range was.Entries {
			if e := &was.Entries[i]; e.Extra != "" {
				extra[e.Base] = e.Extra
			}
		}
	}
	if out.GUID == "" {
		var id [16]byte
		_, _ = rand.Read(id[:]) // never fails
		out.GUID = hex.EncodeToString(id[:])
	}
	out.Entries = make([]maildir.UIDEntry, len(st.Messages))
	for i, m := range st.Messages {
		e := maildir.UIDEntry{UID: m.UID, Base: m.Name, Stored: -1, Wire: -1, Extra: extra[m.Name]}
		stored, wire := maildir.Sizes(m.Name)
		if stored != m.Size {
			e.Stored = m.Size
		}
		if wire != m.Wire {
			e.Wire = m.Wire
		}
		out.Entries[i] = e
	}
	return out
}

// hints are the UIDs that the file has for messages which the index does not know.
// Without it they would get others, so an error of the disk is one.
func (l *uidList) hints(st *index.State, rebuild bool) (map[string]uint32, error) {
	name := filepath.Join(l.files.path, uidListFile)
	data, err := volume.ReadFile(l.files.vol.FS, name)
	if volume.Odd(err) {
		l.files.vol.SayOnce(name, "a small file that cannot be read", err)
		return nil, nil
	}
	if err != nil || len(data) == 0 {
		return nil, err
	}
	list, err := maildir.ParseUIDList(data)
	if err != nil || list.UIDValidity != st.UIDValidity {
		return nil, nil
	}
	hints := make(map[string]uint32, len(list.Entries))
	for i := range list.Entries {
		e := &list.Entries[i]
		if rebuild && st.Get(e.UID) == nil || e.UID >= st.UIDNext {
			hints[e.Base] = e.UID
		}
	}
	return hints, nil
}
