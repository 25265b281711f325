package peers

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
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

// startable refuses what would let a peer end without a word: another user than root, or
// a folder that the peer's own users cannot reach.
func startable(program, dir string) error {
	if os.Getuid() != 0 {
		return fmt.Errorf("%s must be started by root", program)
	}
	for d := filepath.Clean(dir); ; d = filepath.Dir(d) {
		// What is not there yet is made so that they can.
		if info, err := os.Stat(d); err == nil && info.Mode().Perm()&0o001 == 0 {
			return fmt.Errorf("%s: not everybody may enter %s: take peers.TempDir", program, d)
		}
		if d == filepath.Dir(d) {
			return nil
		}
	}
}
