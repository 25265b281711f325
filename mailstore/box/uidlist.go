package box

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"path/filepath"
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/mailstore/maildir"
	"toastmaster/mailstore/volume"
)

const uidListFile = "dovecot-uidlist"

// listState is what this process knows of dovecot-uidlist.
type listState struct {
	// written is mailbox.version at the last write, at is when.
	written uint64
	at      time.Time
	// noUIDLs is the dovecot-uidlist that had no saved UIDL.
	noUIDLs volume.Stamp
}

// writeUIDList brings dovecot-uidlist up to date; mb.mu is held. What we do
// not know (the mailbox GUID, POP3 UIDLs) is kept from the old file.
func (mb *Box) writeUIDList() error {
	version := mb.version
	if mb.uids.written == version {
		return nil
	}
	if err := mb.keywords.writeMore(mb.st); err != nil {
		return err
	}
	name := filepath.Join(mb.path, uidListFile)
	done, err := volume.ReplaceLocked(mb.vol.FS, name, mb.now(), func() ([]byte, error) {
		old, err := volume.ReadFile(mb.vol.FS, name)
		if err != nil {
			return nil, err
		}
		return mb.uidList(old).Append(nil), nil
	})
	if done {
		mb.uids.written, mb.uids.at = version, mb.now()
	}
	return err
}

func (mb *Box) uidList(old []byte) *maildir.UIDList {
	l := &maildir.UIDList{UIDValidity: mb.st.UIDValidity, NextUID: mb.st.UIDNext}
	extra := map[string]string{}
	was, err := maildir.ParseUIDList(old)
	if err != nil && len(old) > 0 {
		mb.vol.Log.Warn("dovecot-uidlist cannot be read and is written anew", "path", mb.path, "cause", err)
	}
	if err == nil {
		l.GUID = was.GUID
		for i := range was.Entries {
			if e := &was.Entries[i]; e.Extra != "" {
				extra[e.Base] = e.Extra
			}
		}
	}
	if l.GUID == "" {
		var id [16]byte
		_, _ = rand.Read(id[:]) // never fails
		l.GUID = hex.EncodeToString(id[:])
	}
	l.Entries = make([]maildir.UIDEntry, len(mb.st.Messages))
	for i, m := range mb.st.Messages {
		e := maildir.UIDEntry{UID: m.UID, Base: m.Name, Stored: -1, Wire: -1, Extra: extra[m.Name]}
		stored, wire := maildir.Sizes(m.Name)
		if stored != m.Size {
			e.Stored = m.Size
		}
		if wire != m.Wire {
			e.Wire = m.Wire
		}
		l.Entries[i] = e
	}
	return l
}

// uidHints reads dovecot-uidlist for the UIDs of files the index does not
// know. When not rebuilding only UIDs that we never gave are taken.
func (mb *Box) uidHints(rebuild bool) map[string]uint32 {
	hints := mb.listedUIDs(rebuild)
	for base, p := range mb.promised() {
		if mb.st.Get(p.UID) != nil {
			continue
		}
		if hints == nil {
			hints = map[string]uint32{}
		}
		hints[base] = p.UID
	}
	return hints
}

func (mb *Box) listedUIDs(rebuild bool) map[string]uint32 {
	data, err := volume.ReadFile(mb.vol.FS, filepath.Join(mb.path, uidListFile))
	if err != nil || len(data) == 0 {
		return nil
	}
	l, err := maildir.ParseUIDList(data)
	if err != nil || l.UIDValidity != mb.st.UIDValidity {
		return nil
	}
	hints := make(map[string]uint32, len(l.Entries))
	for i := range l.Entries {
		e := &l.Entries[i]
		if rebuild && mb.st.Get(e.UID) == nil || e.UID >= mb.st.UIDNext {
			hints[e.Base] = e.UID
		}
	}
	return hints
}

// SavedUIDLs are the unique ids that POP3 clients were told elsewhere, as
// Dovecot saves them in dovecot-uidlist (pop3_save_uidl, or when a host moved
// there from another server). They are a message's for life; a copy has none.
// Two messages may have the same one: Dovecot answers both with it, too. The
// result is nil when there are none, which costs one stat.
//
// They stay in dovecot-uidlist alone and not in the index, so that the memory
// for an index is the same with and without.
func (v *View) SavedUIDLs(ctx context.Context) (map[imap.UID]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	mb := v.mb
	name := filepath.Join(mb.path, uidListFile)
	stamp, err := volume.FileStamp(mb.vol.FS, name)
	if err != nil {
		return nil, volume.Err(err)
	}
	mb.mu.Lock()
	none := mb.dead || mb.uids.noUIDLs == stamp
	mb.mu.Unlock()
	if none {
		return nil, nil
	}
	data, err := volume.ReadFile(mb.vol.FS, name)
	if err != nil {
		return nil, volume.Err(err)
	}
	saved := maildir.SavedUIDLs(data)
	mb.mu.Lock()
	defer mb.mu.Unlock()
	if len(saved) == 0 {
		mb.uids.noUIDLs = stamp
		return nil, nil
	}
	out := make(map[imap.UID]string, len(saved))
	for _, m := range v.messages(len(v.uids)) {
		if id, ok := saved[m.Name]; ok {
			out[imap.UID(m.UID)] = id
		}
	}
	return out, nil
}

// FileUIDL is the base name of a message's file, which it has for life, as a POP3 unique
// id: "" where clients cannot be told it, because of a blank in it, or where the message
// is not in the view.
func (v *View) FileUIDL(uid imap.UID) string {
	seq := v.Seq(uid)
	if seq == 0 {
		return ""
	}
	v.mb.mu.Lock()
	defer v.mb.mu.Unlock()
	if m := v.known(seq); maildir.ValidUIDL(m.Name) {
		return m.Name
	}
	return ""
}

// GUIDs are the GUIDs of messages that are not the names of their files: those in the
// fields G of dovecot-uidlist.
func (v *View) GUIDs(ctx context.Context) (map[imap.UID]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	data, err := volume.ReadFile(v.mb.vol.FS, filepath.Join(v.mb.path, uidListFile))
	if err != nil {
		return nil, volume.Err(err)
	}
	guids := maildir.GUIDs(data)
	if len(guids) == 0 {
		return nil, nil
	}
	out := make(map[imap.UID]string, len(guids))
	v.mb.mu.Lock()
	defer v.mb.mu.Unlock()
	for _, m := range v.messages(len(v.uids)) {
		if id, ok := guids[m.Name]; ok {
			out[imap.UID(m.UID)] = id
		}
	}
	return out, nil
}
