package account

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"toastmaster/internal/lockorder"
	"toastmaster/mailstore/maildir"
	"toastmaster/mailstore/recovery"
	"toastmaster/mailstore/volume"
)

// Account is the room of one account: its folders by name, and its small files. It
// opens no mailbox. Lock is held by who makes, lists or removes folders.
type Account struct {
	vol *volume.Volume
	// Records is the account in the journal, and says whether it was removed.
	Records *recovery.Account
	// Quota has its own lock, and so has Trail.
	Quota Quota
	Trail Trail

	home  string
	o     Options
	mu    lockorder.Mutex[volume.FoldersLock]
	ready bool
	// validity guards dovecot-uidvalidity.
	validity lockorder.Mutex[volume.ValidityLock]
}

// Options are what an account is made of.
type Options struct {
	Volume  *volume.Volume
	Records *recovery.Account
	// Sum looks into the mailboxes of these names, for what other programs did, and
	// adds up what they hold. One that is not there holds nothing.
	Sum func(ctx context.Context, names []string) (Usage, error)
	// Hold keeps the account in memory, or, with -1, lets go of it.
	Hold func(n int)
}

// New makes an account. It touches no file: see Ensure.
func New(o Options) *Account {
	a := &Account{vol: o.Volume, Records: o.Records, home: filepath.Join(o.Volume.Root, o.Records.Home()), o: o}
	a.Quota.acct = a
	return a
}

// Home is its folder.
func (a *Account) Home() string { return a.home }

// Canonical is a name as it is compared: INBOX in any case is INBOX.
func (a *Account) Canonical(name string) string { return maildir.Canonical(name, a.vol.Separator) }

// Unlock gives back what Lock took.
func (a *Account) Unlock() { a.mu.Unlock() }

// Lock takes mu for a change or a listing of the folders; volume.ErrNotFound, without
// the lock, when the account is gone.
func (a *Account) Lock() error {
	a.mu.Lock()
	if a.Records.Removed() {
		a.mu.Unlock()
		return volume.ErrNotFound
	}
	return nil
}

// Ensure makes the Maildir; the default folders of a new account wait until
// somebody needs them.
func (a *Account) Ensure() error {
	a.mu.Lock()
	defer a.Unlock()
	switch {
	case a.Records.Removed():
		return volume.ErrNotFound // removed between acquire and here
	case a.ready:
		return nil
	}
	if err := a.vol.RealHome(a.home); err != nil {
		return err
	}
	there, err := a.vol.IsMaildir(a.home)
	if err != nil {
		return err
	}
	if there {
		err = a.vol.Complete(a.home)
	} else {
		err = a.makeHome()
	}
	a.ready = err == nil
	return err
}

// makeRoot makes home itself, and the folders above it.
func (a *Account) makeRoot() error {
	a.vol.Parents.Lock()
	defer a.vol.Parents.Unlock()
	if err := a.vol.Present(); err != nil {
		return err
	}
	return a.vol.FS.MkdirAll(a.home, 0o700)
}

// makeHome makes cur last: it is what says that the Maildir is complete.
func (a *Account) makeHome() error {
	if err := a.makeRoot(); err != nil {
		return err
	}
	for _, d := range []string{"tmp", "new"} {
		if err := a.vol.FS.MkdirAll(filepath.Join(a.home, d), 0o700); err != nil {
			return err
		}
	}
	if names := a.configured(); len(names) > 0 {
		if err := a.writeDefaults(names); err != nil {
			return err
		}
	}
	if err := a.vol.FS.MkdirAll(filepath.Join(a.home, "cur"), 0o700); err != nil {
		return err
	}
	a.vol.Points.Note()
	return nil
}

// makeFolder makes the Maildir of a mailbox; an existing one is completed.
func (a *Account) makeFolder(dir string) error {
	if err := a.vol.Present(); err != nil {
		return err
	}
	path := filepath.Join(a.home, dir)
	for _, d := range []string{"tmp", "new", "cur"} {
		if err := a.vol.FS.MkdirAll(filepath.Join(path, d), 0o700); err != nil {
			return err
		}
	}
	f, err := a.vol.FS.OpenFile(filepath.Join(path, "maildirfolder"), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	a.vol.Points.Note()
	return nil
}

// makeFolderSynced is makeFolder for a mailbox that is answered for: what comes into
// it at once may be durable before the next checkpoint.
func (a *Account) makeFolderSynced(dir string) error {
	if err := a.makeFolder(dir); err != nil {
		return err
	}
	fs := a.vol.FS
	return errors.Join(fs.SyncDir(filepath.Join(a.home, dir)), fs.SyncDir(a.home))
}

// EnsureFolder makes a folder that was made shortly before a power loss.
func (a *Account) EnsureFolder(dir string) error {
	a.mu.Lock()
	defer a.Unlock()
	there, err := a.HasFolder(dir)
	if err != nil || there {
		return err
	}
	return a.makeFolder(dir)
}

// MoveAside renames a folder to where nobody finds it: one step, so that no
// crash leaves half a mailbox.
func (a *Account) MoveAside(path string) (string, error) {
	_, unique := a.vol.UniqueName()
	aside := filepath.Join(a.vol.Root, volume.Private, "spool", "deleted-"+unique)
	return aside, a.vol.FS.Rename(path, aside)
}

// Dirs are the folders of all mailboxes.
func (a *Account) Dirs() (dirs []string, err error) {
	names, err := a.Names()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		dir, err := a.FolderDir(name)
		if err != nil {
			return nil, err
		}
		dirs = append(dirs, dir)
	}
	return dirs, nil
}
