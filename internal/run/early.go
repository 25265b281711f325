package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"toastmaster/configs"
	"toastmaster/directory/sql"
	"toastmaster/internal/clock"
	"toastmaster/internal/msglog"
	"toastmaster/internal/run/check"
	"toastmaster/internal/run/listeners"
	"toastmaster/internal/run/rights"
	"toastmaster/internal/run/usage"
	"toastmaster/internal/tlsconf"
)

// early is what a process opens before it is the user that it serves as: the ports, which
// may be below 1024, and the keys, which others cannot read.
type early struct {
	listeners    *listeners.Set
	certificates *tlsconf.Certificates // nil: they are the instance's to load
	control      net.Listener          // of a role, from master
}

// roleUmask is that of a role with a user of its own. Programs that it runs have another one.
const roleUmask = 0o007

// openEarly opens what needs root and goes on as main.user. Without that user,
// or without root, it opens nothing.
func openEarly(c *configs.Config, in *listeners.Inherited, role Role) (*early, error) {
	e := &early{listeners: listeners.NewSet(c, in), control: in.Control()}
	if err := rights.NotRootsOwn(c); err != nil {
		return nil, usage.New(err)
	}
	who, err := rights.RunAsRole(c, string(role))
	if err != nil {
		return nil, usage.New(err)
	}
	if len(c.Master.RoleUsers) > 0 {
		// What is for a group of its own files says so, and all else nothing.
		unix.Umask(roleUmask)
	}
	become := func() error { return rights.StayRoot(c) }
	if who != nil {
		become = who.Become
	} else if role != RolePrivileged {
		return e, nil
	}
	if err := keepDatabase(c); err != nil {
		return nil, fmt.Errorf("%s: %w", c.Path(c.Directory.Path), err)
	}
	if e.certificates, err = tlsconf.Load(listeners.TLS(c, msglog.Discard(), clock.System{})); err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	if role == "" { // else master has opened them
		if err := e.listeners.OpenPorts(); err != nil {
			return nil, err
		}
	}
	if err := become(); err != nil {
		return nil, errors.Join(err, e.listeners.Close())
	}
	return e, nil
}

// keepDatabase makes the database, while this process is root, one that roles can use which may make no file
// beside it: one that a backup has brought back is to have a log first, which takes a journal.
func keepDatabase(c *configs.Config) error {
	if len(c.Master.RoleUsers) == 0 || c.Directory.Type != "sqlite" {
		return rights.Keep(c)
	}
	f, err := os.Open(c.Path(c.Directory.Path))
	if err != nil {
		return nil // whoever needs it says so
	}
	header := make([]byte, 20)
	_, err = io.ReadFull(f, header)
	_ = f.Close()
	const logged = 2 // the versions of the file format that readers and writers need (sqlite.org/fileformat)
	if err == nil && (header[18] != logged || header[19] != logged) {
		w, err := sql.OpenWriter(context.Background(), sql.Options{Source: c.Path(c.Directory.Path), Params: c.Directory})
		if err != nil {
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
	}
	return rights.Keep(c)
}

// warn logs the same at the start.
func (i *Instance) warn(ctx context.Context) {
	if os.Geteuid() == 0 {
		i.log.Warn("configuration", "cause", i.config.Mistake("main.user", errors.New("the server runs as root: name a user, who owns main.data_dir, and it gives up root after its ports are open")))
	}
	for _, w := range check.FileWarnings(i.config, i.clock.Now()) {
		if errors.Is(w, configs.ErrNoPostmaster) {
			continue // the directory knows more
		}
		i.log.Warn("configuration", "cause", w)
	}
	if text := check.DescriptorsFor(i.config).Warning(); text != "" {
		// The limit is this process's: config check has another.
		i.log.Warn("configuration", "cause", text)
	}
	if err := check.NoPostmaster(ctx, i.config, i.directory); err != nil {
		i.log.Warn("configuration", "cause", i.config.Mistake("smtpd.postmaster", err))
	}
}
