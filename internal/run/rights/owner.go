package rights

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"toastmaster/configs"
	"toastmaster/internal/hostuser"
	"toastmaster/internal/run/usage"
)

// OwnerOf is the user, not root, that the instance belongs to where main.user
// says nothing: who has its data folder or its queue. "" is root or nobody.
func OwnerOf(c *configs.Config) (owner, path string) {
	for _, path := range []string{c.Dir(), c.Path(configs.QueueDir)} {
		info, err := os.Stat(path)
		if err != nil {
			continue // whoever needs it says that it is missing
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok || st.Uid == 0 {
			continue
		}
		if u, err := hostuser.FindID(int(st.Uid)); err == nil {
			return u.Name, path
		}
		return fmt.Sprintf("%d:%d", st.Uid, st.Gid), path
	}
	return "", ""
}

// NotRootsOwn refuses root where the instance is another user's and main.user
// does not say so: one file of root's in the store, and that user's service does
// not start any more.
func NotRootsOwn(c *configs.Config) error {
	if os.Geteuid() != 0 || c.Main.User != "" {
		return nil
	}
	owner, path := OwnerOf(c)
	if owner == "" {
		return nil
	}
	return c.Mistake("main.user", fmt.Errorf("started by root, and %s is of the user %s, who could not use what root makes there: "+
		"start it as that user (`systemctl start toastmaster`, or `runuser -u %[2]s -- toastmaster serve -c %[3]s`), "+
		"or let root's serve become that user with `toastmaster config set main.user %[2]s`", path, owner, c.File))
}

// WithOwner says what mends a file of the instance that this user may not use.
func WithOwner(c *configs.Config, err error) error {
	var denied *fs.PathError
	if !errors.Is(err, fs.ErrPermission) || !errors.As(err, &denied) {
		return err
	}
	top := denied.Path
	for _, dir := range []string{c.Path(c.Store.Path), c.Dir()} {
		if rel, err := filepath.Rel(dir, denied.Path); err == nil && filepath.IsLocal(rel) {
			top = dir
			break
		}
	}
	name := strconv.Itoa(os.Geteuid())
	if u, err := hostuser.FindID(os.Geteuid()); err == nil {
		name = u.Name
	}
	if len(c.Master.RoleUsers) > 0 {
		return fmt.Errorf("%w; this process runs as %s: stop what runs, and `toastmaster -c %s master set-permissions`, as root, gives each role its files", err, name, c.File)
	}
	return fmt.Errorf("%w; this process runs as %s: `chown -R %s: %s` gives it its files", err, name, name, top)
}

// AsOwner runs f with the rights of the user that the instance belongs to, if
// root runs this process, and gives the process its rights back: what f makes is
// that user's. Where the roles have users of their own it stays root, and what f makes with QueueFS and
// StoreFS is whose its folder is.
func AsOwner(c *configs.Config, f func() error) (err error) {
	if len(c.Master.RoleUsers) > 0 {
		return f()
	}
	name := c.Main.User
	if name == "" {
		name, _ = OwnerOf(c)
	}
	if name == "" || os.Geteuid() != 0 {
		return f()
	}
	who, err := lookup(name)
	if err != nil {
		return c.Mistake("main.user", err)
	}
	groups, err := syscall.Getgroups()
	if err != nil {
		return err
	}
	// Root may change its effective ids and come back to the real ones.
	const same = -1
	defer func() {
		err = errors.Join(err, syscall.Setresuid(same, syscall.Getuid(), same), syscall.Setresgid(same, syscall.Getgid(), same), syscall.Setgroups(groups))
	}()
	if err := errors.Join(syscall.Setgroups(who.groups), syscall.Setresgid(same, who.gid, same), syscall.Setresuid(same, who.uid, same)); err != nil {
		return fmt.Errorf("going on as %s: %w", who.Name, err)
	}
	return f()
}

// BecomeOwner makes what follows the user's: init makes the files of a server
// that gives up root. dir, which may be "", is given to the user first.
func BecomeOwner(name, dir string) error {
	if name == "" || os.Geteuid() != 0 {
		return nil
	}
	who, err := lookup(name)
	if err != nil {
		return usage.Errorf("main.user: %w", err)
	}
	if dir != "" {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		if len(entries) == 0 {
			if err := os.Chown(dir, who.uid, who.gid); err != nil {
				return err
			}
		}
	}
	return who.Become()
}
