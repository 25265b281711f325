package account

import (
	"cmp"
	"context"
	"path/filepath"
	"slices"

	"toastmaster/mailstore/maildir"
	"toastmaster/mailstore/volume"
)

const (
	subscriptionsFile = "subscriptions"
	// specialUseFile has a line "attribute TAB name in modified UTF-7" for
	// each mailbox whose use was set at CREATE; "-" takes a default away.
	specialUseFile = "toastmaster.special-use"
)

// Subscribe and unsubscribe; the mailbox need not exist to unsubscribe.
func (a *Account) Subscribe(ctx context.Context, name string, on bool) error {
	name = a.Canonical(name)
	dir, err := a.FolderDir(name)
	if err != nil {
		return err
	}
	if err := a.Lock(); err != nil {
		return err
	}
	defer a.Unlock()
	if on {
		there, err := a.HasFolder(dir)
		if err != nil {
			return volume.Err(err)
		}
		if !there {
			there, err = a.IsPending(dir)
		}
		if err != nil || !there {
			return cmp.Or(volume.Err(err), volume.ErrNotFound)
		}
	}
	return a.subscribe(name, on)
}

// SubscribeElsewhere is for a mailbox of another account, which the caller has found.
func (a *Account) SubscribeElsewhere(ctx context.Context, name string) error {
	if _, err := a.FolderDir(name); err != nil {
		return err // the file has no way to write it
	}
	if err := a.Lock(); err != nil {
		return err
	}
	defer a.Unlock()
	return a.subscribe(name, true)
}

// subscribe changes the file; a.mu is held.
func (a *Account) subscribe(name string, on bool) error {
	names, err := a.subscriptions()
	if err != nil {
		return volume.Err(err)
	}
	if slices.Contains(names, name) == on {
		return nil
	}
	if on {
		if len(names) >= a.vol.Config.MaxSubscriptions {
			return volume.ErrTooManySubscriptions
		}
		names = append(names, name)
	} else {
		names = slices.DeleteFunc(names, func(n string) bool { return n == name })
	}
	return volume.Err(a.writeSubscriptions(names))
}

// subscriptions are the names in the file; without one, those of the default
// folders.
func (a *Account) subscriptions() ([]string, error) {
	data, err := volume.ReadFile(a.vol.FS, filepath.Join(a.home, subscriptionsFile))
	if err != nil {
		return nil, err
	}
	if data == nil {
		return a.defaults()
	}
	return maildir.ParseSubscriptions(data, a.vol.Separator), nil
}

func (a *Account) writeSubscriptions(names []string) error {
	defer a.vol.Points.Changed()
	return a.writeFile(subscriptionsFile, maildir.AppendSubscriptions(nil, names, a.vol.Separator))
}
