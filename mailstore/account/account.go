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
	Records *recovery.AccountJournal
	// Quota has its own lock, and so has Trail.
	Quota Quota
	Trail Trail

	home  string
	o     Options
	mu    lockorder.Mutex[volume.FoldersLock]
	ready bool
	// validity guards dovecot-uidvalidity.
	validity lockorder.Mutex[volume.ValidityLock]
	// disk and validityDisk keep other processes away, each inside the lock in
	// memory.
	disk         *volume.AccountLock[volume.FoldersDiskLock]
	validityDisk *volume.AccountLock[volume.ValidityDiskLock]
}

// Options are what an account is made of.
type Options struct {
	Volume  *volume.Volume
	Records *recovery.AccountJournal
	// Sum looks into the mailboxes of these names, for what other programs did, and
	// adds up what they hold. One that is not there holds nothing.
	Sum func(ctx context.Context, names []string) (Usage, error)
	// Retain keeps the account in memory, or, with -1, lets go of it.
	Retain func(n int)
}

// New makes an account. It touches no file: see Ensure.
func New(o Options) *Account {
	a := &Account{vol: o.Volume, Records: o.Records, home: filepath.Join(o.Volume.Root, o.Records.Home()), o: o}
	a.Quota.acct = a
	home := o.Records.Home()
	a.disk = volume.NewAccountLock[volume.FoldersDiskLock](volume.AccountLockOptions{Volume: o.Volume, Home: home, What: "folders"})
	a.validityDisk = volume.NewAccountLock[volume.ValidityDiskLock](volume.AccountLockOptions{Volume: o.Volume, Home: home, What: "validity"})
	return a
}

// Home is its folder.
func (a *Account) Home() string { return a.home }

// Canonical is a name as it is compared: INBOX in any case is INBOX.
func (a *Account) Canonical(name string) string { return maildir.Canonical(name, a.vol.Separator) }

// Unlock gives back what Lock took.
func (a *Account) Unlock() {
	a.disk.Unlock()
	a.mu.Unlock()
}

// Lock is for a change or a listing of the folders and their small files: no other
// session changes them meanwhile, in this process or in another one. It is
// volume.ErrNotFound, without the lock, when the account is gone, and volume.ErrBusy when
// another process keeps the lock for store.lock_timeout.
func (a *Account) Lock() error {
	err := a.lock()
	if err != nil || !a.ready {
		return err
	}
	if there, err := volume.Exists(a.vol.FS, a.home); there || err != nil {
		return a.orUnlock(err)
	}
	if err := a.vol.Present(); err != nil {
		return a.orUnlock(err)
	}
	return a.orUnlock(volume.ErrNotFound) // another process has removed it
}

// orUnlock gives the lock back when there is an error.
func (a *Account) orUnlock(err error) error {
	if err != nil {
		a.Unlock()
	}
	return err
}

// lock is Lock of an account that may have to be made.
func (a *Account) lock() error {
	a.mu.Lock()
	err := volume.ErrNotFound
	if !a.Records.Removed() {
		// Its limit is store.lock_timeout: nobody holds it over more than a rename, or
		// a checkpoint.
		err = a.disk.Lock(context.Background())
	}
	if err != nil {
		a.mu.Unlock()
	}
	return err
}

// Ensure makes the Maildir; the default folders of a new account wait until
// somebody needs them.
func (a *Account) Ensure() error {
	if a.Ready() {
		return nil
	}
	if err := a.lock(); err != nil {
		return err
	}
	defer a.Unlock()
	if a.ready {
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
		err = a.vol.MakeMissing(a.home)
	} else {
		err = a.makeHome()
	}
	a.ready = err == nil
	return err
}

// Ready says that Ensure has been here, and that this process has not removed the account
// since.
func (a *Account) Ready() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ready && !a.Records.Removed()
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
	a.vol.Points.Changed()
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
	a.vol.Points.Changed()
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
	if err := a.Lock(); err != nil {
		return err
	}
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
