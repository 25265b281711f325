package box

import (
	"context"
	"path/filepath"

	"github.com/emersion/go-imap/v2"

	"toastmaster/mailstore/maildir"
	"toastmaster/mailstore/volume"
)

// What messages are known by elsewhere than in IMAP.

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
	for _, m := range v.messages(v.mb.st, len(v.uids)) {
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
	if m := v.known(v.mb.st, seq); maildir.ValidUIDL(m.Name) {
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
	for _, m := range v.messages(v.mb.st, len(v.uids)) {
		if id, ok := guids[m.Name]; ok {
			out[imap.UID(m.UID)] = id
		}
	}
	return out, nil
}

// BaseName is the name of a message's file without its flags, "" when it is no more.
func (v *View) BaseName(seq uint32) string {
	v.mb.mu.Lock()
	defer v.mb.mu.Unlock()
	m := v.live(seq)
	if m == nil {
		return ""
	}
	return m.Name
}
