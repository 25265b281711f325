package account

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"toastmaster/mailstore/volume"
)

const uidValidityFile = "dovecot-uidvalidity"

// NextUIDValidity is the time, or more if that was used in this account. The
// file is Dovecot's: the number in hex, and an empty file with it in its name.
func (a *Account) NextUIDValidity() (uint32, error) {
	a.validity.Lock()
	defer a.validity.Unlock()
	// It is asked for with a mailbox locked, so the limit is store.lock_timeout alone.
	if err := a.validityDisk.Lock(context.Background()); err != nil {
		return 0, err
	}
	defer a.validityDisk.Unlock()
	fsys := a.vol.FS
	name := filepath.Join(a.home, uidValidityFile)
	data, err := volume.ReadFile(fsys, name)
	if volume.Odd(err) {
		// It only remembers what the clock tells as well.
		a.vol.SayOnce(name, "a small file that cannot be read", err)
		return max(uint32(a.vol.Clock.Now().Unix()), 1), nil
	}
	if err != nil {
		return 0, err
	}
	old := strings.TrimSpace(string(data))
	last, _ := strconv.ParseUint(old, 16, 32)
	if len(data) == 0 {
		// The first one, maybe of an account that was removed a moment ago.
		_, before, err := a.vol.Removed(a.Records.Home())
		if err = a.passOver(uidValidityFile, err); err != nil {
			return 0, err
		}
		last, _ = strconv.ParseUint(before, 16, 32)
	}
	next := max(uint32(a.vol.Clock.Now().Unix()), uint32(last)+1, 1)
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

// NoteRemoved has all processes know that the account is about to be removed. The lock is
// held.
func (a *Account) NoteRemoved() error {
	data, err := volume.ReadFile(a.vol.FS, filepath.Join(a.home, uidValidityFile))
	if err = a.passOver(uidValidityFile, err); err != nil {
		return err
	}
	return volume.Err(a.vol.NoteRemoved(a.Records.Home(), strings.TrimSpace(string(data))))
}

// writeFile replaces a small file below home.
func (a *Account) writeFile(name string, data []byte) error {
	return a.vol.ReplaceFile(a.home, name, data)
}
