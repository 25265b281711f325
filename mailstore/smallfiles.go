package mailstore

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/vfs"
	"toastmaster/mailstore/maildir"
)

const (
	subscriptionsFile = "subscriptions"
	// specialUseFile has a line "attribute TAB name in modified UTF-7" for
	// each mailbox whose use was set at CREATE; "-" takes a default away.
	specialUseFile = "toastmaster.special-use"
)

// Subscribe and unsubscribe; the mailbox need not exist to unsubscribe.
func (u *User) Subscribe(ctx context.Context, name string, on bool) error {
	a := u.acct
	name = u.canonical(name)
	dir, err := a.folderDir(name)
	if err != nil {
		return err
	}
	if err := a.lock(); err != nil {
		return err
	}
	defer a.mu.Unlock()
	if on {
		there, err := a.hasFolder(dir)
		if err != nil {
			return storeError(err)
		}
		if !there {
			there, err = a.isPending(dir)
		}
		if err != nil || !there {
			return cmp.Or(storeError(err), ErrNotFound)
		}
	}
	names, err := a.subscriptions()
	if err != nil {
		return storeError(err)
	}
	if slices.Contains(names, name) == on {
		return nil
	}
	if on {
		if len(names) >= a.store.cfg.MaxSubscriptions {
			return ErrTooManySubscriptions
		}
		names = append(names, name)
	} else {
		names = slices.DeleteFunc(names, func(n string) bool { return n == name })
	}
	return storeError(a.writeSubscriptions(names))
}

// subscriptions are the names in the file; without one, those of the default
// folders.
func (a *account) subscriptions() ([]string, error) {
	data, err := readFile(a.store.fs, filepath.Join(a.home, subscriptionsFile))
	if err != nil {
		return nil, err
	}
	if data == nil {
		return a.defaults()
	}
	return maildir.ParseSubscriptions(data, a.store.sep), nil
}

func (a *account) writeSubscriptions(names []string) error {
	defer a.store.points.note()
	return a.writeFile(subscriptionsFile, maildir.AppendSubscriptions(nil, names, a.store.sep))
}

// specialUse says what mailboxes are for.
type specialUse map[string]imap.MailboxAttr

// of gives the use that was set for a name, or the usual one of a name at the
// top that no other mailbox was named for.
func (u specialUse) of() func(name string) imap.MailboxAttr {
	usual := map[string]imap.MailboxAttr{
		"drafts": imap.MailboxAttrDrafts, "sent": imap.MailboxAttrSent, "junk": imap.MailboxAttrJunk,
		"trash": imap.MailboxAttrTrash, "archive": imap.MailboxAttrArchive,
	}
	taken := map[imap.MailboxAttr]bool{}
	for _, set := range u {
		taken[set] = true
	}
	return func(name string) imap.MailboxAttr {
		if set, ok := u[name]; ok {
			return set
		}
		if use := usual[strings.ToLower(name)]; !taken[use] {
			return use
		}
		return ""
	}
}

func (a *account) specialUses() (specialUse, error) {
	data, err := readFile(a.store.fs, filepath.Join(a.home, specialUseFile))
	if err != nil {
		return nil, err
	}
	uses := specialUse{}
	for line := range strings.Lines(string(data)) {
		attr, code, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		name, valid := maildir.FolderName("."+code, a.store.sep)
		if !ok || !valid {
			continue
		}
		if attr == "-" {
			attr = ""
		}
		uses[name] = imap.MailboxAttr(attr)
	}
	return uses, nil
}

// setSpecialUse sets or, with "", forgets the use of a mailbox; a.mu is held.
func (a *account) setSpecialUse(name string, use imap.MailboxAttr) error {
	uses, err := a.specialUses()
	if use == "" {
		err = a.passOver(specialUseFile, err)
	}
	if err != nil {
		return err
	}
	if _, set := uses[name]; use == "" && !set {
		return nil
	}
	delete(uses, name)
	if use != "" {
		uses[name] = use
	}
	return a.writeSpecialUses(uses)
}

func (a *account) writeSpecialUses(uses specialUse) error {
	var lines []string
	for name, use := range uses {
		dir, err := maildir.FolderDir(name, a.store.sep)
		if err != nil || dir == "" {
			continue
		}
		if use == "" {
			use = "-"
		}
		lines = append(lines, string(use)+"\t"+dir[1:]+"\n")
	}
	slices.Sort(lines)
	defer a.store.points.note()
	return a.writeFile(specialUseFile, []byte(strings.Join(lines, "")))
}

