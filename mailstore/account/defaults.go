package account

import (
	"path/filepath"
	"slices"
	"strings"

	"toastmaster/mailstore/maildir"
	"toastmaster/mailstore/volume"
)

// Default folders are mailboxes that an account has without having them on the
// disk: a listing shows them, and the first that opens, fills or renames one
// makes it. So an account that is only delivered to has INBOX and no more.
//
// defaultsFile, which a new account gets, says which it has; DELETE and RENAME
// take them out, so that one that was deleted does not come back. An account
// without it, made by an older version or by Dovecot, has the folders that it has.

// defaultsFile has a default folder a line, in modified UTF-7.
const defaultsFile = "toastmaster.default-folders"

// defaults are the names of the default folders, on the disk or not; a.mu is
// held.
func (a *Account) defaults() ([]string, error) {
	data, err := volume.ReadFile(a.vol.FS, filepath.Join(a.home, defaultsFile))
	if err = a.passOver(defaultsFile, err); err != nil {
		return nil, err
	}
	var names []string
	for line := range strings.Lines(string(data)) {
		name, ok := maildir.FolderName("."+strings.TrimSuffix(line, "\n"), a.vol.Separator)
		if ok {
			names = append(names, name)
		}
	}
	return names, nil
}

// configured are the default folders that can be.
func (a *Account) configured() []string {
	var names []string
	for _, name := range a.vol.Config.DefaultFolders {
		if dir, err := maildir.FolderDir(name, a.vol.Separator); err == nil && dir != "" {
			names = append(names, maildir.Canonical(name, a.vol.Separator))
		}
	}
	return names
}

func (a *Account) writeDefaults(names []string) error {
	var b strings.Builder
	for _, name := range names {
		dir, err := maildir.FolderDir(name, a.vol.Separator)
		if err != nil || dir == "" {
			continue
		}
		b.WriteString(dir[1:] + "\n")
	}
	defer a.vol.Points.Changed()
	return a.writeFile(defaultsFile, []byte(b.String()))
}

// ForgetDefaults notes that name, and those below it if below is set, are no
// default folders of the account any more.
func (a *Account) ForgetDefaults(name string, below bool) error {
	names, err := a.defaults()
	if err != nil {
		return err
	}
	sep := string(a.vol.Separator)
	kept := slices.DeleteFunc(slices.Clone(names), func(n string) bool {
		return n == name || below && strings.HasPrefix(n, name+sep)
	})
	if len(kept) == len(names) {
		return nil
	}
	// The subscriptions stay, and are no longer known from the default folders.
	subscribed, err := a.subscriptions()
	if err == nil {
		err = a.writeSubscriptions(subscribed)
	}
	if err != nil {
		return err
	}
	return a.writeDefaults(kept)
}

// IsPending says that dir is a default folder that is not on the disk.
func (a *Account) IsPending(dir string) (bool, error) {
	names, err := a.defaults()
	if err != nil {
		return false, err
	}
	for _, name := range names {
		if d, err := maildir.FolderDir(name, a.vol.Separator); err == nil && d == dir {
			there, err := a.HasFolder(dir)
			return !there && err == nil, err
		}
	}
	return false, nil
}

// MakePending makes a default folder that is not on the disk. there is false
// when dir is none, nor a folder that somebody else has made since the caller
// looked for it.
func (a *Account) MakePending(dir string) (there bool, err error) {
	if err := a.Lock(); err != nil {
		return false, err
	}
	defer a.Unlock()
	if there, err = a.MakePendingLocked(dir); there || err != nil {
		return there, err
	}
	return a.HasFolder(dir)
}

func (a *Account) MakePendingLocked(dir string) (made bool, err error) {
	if made, err = a.IsPending(dir); !made || err != nil {
		return false, err
	}
	return true, a.makeFolderSynced(dir)
}
