package plainmaildir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/emersion/go-maildir"

	"toastmaster/internal/vfs"
)

// ErrNotOurs is returned for a folder in which another user could change what is
// written.
var ErrNotOurs = errors.New("another user could change what is written there")

// ErrName is returned for a base name that no file of a Maildir can have.
var ErrName = errors.New("no name of a message in a Maildir")

// Folder is one Maildir. It is for one goroutine.
type Folder struct {
	fs   vfs.FS
	path string
	// have has what is in cur, by base name.
	have map[string]message
	// pending are those in tmp, by base name.
	pending map[string]message
	// renamed says that names in cur are not synced yet.
	renamed bool
}

// message is one with its name in cur and the letters of its flags, in ASCII order.
type message struct{ name, letters string }

func named(base, letters string) message {
	sorted := slices.Compact(slices.Sorted(slices.Values([]byte(letters))))
	return message{base + ":2," + string(sorted), string(sorted)}
}

// Open makes the Maildir at path, whose parent is there, or takes what is there.
func Open(fsys vfs.FS, path string) (*Folder, error) {
	if err := Ours(fsys, path); err != nil {
		return nil, err
	}
	for _, sub := range []string{"tmp", "new", "cur"} {
		if err := Ours(fsys, filepath.Join(path, sub)); err != nil {
			return nil, err
		}
	}
	dir := maildir.Dir(path)
	if err := dir.Init(); err != nil {
		return nil, err
	}
	f := &Folder{fs: fsys, path: path, have: map[string]message{}, pending: map[string]message{}}
	// What is spelt otherwise is not ours, and an error of the listing.
	err := dir.Walk(func(m *maildir.Message) error {
		f.have[m.Key()] = message{filepath.Base(m.Filename()), string(m.Flags())}
		return nil
	})
	if err = realError(err); err != nil {
		return nil, err
	}
	return f, nil
}

// Ours says whether path, if it is there, is a folder that only this user writes to.
func Ours(fsys vfs.FS, path string) error {
	info, err := fsys.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s: %w: it is a symbolic link, or no folder", path, ErrNotOurs)
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("%s: %w: its mode is %v", path, ErrNotOurs, info.Mode().Perm())
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s: %w: it belongs to user %d", path, ErrNotOurs, st.Uid)
	}
	return nil
}

// realError is err without those about names that are spelt otherwise.
func realError(err error) error {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var left []error
		for _, one := range many.Unwrap() {
			left = append(left, realError(one))
		}
		return errors.Join(left...)
	}
	var name *maildir.MailfileError
	var flag *maildir.FlagError
	if errors.As(err, &name) || errors.As(err, &flag) {
		return nil
	}
	return err
}

// Len is how many messages there are.
func (f *Folder) Len() int { return len(f.have) }

// Has says whether a message with this base name is there.
func (f *Folder) Has(base string) bool {
	_, there := f.have[base]
	return there
}

// SetFlags gives a message that is there these letters; changed says that it had
// others. They are durable after Commit.
func (f *Folder) SetFlags(base, letters string) (changed bool, err error) {
	m, there := f.have[base]
	if !there {
		return false, fmt.Errorf("%s: %w", base, fs.ErrNotExist)
	}
	next := named(base, letters)
	if next.letters == m.letters {
		return false, nil
	}
	cur := filepath.Join(f.path, "cur")
	if err := f.fs.Rename(filepath.Join(cur, m.name), filepath.Join(cur, next.name)); err != nil {
		return false, err
	}
	f.have[base], f.renamed = next, true
	return true, nil
}

// ValidName says that base can be the name of a message, and of nothing else.
func ValidName(base string) bool {
	return base != "" && base[0] != '.' && len(base) <= 200 && !strings.ContainsAny(base, "/:\n\x00")
}

// Put writes a message to tmp; Commit gives it its name. letters are its flags, date is the file's, which is when it arrived for who reads it.
func (f *Folder) Put(base, letters string, date time.Time, content io.Reader) error {
	if !ValidName(base) {
		return fmt.Errorf("%w: %q", ErrName, base)
	}
	path := filepath.Join(f.path, "tmp", base)
	// An earlier run may have left a part of it.
	if err := f.fs.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := f.fs.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	if err = errors.Join(err, file.Close()); err == nil {
		err = f.fs.Chtimes(path, date, date)
	}
	if err != nil {
		return errors.Join(err, f.fs.Remove(path))
	}
	f.pending[base] = named(base, letters)
	return nil
}

// Pending is how many messages wait for Commit.
func (f *Folder) Pending() int { return len(f.pending) }

// Commit makes what was put durable, and messages of it; flags that were set are
// durable, too. After an error some may be messages, each whole; the others are put
// again, and the next Commit syncs all names.
func (f *Folder) Commit() error {
	if len(f.pending) > 0 {
		if err := f.syncAll(); err != nil {
			return err
		}
	}
	cur := filepath.Join(f.path, "cur")
	for base, m := range f.pending {
		if err := f.fs.Rename(filepath.Join(f.path, "tmp", base), filepath.Join(cur, m.name)); err != nil {
			return err
		}
		f.have[base], f.renamed = m, true
		delete(f.pending, base)
	}
	if !f.renamed {
		return nil
	}
	if err := f.fs.SyncDir(cur); err != nil {
		return err
	}
	f.renamed = false
	return nil
}

// syncAll makes all contents durable with one call.
func (f *Folder) syncAll() error {
	dir, err := f.fs.OpenFile(filepath.Join(f.path, "tmp"), os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(dir.SyncFS(), dir.Close())
}
