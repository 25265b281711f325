package rights

import (
	"fmt"
	"os"
	"slices"

	"toastmaster/configs"
	"toastmaster/internal/hostuser"
)

// SocketGroup is the number of the group that the parameter param names, -1 without a name. It must be a
// group that the service's user is in, who could not give the socket to it else.
func SocketGroup(c *configs.Config, param, name string) (int, error) {
	if name == "" {
		return -1, nil
	}
	gid, err := hostuser.Group(name)
	if err != nil {
		return -1, c.Mistake(param, err)
	}
	groups, who, err := serviceGroups(c)
	if err != nil {
		return -1, err
	}
	if groups != nil && !slices.Contains(groups, gid) {
		return -1, c.Mistake(param, fmt.Errorf("%s is not in the group %q: `usermod -a -G %[2]s %[1]s`, then start the service again", who, name))
	}
	return gid, nil
}

// serviceGroups are the groups of the user that serves, nil for root, who may give
// files to all.
func serviceGroups(c *configs.Config) (groups []int, who string, err error) {
	w, err := RunAs(c)
	if err != nil {
		return nil, "", err
	}
	owner, _ := OwnerOf(c)
	switch {
	case w != nil:
		return w.groups, w.Name, nil
	case os.Geteuid() != 0:
		groups, err := os.Getgroups()
		return append(groups, os.Getegid()), "the user that serves", err
	case owner == "":
		return nil, "root", nil
	}
	// Root looks, and another user serves.
	if w, err = lookup(owner); err != nil {
		return nil, "", err
	}
	return w.groups, w.Name, nil
}
