package peers

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
)

// Account is one mailbox of a peer.
type Account struct {
	Address  string
	Password string
}

// Local and Domain are the two parts of the address.
func (a Account) Local() string { l, _, _ := strings.Cut(a.Address, "@"); return l }

// Domain is the part behind the @.
func (a Account) Domain() string { _, d, _ := strings.Cut(a.Address, "@"); return d }

// ids are numbers of a system user.
type ids struct{ uid, gid int }

func idsOf(name string) (ids, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return ids{}, err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return ids{}, err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return ids{}, err
	}
	return ids{uid, gid}, nil
}

func groupID(name string) (int, error) {
	g, err := user.LookupGroup(name)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(g.Gid)
}

// makeDir makes a folder with an owner and exactly this mode.
func makeDir(path string, owner ids, mode os.FileMode) error {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	if err := os.Chown(path, owner.uid, owner.gid); err != nil {
		return err
	}
	return os.Chmod(path, mode)
}

func rootOnly(program string) error {
	if os.Getuid() != 0 {
		return fmt.Errorf("%s must be started by root", program)
	}
	return nil
}
