package vfs

import (
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Give gives what lies at a path its owner and mode, as want says of what is there; a uid or gid of -1 stays. It is done by a
// descriptor, and follows no link: a name in a folder where others write may be a link a moment later, by which root would give
// away another file.
func Give(path string, want func(fs.FileInfo) (uid, gid int, mode fs.FileMode, err error)) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	// What is open itself: fchmod(2) takes no such descriptor, and fchmodat2(2) is newer than what we run on.
	self := fmt.Sprintf("/proc/self/fd/%d", fd)
	info, err := os.Stat(self)
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	if st.Mode&unix.S_IFMT == unix.S_IFLNK {
		return &fs.PathError{Op: "chown", Path: path, Err: unix.ELOOP}
	}
	uid, gid, mode, err := want(info)
	if err != nil {
		return &fs.PathError{Op: "chown", Path: path, Err: err}
	}
	// The owner first: a change of owner takes bits away.
	if err := unix.Fchownat(fd, "", uid, gid, unix.AT_EMPTY_PATH); err != nil {
		return &fs.PathError{Op: "chown", Path: path, Err: err}
	}
	if err := os.Chmod(self, mode); err != nil {
		return &fs.PathError{Op: "chmod", Path: path, Err: err.(*fs.PathError).Err}
	}
	return nil
}
