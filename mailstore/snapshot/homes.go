package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"toastmaster/mailstore"
	"toastmaster/mailstore/index"
)

// Homes calls f with the home of each account below root, as a path below it,
// in order. A home is a folder with cur in it; homes below homes are found.
func Homes(ctx context.Context, root string, f func(home string) error) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path != root {
			return nil // removed while we looked
		}
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if !d.IsDir() {
			return nil
		}
		name := d.Name()
		switch is := path != root && isMaildir(path); {
		case path != root && strings.HasPrefix(name, "."):
			return fs.SkipDir
		case !is && (name == "cur" || name == "new" || name == "tmp"):
			return fs.SkipDir // of the home above it
		case !is:
			return nil
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		return f(filepath.ToSlash(rel))
	})
}

// isMaildir says whether path is a Maildir, as mailstore does. A folder cur that is
// one itself makes none of the folder that it is in: it is the home of cur@DOMAIN.
func isMaildir(path string) bool {
	for _, name := range []string{index.LogFile, "maildirfolder"} {
		if _, err := os.Lstat(filepath.Join(path, name)); err == nil {
			return true
		}
	}
	if _, err := os.Lstat(filepath.Join(path, "cur")); err != nil {
		return false
	}
	_, err := os.Lstat(filepath.Join(path, "cur", "cur"))
	return err != nil
}

// Staging is a folder in which a picture takes hold of files.
type Staging struct {
	dir  string
	lock *os.File
	next int
}

// NewStaging makes the folder in the store. Close it.
func NewStaging(root string) (*Staging, error) {
	if err := Clean(root); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(filepath.Join(root, mailstore.Private), "backup-")
	if err != nil {
		return nil, err
	}
	lock, err := os.Open(dir)
	if err == nil {
		err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &Staging{dir: dir, lock: lock}, nil
}

// Close removes it.
func (s *Staging) Close() error { return errors.Join(os.RemoveAll(s.dir), s.lock.Close()) }

// Clean removes the stages of processes that were killed.
func Clean(root string) error {
	left, err := filepath.Glob(filepath.Join(root, mailstore.Private, "backup-*"))
	if err != nil {
		return err
	}
	for _, dir := range left {
		d, err := os.Open(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err = syscall.Flock(int(d.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
			err = os.RemoveAll(dir)
		} else if errors.Is(err, syscall.EWOULDBLOCK) {
			err = nil
		}
		if err := errors.Join(err, d.Close()); err != nil {
			return fmt.Errorf("remains of an interrupted backup: %w", err)
		}
	}
	return nil
}
