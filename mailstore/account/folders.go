package account

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
	"toastmaster/mailstore/volume"
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
func (a *Account) List(ctx context.Context) ([]Folder, error) {
	if err := a.Lock(); err != nil {
		return nil, err
	}
	defer a.Unlock()
	names, err := a.Names()
	if err != nil {
		return nil, volume.Err(err)
	}
	defaults, err := a.defaults()
	if err != nil {
		return nil, volume.Err(err)
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
	return sorted(merge(names, subscribed, uses, string(a.vol.Separator))), nil
}

// passOver drops, and logs, an error that concerns one small file only: a
// listing without it is better than none. Who would change it gets the error.
func (a *Account) passOver(file string, err error) error {
	if volume.Odd(err) {
		a.vol.SayOnce(filepath.Join(a.home, file), "a small file that cannot be read", err)
		return nil
	}
	return volume.Err(err)
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

// Names lists the mailboxes that exist; a.mu is held.
func (a *Account) Names() ([]string, error) {
	entries, err := a.vol.FS.ReadDir(a.home)
	if err != nil {
		return nil, err
	}
	names := []string{maildir.Inbox}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") || !e.IsDir() && e.Type()&fs.ModeSymlink == 0 {
			continue
		}
		name, ok := maildir.FolderName(e.Name(), a.vol.Separator)
		if !ok {
			continue
		}
		path := filepath.Join(a.home, e.Name())
		there, err := a.vol.IsMaildir(path)
		if volume.Odd(err) {
			a.vol.SayOnce(path, "a folder that cannot be looked into", err)
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

// NewDir is folderDir of a mailbox that may have to be made.
func (a *Account) NewDir(name string) (string, error) {
	dir, err := a.FolderDir(name)
	if err != nil {
		return "", err
	}
	if there, err := a.HasFolder(dir); there && err == nil {
		return dir, nil // volume.ErrExists is what the caller says
	}
	if _, err := maildir.NewFolderDir(name, a.vol.Separator); err != nil {
		return "", fmt.Errorf("%w: %q", volume.ErrInvalidName, name)
	}
	return dir, a.CheckDir(dir)
}

func (a *Account) FolderDir(name string) (string, error) {
	dir, err := maildir.FolderDir(name, a.vol.Separator)
	if err != nil {
		return "", fmt.Errorf("%w: %q", volume.ErrInvalidName, name)
	}
	return dir, nil
}

// Create makes a mailbox, and its parents. specialUse may be "".
func (a *Account) Create(ctx context.Context, name string, specialUse imap.MailboxAttr) error {
	name = a.Canonical(name)
	dir, err := a.NewDir(name)
	if err != nil {
		return err
	}
	if err := a.Lock(); err != nil {
		return err
	}
	defer a.Unlock()
	if err := a.Free(dir); err != nil {
		return err
	}
	if specialUse == "" {
		// One of that name may have been deleted by a process that ended before it
		// forgot the use.
		if err := a.SetSpecialUse(name, ""); err != nil {
			return volume.Err(err)
		}
	}
	if err := a.MakeParents(name, 1); err != nil {
		return volume.Err(err)
	}
	if err := a.makeFolderSynced(dir); err != nil {
		return volume.Err(err)
	}
	if specialUse != "" {
		return volume.Err(a.SetSpecialUse(name, specialUse))
	}
	return nil
}

// Free is volume.ErrExists if there is a mailbox, or a default one that is not made
// yet.
func (a *Account) Free(dir string) error {
	there, err := a.HasFolder(dir)
	if err == nil && !there {
		there, err = a.IsPending(dir)
	}
	if err != nil {
		return volume.Err(err)
	}
	if there {
		return volume.ErrExists
	}
	return nil
}

func (a *Account) HasFolder(dir string) (bool, error) {
	if dir == "" {
		return true, nil
	}
	return a.vol.IsMaildir(filepath.Join(a.home, dir))
}

// roomForFolders says whether the account may have more folders, and default
// folders that are not made yet. It reads one directory and looks into none.
// a.mu is held.
func (a *Account) roomForFolders(more int) error {
	entries, err := a.vol.FS.ReadDir(a.home)
	if err != nil {
		return err
	}
	n := more
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") && e.IsDir() {
			n++
		}
	}
	if n > a.vol.Config.MaxFolders {
		return volume.ErrTooManyFolders
	}
	return nil
}

// CheckDir says whether a new folder's name is within the limits.
func (a *Account) CheckDir(dir string) error {
	if strings.Count(dir, ".") > a.vol.Config.MaxFolderDepth || len(dir) > a.vol.Config.MaxFolderName {
		return volume.ErrFolderName
	}
	return nil
}

// missingParents are the folders above name that are not there, the outermost
// first; a.mu is held.
func (a *Account) missingParents(name string) (dirs []string, err error) {
	sep := string(a.vol.Separator)
	for i := range len(name) {
		if !strings.HasPrefix(name[i:], sep) {
			continue
		}
		dir, err := a.FolderDir(name[:i])
		if err != nil {
			return nil, err
		}
		there, err := a.HasFolder(dir)
		if err != nil {
			return nil, err
		}
		if !there {
			dirs = append(dirs, dir)
		}
	}
	return dirs, nil
}

// MakeParents makes the folders above name that are missing, if the account may
// have so many more, and others beside them; a.mu is held.
func (a *Account) MakeParents(name string, others int) error {
	missing, err := a.missingParents(name)
	if err != nil {
		return err
	}
	if more := len(missing) + others; more > 0 {
		if err := a.roomForFolders(more); err != nil {
			return err
		}
	}
	for _, dir := range missing {
		if err := a.makeFolder(dir); err != nil {
			return err
		}
	}
	return nil
}
