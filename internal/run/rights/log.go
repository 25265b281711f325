package rights

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"toastmaster/configs"
)

// KeepLog makes, as root, the log file one that all roles may write.
func KeepLog(c *configs.Config) error {
	roles, err := RolesOf(c)
	if roles == nil || err != nil || c.Log.File == "stderr" || os.Geteuid() != 0 {
		return err
	}
	f, err := os.OpenFile(c.Path(c.Log.File), os.O_WRONLY|os.O_CREATE|os.O_APPEND|syscall.O_NONBLOCK, 0o660)
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return err
	}
	return errors.Join(f.Chown(roles.Main.uid, roles.Main.gid), f.Chmod(0o660))
}

// isOf says that a file is a user's.
func isOf(path string, uid int) bool {
	var st syscall.Stat_t
	return syscall.Stat(path, &st) == nil && int(st.Uid) == uid
}

// logEntered says which folder above the log file keeps a role out: with it no role starts, and none can say so in the
// log. A folder of main.user is among the holdings, and looked at there; one with an access list says more than its mode.
func (p *Permissions) logEntered() error {
	if p.roles == nil || p.c.Log.File == "stderr" {
		return nil
	}
	for dir := filepath.Dir(p.c.Path(p.c.Log.File)); ; dir = filepath.Dir(dir) {
		known := slices.ContainsFunc(p.holdings, func(h holding) bool { return h.path == dir && h.dir != 0 })
		for _, role := range []string{configs.RoleMTA, configs.RoleStore, configs.RoleAdmin} {
			who := p.roles.User(role)
			if err := who.May(dir, unix.X_OK); !known && errors.Is(err, os.ErrPermission) && !hasAccessList(dir) {
				return p.c.Mistake("log.file", fmt.Errorf("the role %s, which is %s, may not enter %s: make it a folder of %s (`chown %s %s && chmod 0750 %[3]s`), or name a file in one",
					role, who.Name, dir, p.c.Main.User, names(p.roles.Main.uid, p.roles.Main.gid), dir))
			}
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

func hasAccessList(path string) bool {
	n, err := unix.Getxattr(path, "system.posix_acl_access", nil)
	return err == nil && n > 0
}
