package box

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/mailstore/index"
	"toastmaster/mailstore/maildir"
	"toastmaster/mailstore/volume"
)

const (
	uidListFile  = "dovecot-uidlist"
	keywordsFile = "dovecot-keywords"
)

// listState is what this process knows of dovecot-uidlist.
type listState struct {
	// written is mailbox.version at the last write, at is when.
	written uint64
	at      time.Time
	// keys is the mtime of dovecot-keywords as read or written.
	keys int64
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
	if err := mb.writeMoreKeywords(); err != nil {
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

// rebuild makes a state where snapshot and log were lost or damaged; from is
// what could still be read. The lock of the log is held.
func (mb *Box) rebuild(from *index.State) (*index.State, error) {
	data, err := volume.ReadFile(mb.vol.FS, filepath.Join(mb.path, uidListFile))
	if err != nil {
		return nil, err
	}
	if from != nil || len(data) > 0 {
		mb.vol.Log.Info("rebuilding the index of a mailbox", "path", mb.path)
	}
	l, err := maildir.ParseUIDList(data)
	if err != nil {
		l = &maildir.UIDList{}
	}
	if mine := mb.st; mine != nil && (from == nil || from.UIDValidity == mine.UIDValidity && from.Position < mine.Position) {
		from = mine // sessions have its UIDs
	}
	st := from
	if st == nil || l.UIDValidity != 0 && st.UIDValidity != l.UIDValidity {
		validity := l.UIDValidity
		if validity == 0 {
			if validity, err = mb.acct.NextUIDValidity(); err != nil {
				return nil, err
			}
		}
		st = index.NewState(validity)
	}
	if from != nil {
		// Far from any position others know: they load anew.
		st.Position = from.Position + 1<<32
		st.Closed = false
		st.Recover()
	}
	if l.NextUID > st.UIDNext {
		st.UIDNext = l.NextUID
	}
	st.Recent = max(st.Recent, 1)
	next := st.UIDNext
	if err := mb.log.Start(st); err != nil {
		return nil, err
	}
	if next > 1 {
		mb.batch.Reset()
		mb.batch.Next(next, st.ModSeq)
		if err := mb.log.Append(st, &mb.batch); err != nil {
			return nil, err
		}
		mb.batch.Reset()
	}
	return st, nil
}

// readKeywords logs into the batch what dovecot-keywords says and the state
// does not. Names that only the index knows stay.
func (mb *Box) readKeywords() error {
	st := mb.st
	name := filepath.Join(mb.path, keywordsFile)
	info, err := mb.vol.FS.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if volume.Odd(err) {
		mb.vol.SayOnce(name, "a small file that cannot be read", err)
		return nil
	}
	if err != nil {
		return err
	}
	mtime := info.ModTime().UnixNano()
	if mtime == mb.uids.keys {
		return nil
	}
	data, err := volume.ReadFile(mb.vol.FS, name)
	if volume.Odd(err) {
		mb.vol.SayOnce(name, "a small file that cannot be read", err)
		return nil
	}
	if err != nil {
		return err
	}
	for i, k := range maildir.ParseKeywords(data) {
		if k == "" || i < len(st.Keywords) && st.Keywords[i] == k {
			continue
		}
		mb.batch.Keyword(i, k)
	}
	mb.uids.keys = mtime
	if mb.batch.Empty() {
		return nil
	}
	clear(mb.flagSets)
	return nil
}

// nameLetters gives keyword letters that are in use and have no name, because
// dovecot-keywords was lost, the name that Dovecot gives them. Without one the
// next new keyword would get the letter, and be on messages that nobody put it on.
func (mb *Box) nameLetters(flags maildir.Flags) {
	for i := range maildir.MaxKeywords {
		if flags&(1<<i) == 0 || mb.batch.Names(i) || i < len(mb.st.Keywords) && mb.st.Keywords[i] != "" {
			continue
		}
		name := "unknown-" + strconv.Itoa(i)
		for !mb.st.Keyword(name).Empty() {
			name += "-"
		}
		mb.batch.Keyword(i, name)
		clear(mb.flagSets)
	}
}

// addKeywords gives keywords the next free numbers; the first 26 have a letter,
// for Dovecot too. When there are more than store.max_keywords, those that are
// left get none, or, with all set, none does and the error is ErrLimit. The
// locks are held; the record is committed.
func (mb *Box) addKeywords(wanted []string, all bool) (index.Marks, error) {
	file := filepath.Join(mb.path, keywordsFile)
	var marks index.Marks
	done, err := volume.ReplaceLocked(mb.vol.FS, file, mb.now(), func() ([]byte, error) {
		data, err := volume.ReadFile(mb.vol.FS, file)
		if err != nil {
			return nil, err
		}
		merged := index.State{Keywords: mergeKeywords(mb.st.Keywords, maildir.ParseKeywords(data))}
		for _, name := range wanted {
			mark := merged.Keyword(name)
			if mark.Empty() {
				mark = takeNumber(&merged, name, mb.vol.Config.MaxKeywords)
			}
			if mark.Empty() && all {
				return nil, fmt.Errorf("%w: %s has store.max_keywords keywords already", volume.ErrLimit, mb.path)
			}
			marks = marks.Or(mark)
		}
		for i, k := range merged.Keywords {
			if k != "" && (i >= len(mb.st.Keywords) || mb.st.Keywords[i] != k) {
				mb.batch.Keyword(i, k)
			}
		}
		return maildir.AppendKeywords(nil, merged.Keywords[:min(len(merged.Keywords), maildir.MaxKeywords)]), nil
	})
	if err != nil {
		mb.batch.Reset()
		return index.Marks{}, err
	}
	if !done {
		return index.Marks{}, volume.ErrBusy // for two minutes at most
	}
	clear(mb.flagSets)
	if info, err := mb.vol.FS.Stat(file); err == nil {
		mb.uids.keys = info.ModTime().UnixNano()
	}
	return marks, mb.commit(nil)
}

// mergeKeywords is what the index knows with what is in the file: Dovecot may
// have added some, and a letter must not get two names.
func mergeKeywords(known, file []string) []string {
	names := append([]string(nil), known...)
	for i, k := range file {
		for len(names) <= i {
			names = append(names, "")
		}
		if k != "" {
			names[i] = k
		}
	}
	return names
}

// takeNumber gives name the next free number, none when limit are taken.
func takeNumber(st *index.State, name string, limit int) index.Marks {
	i := st.FreeKeyword(limit)
	if i < 0 {
		return index.Marks{}
	}
	for len(st.Keywords) <= i {
		st.Keywords = append(st.Keywords, "")
	}
	st.Keywords[i] = name
	return index.KeywordMark(i)
}

// moreKeywordsFile has the keywords without a letter, for who has lost the
// index. It is written with dovecot-uidlist.
const moreKeywordsFile = "toastmaster.keywords"

// writeMoreKeywords brings it up to date. A mailbox whose keywords all have a
// letter has none.
func (mb *Box) writeMoreKeywords() error {
	if len(mb.st.Keywords) <= maildir.MaxKeywords {
		return nil
	}
	data := maildir.AppendMoreKeywords(nil, mb.st.Keywords)
	for _, m := range mb.st.Messages {
		if m.Rare != nil {
			data = maildir.AppendMessageKeywords(data, m.Name, m.Rare.Keywords.Numbers())
		}
	}
	return mb.vol.ReplaceFile(mb.path, moreKeywordsFile, data)
}

// readMoreKeywords logs the names of keywords without a letter into the batch,
// for a rebuild, and returns the keywords of each message. A number that has
// another name by now is another number here.
func (mb *Box) readMoreKeywords() (map[string]index.Keywords, error) {
	data, err := volume.ReadFile(mb.vol.FS, filepath.Join(mb.path, moreKeywordsFile))
	if volume.Odd(err) {
		mb.vol.SayOnce(filepath.Join(mb.path, moreKeywordsFile), "a small file that cannot be read", err)
		return nil, nil
	}
	if err != nil || len(data) == 0 {
		return nil, err
	}
	more := maildir.ParseMoreKeywords(data, index.MaxKeywords)
	marks := make(map[int]index.Marks, len(more.Names))
	numbers := slices.Sorted(maps.Keys(more.Names))
	free := len(mb.st.Keywords)
	if n := len(numbers); n > 0 {
		free = max(free, numbers[n-1]+1)
	}
	for _, i := range numbers {
		name := more.Names[i]
		if mark := mb.st.Keyword(name); !mark.Empty() {
			marks[i] = mark
			continue
		}
		to := i
		if i < len(mb.st.Keywords) && mb.st.Keywords[i] != "" {
			to, free = free, free+1
		}
		mb.batch.Keyword(to, name)
		marks[i] = index.KeywordMark(to)
	}
	byName := make(map[string]index.Keywords, len(more.Messages))
	for base, numbers := range more.Messages {
		var m index.Marks
		for _, n := range numbers {
			m = m.Or(marks[n])
		}
		byName[base] = m.Keywords
	}
	return byName, nil
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
