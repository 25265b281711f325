package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// RealHome refuses a home that a symbolic link stands for, or leads to: the
// account would be whatever the link names, another account's mail for example,
// and a removal would delete that. Nor could the store keep its word there. One
// sync makes the file system of the root durable, no other, and a backup walks
// past links. Links inside a home are another matter: its mailboxes, its messages.
func (s *Volume) RealHome(home string) error {
	rel, err := filepath.Rel(s.Root, home)
	if err != nil {
		return err
	}
	dir := s.Root
	for part := range strings.SplitSeq(rel, string(filepath.Separator)) {
		dir = filepath.Join(dir, part)
		info, err := s.FS.Lstat(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR):
			return nil // whoever makes it, or finds a file there, says so
		case err != nil:
			return err
		case info.Mode()&fs.ModeSymlink != 0:
			return fmt.Errorf("mailstore: %s is a symbolic link, and no mail is read, stored or removed behind it: move the folder that it leads to into its place; store.path as a whole may be a link", dir)
		}
	}
	return nil
}
