package transfer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"toastmaster/internal/plainmaildir"
)

// walked is a path that was walked from the root folder on, one name at a time, each
// opened in the folder before it. The caller closes it.
type walked struct {
	// steps are the folders on the way, and last what the path leads to. Their paths
	// have no link in them.
	steps []step
}

type step struct {
	path string
	file *os.File // O_PATH
	info fs.FileInfo
}

// maxLinks is how many links the kernel follows in a path.
const maxLinks = 40

// walk follows a path as the kernel does, but no symbolic link of a user who is neither
// root nor this one: such a link leads wherever its owner wants, also to the mail of
// others. os.Root does not help with the path of the root itself.
func walk(path string) (*walked, error) {
	if path == "" {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	if !filepath.IsAbs(path) {
		wd, err := os.Getwd()
		if err != nil {
			return nil, err
		}
		// filepath.Join would take "link/.." away.
		path = wd + "/" + path
	}
	w := &walked{}
	if err := w.follow(path); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *walked) follow(path string) error {
	if err := w.down(unix.AT_FDCWD, "/", "/"); err != nil {
		return err
	}
	rest := strings.Split(path, "/")
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			w.up(max(len(w.steps)-1, 1))
			continue
		}
		above := w.last()
		if err := w.down(int(above.file.Fd()), name, filepath.Join(above.path, name)); err != nil {
			return err
		}
		if w.last().info.Mode()&fs.ModeSymlink == 0 {
			continue
		}
		to, err := w.last().link()
		if links++; links > maxLinks {
			err = &fs.PathError{Op: "open", Path: path, Err: syscall.ELOOP}
		}
		if err != nil {
			return err
		}
		w.up(len(w.steps) - 1)
		if filepath.IsAbs(to) {
			w.up(1)
		}
		rest = append(strings.Split(to, "/"), rest...)
	}
	return nil
}

// down opens name in the folder dir. O_DIRECTORY is tried first: without it an automount
// point would be opened, and not what is mounted there.
func (w *walked) down(dir int, name, path string) error {
	const flags = unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Openat(dir, name, flags|unix.O_DIRECTORY, 0)
	if errors.Is(err, unix.ENOTDIR) {
		fd, err = unix.Openat(dir, name, flags, 0)
	}
	if err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	s := step{path: path, file: os.NewFile(uintptr(fd), path)}
	if s.info, err = s.file.Stat(); err != nil {
		return errors.Join(err, s.file.Close())
	}
	w.steps = append(w.steps, s)
	return nil
}

// up leaves the first n steps.
func (w *walked) up(n int) {
	for _, s := range w.steps[n:] {
		s.file.Close() // nothing was read or written
	}
	w.steps = w.steps[:n]
}

func (w *walked) close() { w.up(0) }

func (w *walked) last() step { return w.steps[len(w.steps)-1] }

// same says that what was opened by the path is what it led to.
func (w *walked) same(info fs.FileInfo) error {
	if !os.SameFile(info, w.last().info) {
		return fmt.Errorf("%s was replaced by another meanwhile", w.last().path)
	}
	return nil
}

// owner is whose a file is; trusted says that it is root, or this user.
func owner(info fs.FileInfo) (uid int, trusted bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return -1, false
	}
	uid = int(st.Uid)
	return uid, uid == 0 || uid == os.Geteuid()
}

// link is where a link of a trusted user leads.
func (s step) link() (string, error) {
	if uid, trusted := owner(s.info); !trusted {
		return "", fmt.Errorf("%s is a symbolic link of user %d, who can let it lead anywhere: give the real path", s.path, uid)
	}
	to := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(int(s.file.Fd()), "", to)
	if err != nil || n == 0 {
		return "", &fs.PathError{Op: "readlink", Path: s.path, Err: errors.Join(err, fs.ErrNotExist)}
	}
	return string(to[:n]), nil
}

// ownPlace is where an export goes: path, in a folder that is there, without a link in
// it. Who owns or may write to one of the folders above could put something else in
// its place at any moment, and what root writes would be where he wants.
func ownPlace(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	w, err := walk(filepath.Dir(path))
	if err != nil {
		return "", err
	}
	defer w.close()
	const instead = "export to a folder of your own, in folders of root's or yours, and move it afterwards"
	for _, s := range w.steps {
		if uid, trusted := owner(s.info); !trusted {
			return "", fmt.Errorf("%s: %w: it belongs to user %d: %s", s.path, plainmaildir.ErrNotOurs, uid, instead)
		}
		// In a sticky folder, /tmp, what is one's own stays where it is.
		if mode := s.info.Mode(); mode.Perm()&0o022 != 0 && mode&fs.ModeSticky == 0 {
			return "", fmt.Errorf("%s: %w: its mode is %v: %s", s.path, plainmaildir.ErrNotOurs, mode.Perm(), instead)
		}
	}
	return filepath.Join(w.last().path, filepath.Base(path)), nil
}
