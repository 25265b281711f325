package mailstore

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"toastmaster/internal/vfs"
	"toastmaster/mailstore/index"
	"toastmaster/mailstore/maildir"
)

const (
	uidListFile     = "dovecot-uidlist"
	keywordsFile    = "dovecot-keywords"
	uidValidityFile = "dovecot-uidvalidity"
	// staleLock is how old a lock file of Dovecot's must be to be broken.
	staleLock = 2 * time.Minute
)

// listState is what this process knows of dovecot-uidlist.
type listState struct {
	// written is mailbox.version at the last write, at is when.
	written uint64
	at      time.Time
	// keys is the mtime of dovecot-keywords as read or written.
	keys int64
	// noUIDLs is the dovecot-uidlist that had no saved UIDL.
	noUIDLs stamp
}

// stamp tells one state of a small file from another; the zero stamp is a file
// that is not there.
type stamp struct{ mtime, size int64 }

func fileStamp(fsys vfs.FS, name string) (stamp, error) {
	info, err := fsys.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return stamp{}, nil
	}
	if err != nil {
		return stamp{}, err
	}
	return stamp{info.ModTime().UnixNano(), info.Size()}, nil
}

// readFile reads a small file; a missing one is empty.
func readFile(fsys vfs.FS, name string) ([]byte, error) {
	f, err := openRegular(fsys, name, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// replaceLocked writes a file as Dovecot does: name.lock is the lock and,
// renamed, the new file. It reports false when somebody else holds the lock.
func replaceLocked(fsys vfs.FS, name string, now time.Time, data func() ([]byte, error)) (bool, error) {
	lock := name + ".lock"
	f, err := fsys.OpenFile(lock, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		info, statErr := fsys.Stat(lock)
		if statErr != nil {
			return false, nil
		}
		// One from far ahead was left by a process whose clock was wrong.
		if age := now.Sub(info.ModTime()); age < staleLock && age > -staleLock {
			return false, nil
		}
		if err := fsys.Remove(lock); err != nil {
			return false, err
		}
		f, err = fsys.OpenFile(lock, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	}
	if err != nil {
		return false, err
	}
	b, err := data()
	if err == nil {
		_, err = f.Write(b)
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = fsys.Rename(lock, name)
	}
	if err != nil {
		return false, errors.Join(err, fsys.Remove(lock))
	}
	return true, nil
}

// writeUIDList brings dovecot-uidlist up to date; mb.mu is held. What we do
// not know (the mailbox GUID, POP3 UIDLs) is kept from the old file.
func (mb *mailbox) writeUIDList() error {
	version := mb.version
	if mb.uids.written == version {
		return nil
	}
	if err := mb.writeMoreKeywords(); err != nil {
		return err
	}
	name := filepath.Join(mb.path, uidListFile)
	done, err := replaceLocked(mb.store().fs, name, mb.now(), func() ([]byte, error) {
		old, err := readFile(mb.store().fs, name)
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

func (mb *mailbox) uidList(old []byte) *maildir.UIDList {
	l := &maildir.UIDList{UIDValidity: mb.st.UIDValidity, NextUID: mb.st.UIDNext}
	extra := map[string]string{}
	was, err := maildir.ParseUIDList(old)
	if err != nil && len(old) > 0 {
		mb.store().log.Warn("dovecot-uidlist cannot be read and is written anew", "path", mb.path, "cause", err)
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
func (mb *mailbox) uidHints(rebuild bool) map[string]uint32 {
	hints := mb.listedUIDs(rebuild)
	for base, p := range mb.store().promised[mb.path] {
		if mb.st.Get(p.uid) != nil {
			continue
		}
		if hints == nil {
			hints = map[string]uint32{}
		}
		hints[base] = p.uid
	}
	return hints
}

func (mb *mailbox) listedUIDs(rebuild bool) map[string]uint32 {
	data, err := readFile(mb.store().fs, filepath.Join(mb.path, uidListFile))
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
func (mb *mailbox) rebuild(from *index.State) (*index.State, error) {
	s := mb.store()
	data, err := readFile(s.fs, filepath.Join(mb.path, uidListFile))
	if err != nil {
		return nil, err
	}
	if from != nil || len(data) > 0 {
		s.log.Info("rebuilding the index of a mailbox", "path", mb.path)
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
			if validity, err = mb.acct.nextUIDValidity(); err != nil {
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

// nextUIDValidity is the time, or more if that was used in this account. The
// file is Dovecot's: the number in hex, and an empty file with it in its name.
func (a *account) nextUIDValidity() (uint32, error) {
	a.validity.Lock()
	defer a.validity.Unlock()
	fsys := a.store.fs
	name := filepath.Join(a.home, uidValidityFile)
	data, err := readFile(fsys, name)
	if odd(err) {
		// It only remembers what the clock tells as well.
		a.store.sayOnce(name, "a small file that cannot be read", err)
		return max(uint32(a.store.clock.Now().Unix()), 1), nil
	}
	if err != nil {
		return 0, err
	}
	old := strings.TrimSpace(string(data))
	last, _ := strconv.ParseUint(old, 16, 32)
	next := max(uint32(a.store.clock.Now().Unix()), uint32(last)+1, 1)
	hex := strconv.FormatUint(uint64(next), 16)
	if err := a.writeFile(uidValidityFile, []byte(hex)); err != nil {
		return 0, err
	}
	if old != "" {
		err := fsys.Rename(name+"."+old, name+"."+hex)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, err
		}
	}
	return next, nil
}

// writeFile replaces a small file below home.
func (a *account) writeFile(name string, data []byte) error {
	return a.store.replaceFile(a.home, name, data)
}

// replaceFile replaces a small file in a folder of the store.
func (s *Store) replaceFile(dir, name string, data []byte) error {
	fsys := s.fs
	name = filepath.Join(dir, name)
	_, unique := s.uniqueName() // another process may write it, too
	tmp := name + "." + unique + ".tmp"
	f, err := fsys.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err == nil {
		if err = fsys.Rename(tmp, name); errors.Is(err, fs.ErrExist) {
			err = fmt.Errorf("%w: %w", errNoFile, err) // a folder has its name
		}
	}
	if err != nil {
		return errors.Join(err, fsys.Remove(tmp))
	}
	return nil
}

// readKeywords logs into the batch what dovecot-keywords says and the state
// does not. Names that only the index knows stay.
func (mb *mailbox) readKeywords() error {
	st := mb.st
	name := filepath.Join(mb.path, keywordsFile)
	info, err := mb.store().fs.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if odd(err) {
		mb.store().sayOnce(name, "a small file that cannot be read", err)
		return nil
	}
	if err != nil {
		return err
	}
	mtime := info.ModTime().UnixNano()
	if mtime == mb.uids.keys {
		return nil
	}
	data, err := readFile(mb.store().fs, name)
	if odd(err) {
		mb.store().sayOnce(name, "a small file that cannot be read", err)
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
func (mb *mailbox) nameLetters(flags maildir.Flags) {
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
func (mb *mailbox) addKeywords(wanted []string, all bool) (index.Marks, error) {
	file := filepath.Join(mb.path, keywordsFile)
	var marks index.Marks
	done, err := replaceLocked(mb.store().fs, file, mb.now(), func() ([]byte, error) {
		data, err := readFile(mb.store().fs, file)
		if err != nil {
			return nil, err
		}
		merged := index.State{Keywords: mergeKeywords(mb.st.Keywords, maildir.ParseKeywords(data))}
		for _, name := range wanted {
			mark := merged.Keyword(name)
			if mark.Empty() {
				mark = takeNumber(&merged, name, mb.store().cfg.MaxKeywords)
			}
			if mark.Empty() && all {
				return nil, fmt.Errorf("%w: %s has store.max_keywords keywords already", ErrLimit, mb.path)
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
		return index.Marks{}, ErrBusy // for two minutes at most
	}
	clear(mb.flagSets)
	if info, err := mb.store().fs.Stat(file); err == nil {
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
