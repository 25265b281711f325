package check

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"toastmaster/configs"
	"toastmaster/internal/run/listeners"
	"toastmaster/internal/run/rights"
)

// namedFile is a file that a parameter names, or that lies beside one.
type namedFile struct {
	param string
	path  string
	// written by the server: it must be no other's.
	written bool
}

// namedFiles are all of them, those that only are read last.
func namedFiles(c *configs.Config) []namedFile {
	database := c.Path(c.Directory.Path)
	files := []namedFile{{"directory.path", database, true}, {"directory.path", database + "-wal", true}, {"directory.path", database + "-shm", true}}
	if c.Log.File != "stderr" {
		files = append(files, namedFile{"log.file", c.Path(c.Log.File), true})
	}
	for _, s := range sockets(c) {
		files = append(files, namedFile{s.param, s.path, true})
	}
	files = append(files, namedFile{"the configuration", c.File, false})
	for _, entry := range c.TLS.Certificates {
		cert, key := configs.CertificateFiles(entry)
		files = append(files, namedFile{"tls.certificates", c.Path(cert), false}, namedFile{"tls.certificates", c.Path(key), false})
	}
	if c.SMTPD.CAFile != "" {
		files = append(files, namedFile{"smtpd.tls_ca_file", c.Path(c.SMTPD.CAFile), false})
	}
	if c.SMTP.PasswordFile != "" {
		files = append(files, namedFile{"smtp.password_file", c.Path(c.SMTP.PasswordFile), false})
	}
	for _, t := range c.Tables {
		if t.PasswordFile != "" {
			files = append(files, namedFile{"transport." + t.Name + ".password_file", c.Path(t.PasswordFile), false})
		}
	}
	return files
}

// sockets are the unix sockets that are made at the start.
func sockets(c *configs.Config) []namedFile {
	out := []namedFile{{"admin.socket", c.Path(c.Admin.Socket), true}}
	for _, address := range c.Listeners() {
		if path, ok := strings.CutPrefix(address, "unix:"); ok {
			out = append(out, namedFile{c.ListenParam(address), c.Path(path), true})
		}
	}
	return out
}

// folder is the one in which something is made for a socket: that of pickup.directory is made at the start when
// it is missing.
func (f namedFile) folder() string {
	dir := filepath.Dir(f.path)
	if _, err := os.Lstat(dir); f.param == "pickup.directory" && errors.Is(err, fs.ErrNotExist) {
		return filepath.Dir(dir)
	}
	return dir
}

// ownSockets are those that this process makes itself.
func ownSockets(c *configs.Config, in *listeners.Inherited) []namedFile {
	return slices.DeleteFunc(sockets(c), func(s namedFile) bool { return in.HasPath(c, s.path) })
}

// checkNames finds a file that two parameters name, one of which is written,
// and one that lies in the folder of the mail or of the queue.
func checkNames(c *configs.Config, in *listeners.Inherited) error {
	files := namedFiles(c)
	for i, f := range files {
		if !f.written {
			continue
		}
		for _, other := range files[i+1:] {
			if same(f.path, other.path) {
				// The log, the database and sockets stand first: theirs is the mistake.
				at, by := f.param, other.param
				if at == "directory.path" && other.written {
					at, by = by, at
				}
				return c.Mistake(at, fmt.Errorf("%s is the file of %s, too", f.path, by))
			}
		}
		for _, folder := range []namedFile{{"store.path", c.Path(c.Store.Path), true}, {"the queue", c.Path(configs.QueueDir), true}} {
			if inside(f.path, folder.path) {
				return c.Mistake(f.param, fmt.Errorf("%s lies in the folder of %s, %s", f.path, folder.param, folder.path))
			}
		}
	}
	return checkSockets(c, in)
}

// maxSocketPath is what sockaddr_un has room for, without the suffix that a
// socket has before it is renamed.
const maxSocketPath = 107 - len(".4194304")

// checkSockets wants a place for each that this process makes.
func checkSockets(c *configs.Config, in *listeners.Inherited) error {
	for _, s := range ownSockets(c, in) {
		info, err := os.Lstat(s.path)
		switch {
		case len(s.path) > maxSocketPath:
			err = fmt.Errorf("%s is longer than a socket's name may be, %d octets", s.path, maxSocketPath)
		case err == nil && info.Mode().Type() != os.ModeSocket:
			err = fmt.Errorf("%s exists and is no socket", s.path)
		default:
			err = rights.WritableFolder(s.folder())
		}
		if err != nil {
			return c.Mistake(s.param, err)
		}
	}
	return nil
}

// checkApart wants the mail outside of the queue and the queue outside of the
// mail: each takes what lies in its folder for its own.
func checkApart(c *configs.Config) error {
	store, mailQueue := c.Path(c.Store.Path), c.Path(configs.QueueDir)
	switch {
	case same(store, mailQueue):
		return fmt.Errorf("%s is the queue's folder", store)
	case inside(store, mailQueue):
		return fmt.Errorf("%s lies in the queue's folder, %s", store, mailQueue)
	case inside(mailQueue, store):
		return fmt.Errorf("the queue's folder, %s, lies in %s", mailQueue, store)
	}
	return nil
}

// same says that two names are one file, through links, too.
func same(a, b string) bool {
	if resolved(a) == resolved(b) {
		return true
	}
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// inside says that path lies below folder.
func inside(path, folder string) bool {
	rel, err := filepath.Rel(resolved(folder), resolved(path))
	return err == nil && rel != "." && filepath.IsLocal(rel)
}

// resolved is path without links, as far as it exists.
func resolved(path string) string {
	path, err := filepath.Abs(path)
	if err != nil {
		return filepath.Clean(path)
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	parent := filepath.Dir(path)
	if parent == path {
		return path
	}
	return filepath.Join(resolved(parent), filepath.Base(path))
}
