package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"toastmaster/configs"
	"toastmaster/internal/clock"
	"toastmaster/internal/msglog"
	"toastmaster/internal/run/listeners"
	"toastmaster/internal/run/parts"
	"toastmaster/internal/run/rights"
	"toastmaster/internal/run/usage"
	"toastmaster/internal/tlsconf"
	"toastmaster/mailstore"
	"toastmaster/mta/bounce"
	"toastmaster/mta/policy"
	"toastmaster/mta/queue"
	"toastmaster/mta/smtp"
	"toastmaster/mta/smtpd"

	"golang.org/x/sys/unix"
)

// All is what stands between a configuration and a start, for config check
// and for serve: a mistake is one of usage, status 2, which no restart mends.
func All(ctx context.Context, c *configs.Config, in *listeners.Inherited) (parts.Startup, error) {
	if err := Files(c, in); err != nil {
		return parts.Startup{}, usage.New(err)
	}
	if len(c.Master.RoleUsers) > 0 {
		p, err := rights.PermissionsOf(c)
		if err == nil {
			err = p.Check()
		}
		if err != nil {
			return parts.Startup{}, usage.New(err)
		}
	}
	return parts.Look(ctx, c)
}

// Files looks at what the configuration names without starting or making
// anything. The error is the first mistake, with its place in the file. Of the unix sockets
// that the service manager has made it wants nothing; in is nil for who cannot know them.
func Files(c *configs.Config, in *listeners.Inherited) error {
	if _, err := rights.RolesOf(c); err != nil {
		return err
	}
	// A role that reads the configuration again cannot look at what is other roles'; master has.
	others := func(err error) bool { return errors.Is(err, fs.ErrPermission) && rights.InRole(c) }
	param, allowed, database := parts.CheckDirectory(c)
	if allowed == "" {
		return c.Mistake(param, database)
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
		{"smtpd.tls_ca_file", "a file in PEM with authorities, and smtpd.tls_ca_path a folder of such files", checkAuthorities},
		{param, allowed, func(*configs.Config) error { return database }},
		{"smtp.password_file", "a file that others can neither read nor change", checkPasswordFile},
		{"bounce.template_file", "texts of reports as in Postfix's bounce(5)", checkBounce},
		{"store.path", "a folder that can be written and is a mail store", checkStore},
		{"main.data_dir", "a folder whose folder queue is ours", checkQueue},
		{"store.path", "a folder beside the queue", checkApart},
	} {
		if err := check.check(c); err != nil && !others(err) {
			return c.Mistake(check.param, fmt.Errorf("%w (allowed: %s)", err, check.allowed))
		}
	}
	if err := checkTransports(c); err != nil && !others(err) {
		return err
	}
	read, err := checkTables(c)
	if err != nil {
		return err
	}
	if err := checkNames(c, in); err != nil && !others(err) {
		return err
	}
	for _, u := range c.UnixListeners() {
		if _, err := rights.SocketGroup(c, u.GroupParam, u.Group); err != nil {
			return err
		}
	}
	return checkRights(c, in, read)
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
		return rights.WritableFolder(filepath.Dir(path))
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%s is a folder", path)
	}
	return rights.Access(path, unix.W_OK)
}

// checkRestrictions finds a restriction that there is not, a table that cannot be opened, and
// an open relay.
func checkRestrictions(c *configs.Config, open policy.Opener) error {
	return Restriction(c, smtpd.CheckRestrictions(c, open))
}

// Restriction gives an error about restrictions its place in the file.
func Restriction(c *configs.Config, err error) error {
	var m *policy.Mistake
	if errors.As(err, &m) {
		return c.MistakeIn(m.Param, m.Item, m.Err)
	}
	return err
}

func checkCertificates(c *configs.Config) error {
	_, err := tlsconf.Load(listeners.TLS(c, msglog.Discard(), clock.System{}))
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

func checkBounce(c *configs.Config) error {
	if c.Bounce.TemplateFile == "" {
		return nil
	}
	return bounce.CheckTemplateFile(c.Path(c.Bounce.TemplateFile), bounce.ValuesOf(c))
}

func checkStore(c *configs.Config) error {
	path := c.Path(c.Store.Path)
	if err := checkFolder(path); err != nil {
		return err
	}
	return mailstore.Check(rights.StoreFS(c), path)
}

func checkQueue(c *configs.Config) error {
	path := c.Path(configs.QueueDir)
	if err := checkFolder(path); err != nil {
		return err
	}
	return queue.Check(rights.QueueFS(c), path)
}

// checkFolder looks whether a folder can be written. One that is missing is
// parts.Look's.
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
	return rights.WritableFolder(path)
}

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

// RestoreMarker is the file that says that a restore has begun and not ended.
func RestoreMarker(c *configs.Config) string { return filepath.Join(c.Dir(), "restoring") }
