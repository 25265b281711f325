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

// checkRights looks whether the user that root's server becomes may use what the
// configuration names. It looks at the folders' own modes, not at all that is in
// them.
func checkRights(c *configs.Config, in *listeners.Inherited) error {
	who, err := rights.RunAs(c)
	if who == nil || err != nil {
		return err
	}
	const r, rw, wx, rwx = unix.R_OK, unix.R_OK | unix.W_OK, unix.W_OK | unix.X_OK, unix.R_OK | unix.W_OK | unix.X_OK
	type need struct {
		param, path string
		mode        uint32
	}
	needs := []need{
		{"main.data_dir", c.Dir(), wx}, {"directory.path", c.Path(c.Directory.Path), rw}, {"store.path", c.Path(c.Store.Path), rwx},
		{"store.path", filepath.Join(c.Path(c.Store.Path), mailstore.Private), rwx}, {"main.data_dir", c.Path(configs.QueueDir), rwx},
		{"main.data_dir", filepath.Join(c.Path(configs.QueueDir), queue.LockFile), rw}, {"the configuration", c.File, r},
	}
	for _, s := range ownSockets(c, in) {
		needs = append(needs, need{s.param, filepath.Dir(s.path), wx})
	}
	if c.Log.File != "stderr" {
		path, mode := c.Path(c.Log.File), uint32(unix.W_OK)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			path, mode = filepath.Dir(path), wx
		}
		needs = append(needs, need{"log.file", path, mode})
	}
	if c.SMTP.PasswordFile != "" {
		needs = append(needs, need{"smtp.password_file", c.Path(c.SMTP.PasswordFile), r})
	}
	for _, t := range c.Tables {
		if t.PasswordFile != "" {
			needs = append(needs, need{"transport." + t.Name + ".password_file", c.Path(t.PasswordFile), r})
		}
	}
	for _, n := range needs {
		if err := who.May(n.path, n.mode); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return c.Mistake(n.param, fmt.Errorf("%w; main.user is %s: `chown -R %[2]s %[3]s` gives it all", err, c.Main.User, n.path))
		}
	}
	return nil
}
