package mailstore

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"

	"toastmaster/mailstore/maildir"
)

// Folder is one mailbox in a listing.
type Folder struct {
	Name string
	// NoSelect: exists only as a parent of others.
	NoSelect   bool
	Subscribed bool
	// SpecialUse is one of the attributes of RFC 6154, or "".
	SpecialUse imap.MailboxAttr
	// HasChildren (RFC 3348).
	HasChildren bool
}

// List returns all folders, default folders that are not made yet, and, with
// NoSelect set, missing parents and
// subscriptions whose mailbox is gone, in name order with INBOX first.
// Matching patterns is the caller's.
func (u *User) List(ctx context.Context) ([]Folder, error) {
	a := u.acct
	if err := a.lock(); err != nil {
		return nil, err
	}
	defer a.mu.Unlock()
	names, err := a.names()
	if err != nil {
		return nil, storeError(err)
	}
	defaults, err := a.defaults()
	if err != nil {
		return nil, storeError(err)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	names = append(names, defaults...)
	subscribed, err := a.subscriptions()
	if err = a.passOver(subscriptionsFile, err); err != nil {
		return nil, err
	}
	uses, err := a.specialUses()
	if err = a.passOver(specialUseFile, err); err != nil {
		return nil, err
	}
	return sorted(merge(names, subscribed, uses, string(a.store.sep))), nil
}

// passOver drops, and logs, an error that concerns one small file only: a
// listing without it is better than none. Who would change it gets the error.
func (a *account) passOver(file string, err error) error {
	if odd(err) {
		a.store.sayOnce(filepath.Join(a.home, file), "a small file that cannot be read", err)
		return nil
	}
	return storeError(err)
}

// merge makes one entry of each name and of the parents that are missing.
func merge(names, subscribed []string, uses specialUse, sep string) []Folder {
	all := map[string]*Folder{}
	add := func(name string) *Folder {
		f := all[name]
		if f == nil {
			f = &Folder{Name: name, NoSelect: true}
			all[name] = f
		}
		return f
	}
	for _, name := range names {
		add(name).NoSelect = false
	}
	for _, name := range subscribed {
		add(name).Subscribed = true
	}
	for _, name := range append(names, subscribed...) {
		for i := strings.LastIndex(name, sep); i > 0; i = strings.LastIndex(name[:i], sep) {
			parent := add(name[:i])
			// A subscription alone makes no child.
			parent.HasChildren = parent.HasChildren || !all[name].NoSelect
		}
	}
	out := make([]Folder, 0, len(all))
	useOf := uses.of()
	for _, f := range all {
		f.SpecialUse = useOf(f.Name)
		if f.NoSelect {
			f.SpecialUse = ""
		}
		out = append(out, *f)
	}
	return out
}

// sorted sorts by name, INBOX first.
func sorted(folders []Folder) []Folder {
	slices.SortFunc(folders, func(a, b Folder) int {
		if (a.Name == maildir.Inbox) != (b.Name == maildir.Inbox) {
			if a.Name == maildir.Inbox {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Name, b.Name)
	})
	return folders
}

// names lists the mailboxes that exist; a.mu is held.
func (a *account) names() ([]string, error) {
	entries, err := a.store.fs.ReadDir(a.home)
	if err != nil {
		return nil, err
	}
	names := []string{maildir.Inbox}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") || !e.IsDir() && e.Type()&fs.ModeSymlink == 0 {
			continue
		}
		name, ok := maildir.FolderName(e.Name(), a.store.sep)
		if !ok {
			continue
		}
		path := filepath.Join(a.home, e.Name())
		there, err := a.store.isMaildir(path)
		if odd(err) {
			a.store.sayOnce(path, "a folder that cannot be looked into", err)
			continue
		}
		if err != nil {
			return nil, err
		}
		if there {
			names = append(names, name)
		}
	}
	return names, nil
}

// newDir is folderDir of a mailbox that may have to be made.
func (a *account) newDir(name string) (string, error) {
	dir, err := a.folderDir(name)
	if err != nil {
		return "", err
	}
	if there, err := a.hasFolder(dir); there && err == nil {
		return dir, nil // ErrExists is what the caller says
	}
	if _, err := maildir.NewFolderDir(name, a.store.sep); err != nil {
		return "", fmt.Errorf("%w: %q", ErrInvalidName, name)
	}
	return dir, a.store.checkDir(dir)
}

func (a *account) folderDir(name string) (string, error) {
	dir, err := maildir.FolderDir(name, a.store.sep)
	if err != nil {
		return "", fmt.Errorf("%w: %q", ErrInvalidName, name)
	}
	return dir, nil
}

// Create makes a mailbox, and its parents. specialUse may be "".
func (u *User) Create(ctx context.Context, name string, specialUse imap.MailboxAttr) error {
	a := u.acct
	name = u.canonical(name)
	dir, err := a.newDir(name)
	if err != nil {
		return err
	}
	if err := a.lock(); err != nil {
		return err
	}
	defer a.mu.Unlock()
	if err := a.free(dir); err != nil {
		return err
	}
	if err := a.makeParents(name, 1); err != nil {
		return storeError(err)
	}
	if err := a.makeFolderSynced(dir); err != nil {
		return storeError(err)
	}
	if specialUse != "" {
		return storeError(a.setSpecialUse(name, specialUse))
	}
	return nil
}

// free is ErrExists if there is a mailbox, or a default one that is not made
// yet.
func (a *account) free(dir string) error {
	there, err := a.hasFolder(dir)
	if err == nil && !there {
		there, err = a.isPending(dir)
	}
	if err != nil {
		return storeError(err)
	}
	if there {
		return ErrExists
	}
	return nil
}

func (a *account) hasFolder(dir string) (bool, error) {
	if dir == "" {
		return true, nil
	}
	return a.store.isMaildir(filepath.Join(a.home, dir))
}
