package rights

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"syscall"

	"toastmaster/configs"
	"toastmaster/internal/hostuser"
	"toastmaster/internal/vfs"

	"golang.org/x/sys/unix"
)

// User is a user of this machine with the rights that a process of it has.
type User struct {
	Name     string
	uid, gid int
	groups   []int
}

// RunAs is who the server runs as when root starts it; nil leaves it as it is.
// Started by somebody else it must be that user already.
func RunAs(c *configs.Config) (*User, error) {
	if c.Main.User == "" {
		return nil, nil
	}
	who, err := lookup(c.Main.User)
	if err != nil {
		return nil, c.Mistake("main.user", err)
	}
	switch os.Geteuid() {
	case 0:
		return who, nil
	case who.uid:
		return nil, nil
	}
	if InRole(c) {
		return nil, nil
	}
	return nil, c.Mistake("main.user", fmt.Errorf("started by the user %d, who is neither root nor %s", os.Geteuid(), who.Name))
}

// lookup reads "user", "user:group", or numbers for either, which need no
// entry in /etc/passwd: a container may have none.
func lookup(text string) (*User, error) {
	u, err := hostuser.Parse(text)
	if err != nil {
		return nil, err
	}
	if u.UID == 0 {
		return nil, fmt.Errorf("%q is root: the server shall have less rights", u.Name)
	}
	// The groups of the entry, and the one that is given.
	entry := u
	if own, err := hostuser.FindID(u.UID); err == nil && own.Name == u.Name {
		entry = own
	}
	groups, err := entry.Groups()
	if err != nil {
		return nil, err
	}
	if !slices.Contains(groups, u.GID) {
		groups = append(groups, u.GID)
	}
	return &User{Name: u.Name, uid: u.UID, gid: u.GID, groups: groups}, nil
}

// Become gives up root for good, in every thread of the process.
func (w *User) Become() error {
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"setgroups", func() error { return syscall.Setgroups(w.groups) }},
		{"setresgid", func() error { return syscall.Setresgid(w.gid, w.gid, w.gid) }},
		{"setresuid", func() error { return syscall.Setresuid(w.uid, w.uid, w.uid) }},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("main.user: %s to %s: %w", step.what, w.Name, err)
		}
	}
	if os.Geteuid() != w.uid || syscall.Setuid(0) == nil {
		return fmt.Errorf("main.user: the rights of root are still there")
	}
	return nil
}

// May says whether the user may do what access(2) is asked about, by the mode of
// the file alone: root, who asks, may everything.
func (w *User) May(path string, mode uint32) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	bits := uint32(info.Mode().Perm())
	switch {
	case int(st.Uid) == w.uid:
		bits >>= 6
	case slices.Contains(w.groups, int(st.Gid)):
		bits >>= 3
	}
	if bits&mode != mode {
		return &fs.PathError{Op: "access by " + w.Name, Path: path, Err: fs.ErrPermission}
	}
	return nil
}

// Access is access(2) for the user of this process, with the path in its error.
func Access(path string, mode uint32) error {
	if err := unix.Access(path, mode); err != nil {
		return &fs.PathError{Op: "access", Path: path, Err: err}
	}
	return nil
}

// EffectiveAccess is Access for the user as whom this process works just now, see
// AsOwner.
func EffectiveAccess(path string, mode uint32) error {
	if err := unix.Faccessat(unix.AT_FDCWD, path, mode, unix.AT_EACCESS); err != nil {
		return &fs.PathError{Op: "access", Path: path, Err: err}
	}
	return nil
}

// WritableFolder wants a folder in which a file can be made.
func WritableFolder(dir string) error { return Access(dir, unix.W_OK|unix.X_OK) }

// Give makes a socket of this process the user's, and the group gid's; a group of -1 is the user's, unless the socket is another group's than
// this process's already. A mode that is not 0 is set, too.
func (w *User) Give(path string, gid int, mode fs.FileMode) error {
	return vfs.Give(path, func(info fs.FileInfo) (int, int, fs.FileMode, error) {
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok || info.Mode().Type() != fs.ModeSocket {
			return 0, 0, 0, errors.New("this is not the socket that was made here")
		}
		group := gid
		if group < 0 && int(st.Gid) == os.Getegid() {
			group = w.gid
		}
		if mode == 0 {
			mode = info.Mode().Perm()
		}
		return w.uid, group, mode, nil
	})
}
