package maildrop

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"toastmaster/internal/vfs"
)

// Names below the folder.
const (
	Socket = "pickup"
	Drop   = "drop"
	Taken  = "taken"
	Bad    = "bad"
)

// SocketIn is the socket in a folder.
func SocketIn(dir string) string { return filepath.Join(dir, Socket) }

// dropMode lets everybody put files into it: sticky, setgid, and not to be listed.
const dropMode = 0o3733

// nameLength is how long a name is without its first letter.
const nameLength = 32

// Make makes the folder for a user and group, or sets right the modes of one that is there. It must belong to the
// user of this process; root gives it to the user.
func Make(dir string, uid, gid int) error {
	for _, f := range []struct {
		path string
		mode uint32
	}{{dir, 0o755}, {filepath.Join(dir, Drop), dropMode}, {filepath.Join(dir, Taken), 0o700}, {filepath.Join(dir, Bad), 0o700}} {
		if err := makeOne(f.path, f.mode, uid, gid); err != nil {
			return err
		}
	}
	return nil
}

func makeOne(path string, mode uint32, uid, gid int) error {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	// By a descriptor: nothing may come into its place between the look and the change.
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	if int(st.Uid) != uid && os.Geteuid() != 0 {
		return fmt.Errorf("%s belongs to user %d, not to the user that serves, %d: chown it, or name another folder (pickup.directory)", path, st.Uid, uid)
	}
	owned := int(st.Uid) == uid && (mode != dropMode || int(st.Gid) == gid)
	if owned && st.Mode&0o7777 == mode {
		return nil
	}
	if !owned {
		if err := unix.Fchown(fd, uid, gid); err != nil {
			return &fs.PathError{Op: "chown", Path: path, Err: err}
		}
	}
	if err := unix.Fchmod(fd, mode); err != nil {
		return &fs.PathError{Op: "chmod", Path: path, Err: err}
	}
	return nil
}

// IsName says that a name in drop is that of a message, or with half of one that is being
// written, or was when its writer died.
func IsName(name string) (message, half bool) {
	if len(name) != nameLength+1 {
		return false, false
	}
	for _, c := range []byte(name[1:]) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false, false
		}
	}
	return name[0] == 'm', name[0] == 't'
}

// Put writes a message into the folder. When it returns nil the message is on disk, and the
// service takes it when it comes up. After an error there is nothing.
func Put(fsys vfs.FS, dir string, m *Message, content []byte) (err error) {
	var random [nameLength / 2]byte
	if _, err := rand.Read(random[:]); err != nil {
		return err
	}
	copied := *m
	copied.Name = hex.EncodeToString(random[:])
	half, whole := filepath.Join(dir, Drop, "t"+copied.Name), filepath.Join(dir, Drop, "m"+copied.Name)
	f, err := fsys.OpenFile(half, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o640)
	if err != nil {
		return err
	}
	defer f.Close()
	// The umask may have taken the group its right, and the group is the service.
	if err = f.Chmod(0o640); err == nil {
		if err = Write(f, &copied, content); err == nil {
			err = f.Sync()
		}
	}
	if err == nil {
		err = fsys.Rename(half, whole)
	}
	if err != nil {
		_ = fsys.Remove(half)
		return err
	}
	// The folder cannot be opened for a sync of its own: its users may not read it.
	if err := f.SyncFS(); err != nil {
		if gone := fsys.Remove(whole); errors.Is(gone, fs.ErrNotExist) {
			return nil // the service has it already
		}
		return err
	}
	return nil
}
