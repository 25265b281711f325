package rights

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"toastmaster/configs"
	"toastmaster/internal/vfs"
)

// Roles are the users of the roles of a master. Each has the group of main.user beside its own, which
// is that of the mail and of the database.
type Roles struct {
	// Main is main.user, whom no process is.
	Main  *User
	users map[string]*User
}

// RolesOf are the users of master.role_users; nil where all roles are main.user.
func RolesOf(c *configs.Config) (*Roles, error) {
	if len(c.Master.RoleUsers) == 0 {
		return nil, nil
	}
	const param = "master.role_users"
	if c.Main.User == "" {
		return nil, c.Mistake(param, errors.New("main.user is empty, whose group the roles get: name it, too"))
	}
	r := &Roles{users: map[string]*User{}}
	var err error
	if r.Main, err = lookup(c.Main.User); err != nil {
		return nil, c.Mistake("main.user", err)
	}
	known := map[int]string{r.Main.uid: "main.user"}
	for n, entry := range c.Master.RoleUsers {
		role, name, _ := strings.Cut(entry, "=")
		who, err := lookup(name)
		if err != nil {
			return nil, c.MistakeIn(param, n, err)
		}
		if other := known[who.uid]; other != "" || r.users[role] != nil {
			return nil, c.MistakeIn(param, n, fmt.Errorf("%s is the user of %s, too: each role is another user", who.Name, orRole(other, role)))
		}
		known[who.uid] = role
		if !slices.Contains(who.groups, r.Main.gid) {
			who.groups = append(who.groups, r.Main.gid)
		}
		r.users[role] = who
	}
	for _, role := range []string{configs.RoleMTA, configs.RoleStore, configs.RoleAdmin} {
		if r.users[role] == nil {
			return nil, c.Mistake(param, fmt.Errorf("the role %s has no user: all three have one, or none (`useradd --system --no-create-home --shell /usr/sbin/nologin toastmaster-%[1]s`)", role))
		}
	}
	return r, nil
}

func orRole(other, role string) string {
	if other != "" {
		return other
	}
	return "another entry of " + role
}

// User is that of a role. A nil Roles, and a name that is no role, has none.
func (r *Roles) User(role string) *User {
	if r == nil {
		return nil
	}
	return r.users[role]
}

// Is says that a process of a role has this number.
func (r *Roles) Is(role string, uid int) bool {
	who := r.User(role)
	return who != nil && who.uid == uid
}

// Any says that a user is that of a role.
func (r *Roles) Any(uid int) bool {
	return r.Is(configs.RoleMTA, uid) || r.Is(configs.RoleStore, uid) || r.Is(configs.RoleAdmin, uid)
}

// InRole says that this process has the user of a role, or is the one that stays root without root's rights, and so
// cannot use what is others'.
func InRole(c *configs.Config) bool {
	r, err := RolesOf(c)
	return err == nil && r != nil && (r.Any(os.Geteuid()) || os.Geteuid() == 0 && !usesAllFiles())
}

// RunAsRole is RunAs for a process of a role.
func RunAsRole(c *configs.Config, role string) (*User, error) {
	r, err := RolesOf(c)
	if r == nil || role == "" || err != nil {
		if err != nil {
			return nil, err
		}
		return RunAs(c)
	}
	who := r.User(role)
	if who == nil { // the one that stays root
		return nil, nil
	}
	switch os.Geteuid() {
	case 0:
		return who, nil
	case who.uid:
		return nil, nil
	}
	return nil, c.Mistake("master.role_users", fmt.Errorf("started by the user %d: only root can make the role %s the user %s", os.Geteuid(), role, who.Name))
}

// QueueFS is the file system of the queue, StoreFS that of the mail: where the roles have users of their own, files
// of the mail are for their group.
func QueueFS(c *configs.Config) vfs.FS {
	if len(c.Master.RoleUsers) == 0 {
		return vfs.OS{}
	}
	return vfs.OfFolder{}
}

// StoreFS is described at QueueFS.
func StoreFS(c *configs.Config) vfs.FS {
	if len(c.Master.RoleUsers) == 0 {
		return vfs.OS{}
	}
	return vfs.OfFolder{Group: true}
}

// UID is the number of the user.
func (w *User) UID() int { return w.uid }

// GID is the number of its group.
func (w *User) GID() int { return w.gid }
