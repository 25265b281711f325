package mailstore

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"toastmaster/internal/vfs"
	"toastmaster/mailstore/maildir"
)

// A Maildir that other programs and people had their hands in holds things that
// are no message, and messages that cannot be read. They are left as they are,
// said once in the log, and all else is served. Not taken: to refuse the
// mailbox, because its owner can do nothing about it.

// maxSaid is how many of them are remembered, in all accounts. It is no parameter: with
// more, something is said again, and ten thousand odd files are told by the first.
const maxSaid = 10000

// said remembers what the log was told, until so much was said that it starts
// anew.
type said struct {
	mu    sync.Mutex
	paths map[string]struct{}
}

// sayOnce logs that path is passed over.
func (s *Store) sayOnce(path, why string, cause error) {
	s.odd.mu.Lock()
	_, known := s.odd.paths[path]
	if !known {
		if s.odd.paths == nil || len(s.odd.paths) >= maxSaid {
			s.odd.paths = map[string]struct{}{}
		}
		s.odd.paths[path] = struct{}{}
	}
	s.odd.mu.Unlock()
	if known {
		return
	}
	text := ""
	if cause != nil {
		text = cause.Error()
	}
	s.log.Warn("passed over in the mail store", "path", path, "why", why, "cause", text)
}

// odd says that err is about this one file or folder and not about the disk.
func odd(err error) bool {
	for _, e := range []error{fs.ErrPermission, unix.ENOTDIR, unix.EISDIR, unix.ELOOP, unix.ENXIO, unix.ENODEV, errNoFile, errNeverStored} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

var errNoFile = errors.New("not a regular file")

// isFile says whether an entry of new or cur can be a message: a regular file,
// or a symbolic link to one.
func (mb *mailbox) isFile(sub string, e fs.DirEntry) bool {
	path := filepath.Join(mb.path, sub, e.Name())
	switch {
	case e.Type().IsRegular():
		return true
	case e.Type()&fs.ModeSymlink != 0:
		info, err := mb.store().fs.Stat(path)
		if err == nil && info.Mode().IsRegular() {
			return true
		}
		mb.store().sayOnce(path, "a symbolic link to no regular file", err)
	case e.IsDir():
		mb.store().sayOnce(path, "a folder where messages lie", nil)
	default:
		mb.store().sayOnce(path, errNoFile.Error(), nil)
	}
	return false
}

// nameless says that a file cannot be a message under its name. One that begins
// with a dot is hidden on purpose, by NFS for example.
func (mb *mailbox) nameless(sub, name string) {
	if !strings.HasPrefix(name, ".") {
		mb.store().sayOnce(filepath.Join(mb.path, sub, name), "its name has a line feed or begins with a colon, which no list of messages can hold: rename it", nil)
	}
}

// unread notes that an unknown file cannot be read now. Whoever gives it its
// rights back changes no directory, so both are read again after
// verify_interval.
func (mb *mailbox) unread(file string, cause error) {
	mb.store().sayOnce(filepath.Join(mb.path, file), "cannot be read", cause)
	mb.sync.unread = true
}

// errNeverStored is about a file that is a name and no more. The power failed
// before what was in it was on the disk, and before the journal was: nobody was
// told that it is stored.
var errNeverStored = errors.New("empty, though its name says how long it is: the power failed before it was answered for, and it was never stored. It may be removed")

// neverStored says so of an empty file. It is one of ours, because others have
// other rules; none that the queue delivers again, which finds the name and
// fills the file; and none that the journal has, which does the same. It stays
// where it is: whoever copies a mailbox with cp may be about to fill it. A part
// of a message is shown: it may be all that there is.
func (mb *mailbox) neverStored(base string) bool {
	if _, told := mb.store().promised[mb.path][base]; told {
		return false
	}
	_, rest, _ := strings.Cut(base, ".")
	unique, rest, _ := strings.Cut(rest, ".")
	host, _, _ := strings.Cut(rest, ",S=")
	return isUnique(unique) && host == mb.store().host
}

// regularFile is an open regular file.
type regularFile struct {
	vfs.File
	info fs.FileInfo
}

// openRegular opens a file that may be anything, and refuses what is none.
func openRegular(fsys vfs.FS, name string, flag int) (f regularFile, err error) {
	// Without O_NONBLOCK a named pipe would be waited for.
	if f.File, err = fsys.OpenFile(name, flag|unix.O_NONBLOCK|unix.O_NOCTTY, 0); err != nil {
		return f, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: errNoFile}
	}
	if err != nil {
		return f, errors.Join(err, f.Close())
	}
	f.info = info
	return f, nil
}

// twinAge is how long two names of one file must have been untouched before one is
// removed: a program that moves a file by link and unlink is done then. It is no
// parameter: it is longer than a program takes between link and unlink.
const twinAge = 30 * time.Second

// twin decides between two files with one base name, as Dovecot does. One of
// them was moved while we read the directories, as a rule. Two names of one
// file are one message; two files are two, and the second gets another name.
func (mb *mailbox) twin(at map[string]place, base string, second place) error {
	s := mb.store()
	first := at[base]
	a, err := s.fs.Stat(filepath.Join(mb.path, first.file))
	if errors.Is(err, fs.ErrNotExist) {
		at[base] = second
		return nil
	}
	b, err2 := s.fs.Stat(filepath.Join(mb.path, second.file))
	switch {
	case errors.Is(err2, fs.ErrNotExist):
		return nil
	case err != nil || err2 != nil:
		return errors.Join(err, err2)
	}
	if same, settled := sameFile(a, b, mb.now()); same {
		at[base] = second
		if !settled {
			return nil
		}
		s.log.Warn("one message had two names in a Maildir, one was removed", "path", mb.path, "removed", first.file, "kept", second.file)
		return mb.unlink(first.file)
	}
	seconds, unique := s.uniqueName()
	next := maildir.BaseName(seconds, unique, s.host, 0, 0)
	next, _, _ = strings.Cut(next, ",")
	if _, fields, found := strings.Cut(base, ","); found {
		next += "," + fields
	}
	file := filepath.Dir(second.file) + "/" + next + filepath.Base(second.file)[len(base):]
	if err := s.fs.Rename(filepath.Join(mb.path, second.file), filepath.Join(mb.path, file)); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	s.log.Warn("two messages had one name in a Maildir, the second was renamed", "path", mb.path, "from", second.file, "to", file)
	second.file = file
	at[next] = second
	return nil
}

// sameFile says whether two names are one file, and whether it is settled that
// they stay so.
func sameFile(a, b fs.FileInfo, now time.Time) (same, settled bool) {
	x, ok := a.Sys().(*syscall.Stat_t)
	y, ok2 := b.Sys().(*syscall.Stat_t)
	if !ok || !ok2 || x.Dev != y.Dev || x.Ino != y.Ino {
		return false, false
	}
	changed := time.Unix(y.Ctim.Unix())
	return true, x.Nlink > 1 && x.Ctim == y.Ctim && now.Sub(changed) > twinAge
}
