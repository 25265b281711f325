package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"toastmaster/internal/hostuser"
)

// maxLinks is how many links a path may have, as the kernel has it.
const maxLinks = 40

// reader is as whom a list is read.
type reader struct {
	user hostuser.User
	// group is one more, -1 for none.
	group int
}

// readerOf is as whom a list is read that an alias of root's names; nil is the server. As long as only root can change what
// the path leads to, it is what root has written. From the first folder on that is a user's he chooses the file, by a name or a link,
// so it is read with his rights; where a group or all may write with those of local.default_privs, and of that group.
func (a *Agent) readerOf(name string) (*reader, error) {
	if os.Geteuid() != 0 {
		return nil, nil // it can read as nobody else
	}
	at, rest, links := "/", split(name), 0
	for len(rest) > 0 {
		info, err := a.o.FS.Lstat(at)
		if err != nil {
			return nil, err
		}
		if r, err := a.inFolder(info); r != nil || err != nil {
			return r, err
		}
		next := rest[0]
		if rest = rest[1:]; next == ".." {
			at = filepath.Dir(at)
			continue
		}
		path := filepath.Join(at, next)
		if info, err = a.o.FS.Lstat(path); err != nil {
			return nil, err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			at = path
			continue
		}
		if links++; links > maxLinks {
			return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.ELOOP}
		}
		target, err := os.Readlink(path)
		if err != nil {
			return nil, err
		}
		if filepath.IsAbs(target) {
			at = "/"
		}
		rest = append(split(target), rest...)
	}
	return nil, nil
}

// inFolder is who reads what lies in a folder, nil for the server.
func (a *Agent) inFolder(folder fs.FileInfo) (*reader, error) {
	st, ok := folder.Sys().(*syscall.Stat_t)
	switch mode := folder.Mode().Perm(); {
	case !ok || !folder.IsDir():
		return nil, nil
	case st.Uid != 0:
		u, err := hostuser.FindID(int(st.Uid))
		if errors.Is(err, hostuser.ErrNoUser) {
			u, err = hostuser.User{Name: fmt.Sprint(st.Uid), UID: int(st.Uid), GID: int(st.Gid), Home: "/"}, nil
		}
		return &reader{u, -1}, err
	case mode&0o002 != 0:
		return &reader{a.privs, -1}, nil
	case mode&0o020 != 0 && st.Gid != 0:
		return &reader{a.privs, int(st.Gid)}, nil
	}
	return nil, nil
}

func split(path string) (parts []string) {
	for part := range strings.SplitSeq(path, "/") {
		if part != "" && part != "." {
			parts = append(parts, part)
		}
	}
	return parts
}
