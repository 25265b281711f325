package run

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"toastmaster/configs"
	"toastmaster/internal/clock"
	"toastmaster/internal/msglog"
	"toastmaster/internal/tlsconf"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore"
	"toastmaster/mta/policy"
	"toastmaster/mta/queue"
	"toastmaster/mta/smtp"
	"toastmaster/mta/smtpd"
)

// Check is what stands between a configuration and a start, for config check
// and for serve: a mistake is one of usage, status 2, which no restart mends.
func Check(ctx context.Context, c *configs.Config, in *Inherited) (StartPlan, error) {
	if err := CheckFiles(c, in); err != nil {
		return StartPlan{}, &Usage{err}
	}
	return PlanStart(ctx, c)
}

// CheckFiles looks at what the configuration names without starting or making
// anything. The error is the first mistake, with its place in the file. Of the unix sockets
// that the service manager has made it wants nothing; in is nil for who cannot know them.
func CheckFiles(c *configs.Config, in *Inherited) error {
	row, err := directoryOf(c)
	if err != nil {
		return c.Mistake("directory.type", err)
	}
	for _, check := range []struct {
		param   string
		allowed string
		check   func(*configs.Config) error
	}{
		{"main.data_dir", "a folder", checkDataDir},
		{"main.data_dir", "a folder without the file restoring in it", checkRestored},
		{"log.file", `"stderr" or a file that can be written`, checkLogFile},
		{"tls.certificates", `"certificate-file,key-file" in PEM`, checkCertificates},
		{row.param, row.allowed, row.check},
		{"smtp.password_file", "a file that others can neither read nor change", checkPasswordFile},
		{"store.path", "a folder that can be written and is a mail store", checkStore},
		{"main.data_dir", "a folder whose folder queue is ours", checkQueue},
		{"store.path", "a folder beside the queue", checkApart},
	} {
		if err := check.check(c); err != nil {
			return c.Mistake(check.param, fmt.Errorf("%w (allowed: %s)", err, check.allowed))
		}
	}
	if err := checkRestrictions(c); err != nil {
		return err
	}
	if err := checkTransports(c); err != nil {
		return err
	}
	if err := checkNames(c, in); err != nil {
		return err
	}
	if _, err := socketGroup(c); err != nil {
		return err
	}
	return checkRights(c, in)
}

func checkDataDir(c *configs.Config) error {
	dir := filepath.Clean(c.Dir())
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s is missing: mount its volume; or if there is no instance yet, `toastmaster init` makes one", dir)
	case err == nil && !info.IsDir():
		return fmt.Errorf("%s is not a folder", dir)
	}
	return err
}

func checkLogFile(c *configs.Config) error {
	if c.Log.File == "stderr" {
		return nil
	}
	return checkWritable(c.Path(c.Log.File))
}

// checkWritable looks whether a file can be written, or made in its folder.
func checkWritable(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return checkWritableFolder(filepath.Dir(path))
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%s is a folder", path)
	}
	return access(path, unix.W_OK)
}

func access(path string, mode uint32) error {
	if err := unix.Access(path, mode); err != nil {
		return &fs.PathError{Op: "access", Path: path, Err: err}
	}
	return nil
}

// checkRestrictions finds a restriction that there is not, and an open relay.
func checkRestrictions(c *configs.Config) error {
	err := smtpd.CheckRestrictions(c.SMTPD)
	var m *policy.Mistake
	if errors.As(err, &m) {
		return c.MistakeIn(m.Param, m.Item, m.Err)
	}
	return err
}

func checkCertificates(c *configs.Config) error {
	_, err := tlsconf.Load(tlsOptions(c, msglog.Discard(), clock.System{}))
	return err
}

func checkPasswordFile(c *configs.Config) error {
	if c.SMTP.PasswordFile == "" {
		return nil
	}
	return smtp.CheckPasswordFile(c.Path(c.SMTP.PasswordFile))
}

// checkTransports looks at the files that tables [[transport]] name.
func checkTransports(c *configs.Config) error {
	for _, t := range c.Tables {
		if t.PasswordFile == "" {
			continue
		}
		if err := smtp.CheckPasswordFile(c.Path(t.PasswordFile)); err != nil {
			return c.Mistake("transport."+t.Name+".password_file", err)
		}
	}
	return nil
}

// checkWritableFolder wants a folder in which a file can be made.
func checkWritableFolder(dir string) error { return access(dir, unix.W_OK|unix.X_OK) }

func checkStore(c *configs.Config) error {
	path := c.Path(c.Store.Path)
	if err := checkFolder(path); err != nil {
		return err
	}
	return mailstore.Check(vfs.OS{}, path)
}

func checkQueue(c *configs.Config) error {
	path := c.Path(QueueDir)
	if err := checkFolder(path); err != nil {
		return err
	}
	return queue.Check(vfs.OS{}, path)
}

// checkFolder looks whether a folder can be written. One that is missing is
// PlanStart's.
func checkFolder(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is not a folder", path)
	}
	return checkWritableFolder(path)
}

// RestoreMarker is the file that says that a restore has begun and not ended.
func RestoreMarker(c *configs.Config) string { return filepath.Join(c.Dir(), "restoring") }

// checkRestored refuses an instance that is not restored to the end.
func checkRestored(c *configs.Config) error {
	text, err := os.ReadFile(RestoreMarker(c))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("the restore of the backup %s was interrupted: run `toastmaster restore` again before the instance is started", strings.TrimSpace(string(text)))
}

// checkSQLite looks at the file only; what is in it is PlanStart's.
func checkSQLite(c *configs.Config) error {
	path := c.Path(c.Directory.Path)
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // PlanStart says what to do
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%s is a folder", path)
	}
	// SQLite makes files beside it.
	return errors.Join(access(path, unix.R_OK|unix.W_OK), checkWritableFolder(filepath.Dir(path)))
}
