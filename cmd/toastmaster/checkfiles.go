package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"toastmaster/configs"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore"
	"toastmaster/mta/queue"
)

// checkFiles looks at what the configuration names without starting or making
// anything. The error is the first mistake, with its place in the file.
func checkFiles(c *configs.Config) error {
	for _, check := range []struct {
		param   string
		allowed string
		check   func(*configs.Config) error
	}{
		{"main.data_dir", "a folder, or a new one in a folder that exists", checkDataDir},
		{"log.file", `"stderr" or a file that can be written`, checkLogFile},
		{"tls.certificates", `"certificate-file,key-file" in PEM`, checkCertificates},
		{"directory.path", "a SQLite database that can be written, or a new file", checkDatabase},
		{"smtp.password_file", "a file that can be read", checkPasswordFile},
		{"store.path", "a folder that can be written and is a mail store or empty, or a new one", checkStore},
		{"main.data_dir", "a folder whose folder queue is ours or empty", checkQueue},
	} {
		if err := check.check(c); err != nil {
			return c.Mistake(check.param, fmt.Errorf("%w (allowed: %s)", err, check.allowed))
		}
	}
	return nil
}

// checkWarnings is what serves, but not as somebody may think. The database is
// only asked when there is one.
func checkWarnings(ctx context.Context, c *configs.Config) ([]string, error) {
	out := []string{}
	for _, w := range c.Warnings() {
		out = append(out, w.Error())
	}
	path := c.Path(c.Directory.Path)
	if _, err := os.Stat(path); err != nil || c.SMTPD.Postmaster == "" {
		return out, nil
	}
	d, closeIt, err := openAnswers(c)
	if err != nil {
		return nil, err
	}
	if err := noPostmaster(ctx, c, d); err != nil {
		out = append(out, c.Mistake("smtpd.postmaster", err).Error())
	}
	return out, closeIt()
}

func checkDataDir(c *configs.Config) error {
	dir := filepath.Clean(c.Dir())
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		dir = filepath.Dir(dir)
		info, err = os.Stat(dir)
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a folder", dir)
	}
	return nil
}

func checkLogFile(c *configs.Config) error {
	if c.Log.File == "stderr" {
		return nil
	}
	return checkWritable(c, c.Path(c.Log.File))
}

// checkWritable looks whether a file can be written, or made in its folder.
func checkWritable(c *configs.Config, path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return checkNew(c, path)
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%s is a folder", path)
	}
	return access(path, unix.W_OK)
}

// checkNew looks whether a name can be made. data_dir is made at the start.
func checkNew(c *configs.Config, path string) error {
	dir := filepath.Dir(path)
	err := access(dir, unix.W_OK|unix.X_OK)
	if errors.Is(err, fs.ErrNotExist) && dir == filepath.Clean(c.Dir()) {
		return access(filepath.Dir(dir), unix.W_OK|unix.X_OK)
	}
	return err
}

func access(path string, mode uint32) error {
	if err := unix.Access(path, mode); err != nil {
		return &fs.PathError{Op: "access", Path: path, Err: err}
	}
	return nil
}

func checkCertificates(c *configs.Config) error {
	for _, entry := range c.TLS.Certificates {
		cert, key := configs.CertificateFiles(entry)
		if _, err := tls.LoadX509KeyPair(c.Path(cert), c.Path(key)); err != nil {
			return err
		}
	}
	return nil
}

func checkPasswordFile(c *configs.Config) error {
	if c.SMTP.PasswordFile == "" {
		return nil
	}
	_, err := os.ReadFile(c.Path(c.SMTP.PasswordFile))
	return err
}

// sqliteMagic begins every database that is not empty.
const sqliteMagic = "SQLite format 3\x00"

// checkDatabase opens no connection: that could make files.
func checkDatabase(c *configs.Config) error {
	path := c.Path(c.Directory.Path)
	if err := checkWritable(c, path); err != nil {
		return err
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	head := make([]byte, len(sqliteMagic))
	_, err = io.ReadFull(f, head)
	switch {
	case err == io.EOF:
		return nil
	case err == io.ErrUnexpectedEOF || err == nil && string(head) != sqliteMagic:
		return fmt.Errorf("%s is not a database", path)
	}
	return err
}

func checkStore(c *configs.Config) error {
	if err := checkFolder(c, c.Store.Path); err != nil {
		return err
	}
	return mailstore.Check(vfs.OS{}, c.Path(c.Store.Path))
}

func checkQueue(c *configs.Config) error {
	if err := checkFolder(c, queueDir); err != nil {
		return err
	}
	return queue.Check(vfs.OS{}, c.Path(queueDir))
}

// checkFolder looks whether a folder can be written, or made: the start makes
// those above it, too.
func checkFolder(c *configs.Config, name string) error {
	path := c.Path(name)
	info, err := os.Stat(path)
	for errors.Is(err, fs.ErrNotExist) && path != filepath.Dir(path) {
		path = filepath.Dir(path)
		info, err = os.Stat(path)
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a folder", path)
	}
	return access(path, unix.W_OK|unix.X_OK)
}