// moveSpecialUse renames entries with their mailboxes.
func (a *account) moveSpecialUse(from, to string) error {
	uses, err := a.specialUses()
	if err = a.passOver(specialUseFile, err); err != nil || len(uses) == 0 {
		return err
	}
	sep := string(a.store.sep)
	moved := specialUse{}
	for name, use := range uses {
		if rest, ok := strings.CutPrefix(name+sep, from+sep); ok {
			name = strings.TrimSuffix(to+sep+rest, sep)
		}
		moved[name] = use
	}
	return a.writeSpecialUses(moved)
}

// HasAccount says whether an account's folder is there.
func (s *Store) HasAccount(acc Account) (bool, error) {
	home, err := s.home(acc)
	if err != nil {
		return false, err
	}
	there, err := exists(s.fs, home)
	return there, storeError(err)
}

// RemoveAccount deletes all mail of an account. Its views get ErrGone, and
// its users find no mailbox at all, even when the account is
// made anew.
func (s *Store) RemoveAccount(ctx context.Context, acc Account) error {
	home, err := s.home(acc)
	if err != nil {
		return err
	}
	// From here on mail that was on its way makes nothing; what came before has
	// the account in use.
	s.mu.Lock()
	s.removed.note(home, s.clock.Now())
	used := s.accounts[home] != nil
	s.mu.Unlock()
	if err := s.abandon(ctx, home); err != nil {
		return storeError(err)
	}
	there, err := exists(s.fs, home)
	if err != nil {
		return storeError(err)
	}
	if !there && !used {
		return storeError(s.removeParents(home)) // a crash may have left them
	}
	acc.Asked = time.Time{}
	a, err := s.acquire(acc)
	if err != nil {
		return err
	}
	defer s.releaseAccount(a)
	if err := a.lock(); err != nil {
		return nil // by somebody else, just now
	}
	defer a.mu.Unlock()
	aside, boxes, err := a.leave(ctx)
	if err != nil {
		return storeError(err)
	}
	for _, mb := range boxes {
		mb.leaves()
		s.release(mb)
	}
	s.mu.Lock()
	if s.accounts[home] == a {
		delete(s.accounts, home)
	}
	s.mu.Unlock()
	return storeError(cmp.Or(removeAll(s.fs, aside), s.removeParents(home)))
}

// leave is mailbox.leave for all of an account; a.mu is held. The UIDVALIDITY of
// a folder that is not open is not known without a scan, so only the order in
// our own journal tells. The mailboxes are those that are open, one more use
// of each.
func (a *account) leave(ctx context.Context) (aside string, boxes []*mailbox, err error) {
	s := a.store
	a.journaling.Lock()
	defer a.journaling.Unlock()
	names, err := a.names()
	if err != nil {
		return "", nil, err
	}
	for _, name := range names {
		dir, err := a.folderDir(name)
		if err != nil {
			return "", nil, err
		}
		if err := s.appendGone(ctx, departure{folder: folder{a.relHome(), dir}}); err != nil {
			return "", nil, err
		}
	}
	if aside, err = a.moveAside(a.home); err != nil {
		return "", nil, err
	}
	s.points.note()
	if err := s.fs.SyncDir(filepath.Dir(a.home)); err != nil {
		s.log.Warn("an account that was removed may come back after a power cut", "path", a.home, "cause", err)
	}
	// From here on nobody opens a mailbox of a; those that are open are
	// buried, and only then may the account be made anew.
	s.mu.Lock()
	defer s.mu.Unlock()
	a.gone.Store(true)
	for _, mb := range s.boxes {
		if mb.acct == a {
			mb.refs++
			s.unidle(mb)
			boxes = append(boxes, mb)
		}
	}
	return aside, boxes, nil
}

// removeParents removes the folders between a home that is gone and the root
// that nothing is left in: those of the last account of a domain. Each is
// durably gone before the next.
func (s *Store) removeParents(home string) error {
	s.parents.Lock()
	defer s.parents.Unlock()
	root := filepath.Clean(s.root)
	for dir := filepath.Dir(home); dir != root; dir = filepath.Dir(dir) {
		err := s.fs.Remove(dir)
		switch {
		case errors.Is(err, fs.ErrExist): // not empty
			return nil
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err == nil:
			err = s.fs.SyncDir(filepath.Dir(dir))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// removeAll removes a tree.
func removeAll(fsys vfs.FS, name string) error {
	entries, err := fsys.ReadDir(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		child := filepath.Join(name, e.Name())
		if e.IsDir() {
			err = removeAll(fsys, child)
		} else {
			err = fsys.Remove(child)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return fsys.Remove(name)
}
