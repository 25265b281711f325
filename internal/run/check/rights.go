package check

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"toastmaster/configs"
	"toastmaster/internal/run/listeners"
	"toastmaster/internal/run/rights"
	"toastmaster/mailstore"
	"toastmaster/mta/queue"

	"golang.org/x/sys/unix"
)

// need is what the server wants of a file.
type need struct {
	param, path string
	mode        uint32
}

// checkRights looks whether the user that serves may use what the configuration names,
// where that is another than who looks: the one that root's server becomes, or else the
// owner of the instance, as whom the service manager starts it. It looks at the folders
// themselves, not at all that is in them. more are what others have found.
func checkRights(c *configs.Config, in *listeners.Inherited, more []need) error {
	who, err := rights.RunAs(c)
	if err != nil || os.Geteuid() != 0 || len(c.Master.RoleUsers) > 0 {
		return err // whose files are several users' is All's to say
	}
	if who != nil {
		n, err := refused(append(needs(c, in), more...), who.May)
		if err != nil {
			return c.Mistake(n.param, fmt.Errorf("%w; main.user is %s: `chown -R %[2]s %[3]s` gives it all", err, c.Main.User, n.path))
		}
		return nil
	}
	owner, at := rights.OwnerOf(c)
	if owner == "" {
		return nil
	}
	return rights.AsOwner(c, func() error {
		all := append(needs(c, in), more...)
		for _, entry := range c.TLS.Certificates {
			cert, key := configs.CertificateFiles(entry)
			all = append(all, need{"tls.certificates", c.Path(cert), unix.R_OK}, need{"tls.certificates", c.Path(key), unix.R_OK})
		}
		n, err := refused(all, rights.EffectiveAccess)
		if err != nil {
			return c.Mistake(n.param, fmt.Errorf("%w for %s, who has %s and serves: give it the right, or name a place where it has it", err, owner, at))
		}
		return nil
	})
}

// refused is the first need that may does not grant. What is missing is others' to say.
func refused(all []need, may func(path string, mode uint32) error) (need, error) {
	for _, n := range all {
		if err := may(n.path, n.mode); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return n, err
		}
	}
	return need{}, nil
}

// needs are what a server that runs wants.
func needs(c *configs.Config, in *listeners.Inherited) []need {
	const r, rw, wx, rwx = unix.R_OK, unix.R_OK | unix.W_OK, unix.W_OK | unix.X_OK, unix.R_OK | unix.W_OK | unix.X_OK
	all := []need{
		{"main.data_dir", c.Dir(), wx}, {"directory.path", c.Path(c.Directory.Path), rw}, {"store.path", c.Path(c.Store.Path), rwx},
		{"store.path", filepath.Join(c.Path(c.Store.Path), mailstore.Private), rwx}, {"main.data_dir", c.Path(configs.QueueDir), rwx},
		{"main.data_dir", filepath.Join(c.Path(configs.QueueDir), queue.LockFile), rw}, {"the configuration", c.File, r},
	}
	for _, s := range ownSockets(c, in) {
		all = append(all, need{s.param, s.folder(), wx})
	}
	if c.Log.File != "stderr" {
		path, mode := c.Path(c.Log.File), uint32(unix.W_OK)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			path, mode = filepath.Dir(path), wx
		}
		all = append(all, need{"log.file", path, mode})
	}
	if c.SMTP.PasswordFile != "" {
		all = append(all, need{"smtp.password_file", c.Path(c.SMTP.PasswordFile), r})
	}
	for _, t := range c.Tables {
		if t.PasswordFile != "" {
			all = append(all, need{"transport." + t.Name + ".password_file", c.Path(t.PasswordFile), r})
		}
	}
	return all
}
