package box

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"toastmaster/mailstore/index"
	"toastmaster/mailstore/maildir"
	"toastmaster/mailstore/volume"
)

// folder is the Maildir of a mailbox as it lies on the disk: which files there are, and
// what is done about those that should not be. It knows no index. Who changes
// something in it holds the locks of the mailbox.
type folder struct {
	vol  *volume.Volume
	path string
}

// mtime is that of new or cur, which is made again if somebody removed it.
func (f *folder) mtime(sub string) (int64, error) {
	name := f.path + "/" + sub // filepath.Join would clean what is clean, at each SELECT
	info, err := f.vol.FS.Stat(name)
	if err != nil {
		if err = f.vol.Mend(f.path, err); err == nil {
			info, err = f.vol.FS.Stat(name)
		}
	}
	if err != nil {
		return 0, err
	}
	return info.ModTime().UnixNano(), nil
}

func (f *folder) mtimes() (n, c int64, err error) {
	if n, err = f.mtime("new"); err != nil {
		return 0, 0, err
	}
	c, err = f.mtime("cur")
	return n, c, err
}

// foundFile is a file of a message as its name tells it.
type foundFile struct {
	flags          maildir.Flags
	inNew, hasInfo bool
	// odd: what follows the base name, rest, is not spelt as we spell it.
	odd  bool
	rest string
	file string // "new/name"
}

// placeOf parses a name; ok is false for what is no message.
func placeOf(sub, name string, inNew bool) (base string, p foundFile, ok bool) {
	base, flags, ok := maildir.Split(name)
	if !ok {
		return "", foundFile{}, false
	}
	p = foundFile{flags: flags, inNew: inNew, file: sub + "/" + name}
	rest := name[len(base):]
	switch {
	case inNew && rest == "":
	case maildir.Usual(rest, flags):
		p.hasInfo = true
	default:
		p.odd, p.rest = true, rest
	}
	return base, p, true
}

// is says that m's file is at p, under that very name.
func (p *foundFile) is(m *index.Message) bool {
	if p.flags != m.Flags || p.inNew != m.InNew {
		return false
	}
	if m.Rare != nil && m.Rare.Odd || p.odd {
		return m.Rare != nil && m.Rare.Odd == p.odd && m.Rare.Rest == p.rest
	}
	return p.hasInfo == m.HasInfo || !p.inNew
}

// rare is what m has besides when its file is at p.
func (p *foundFile) rare(r index.Rare) index.Rare {
	r.Odd, r.Rest = p.odd, p.rest
	return r
}

// places are the files by base name.
func (f *folder) places() (map[string]foundFile, error) {
	at := map[string]foundFile{}
	return at, errors.Join(f.list(at, "new", true), f.list(at, "cur", false))
}

// list adds what can be messages in new or cur.
func (f *folder) list(at map[string]foundFile, sub string, inNew bool) error {
	entries, err := f.vol.FS.ReadDir(filepath.Join(f.path, sub))
	if err != nil {
		return err
	}
	for _, e := range entries {
		base, p, ok := placeOf(sub, e.Name(), inNew)
		if !ok {
			f.nameless(sub, e.Name())
			continue
		}
		if !f.isFile(sub, e) {
			continue
		}
		if _, twice := at[base]; twice {
			if err := f.twin(at, base, p); err != nil {
				return err
			}
			continue
		}
		at[base] = p
	}
	return nil
}

// A Maildir that other programs and people had their hands in holds things that
// are no message, and messages that cannot be read. They are left as they are,
// said once in the log, and all else is served. Not taken: to refuse the
// mailbox, because its owner can do nothing about it.

// isFile says whether an entry of new or cur can be a message: a regular file,
// or a symbolic link to one.
func (f *folder) isFile(sub string, e fs.DirEntry) bool {
	path := filepath.Join(f.path, sub, e.Name())
	switch {
	case e.Type().IsRegular():
		return true
	case e.Type()&fs.ModeSymlink != 0:
		info, err := f.vol.FS.Stat(path)
		if err == nil && info.Mode().IsRegular() {
			return true
		}
		f.vol.SayOnce(path, "a symbolic link to no regular file", err)
	case e.IsDir():
		f.vol.SayOnce(path, "a folder where messages lie", nil)
	default:
		f.vol.SayOnce(path, volume.ErrNoFile.Error(), nil)
	}
	return false
}

// nameless says that a file cannot be a message under its name. One that begins
// with a dot is hidden on purpose, by NFS for example.
func (f *folder) nameless(sub, name string) {
	if !strings.HasPrefix(name, ".") {
		f.vol.SayOnce(filepath.Join(f.path, sub, name), "its name has a line feed or begins with a colon, which no list of messages can hold: rename it", nil)
	}
}

// twinAge is how long two names of one file must have been untouched before one is
// removed: a program that moves a file by link and unlink is done then. It is no
// parameter: it is longer than a program takes between link and unlink.
const twinAge = 30 * time.Second

// twin decides between two files with one base name, as Dovecot does. One of
// them was moved while we read the directories, as a rule. Two names of one
// file are one message; two files are two, and the second gets another name.
func (f *folder) twin(at map[string]foundFile, base string, second foundFile) error {
	first := at[base]
	a, err := f.vol.FS.Stat(filepath.Join(f.path, first.file))
	if errors.Is(err, fs.ErrNotExist) {
		at[base] = second
		return nil
	}
	b, err2 := f.vol.FS.Stat(filepath.Join(f.path, second.file))
	switch {
	case errors.Is(err2, fs.ErrNotExist):
		return nil
	case err != nil || err2 != nil:
		return errors.Join(err, err2)
	}
	if same, settled := sameFile(a, b, f.vol.Clock.Now()); same {
		at[base] = second
		if !settled {
			return nil
		}
		f.vol.Log.Warn("one message had two names in a Maildir, one was removed", "path", f.path, "removed", first.file, "kept", second.file)
		return f.unlink(first.file)
	}
	seconds, unique := f.vol.UniqueName()
	next := maildir.BaseName(seconds, unique, f.vol.Host(), 0, 0)
	next, _, _ = strings.Cut(next, ",")
	if _, fields, found := strings.Cut(base, ","); found {
		next += "," + fields
	}
	file := filepath.Dir(second.file) + "/" + next + filepath.Base(second.file)[len(base):]
	if err := f.vol.FS.Rename(filepath.Join(f.path, second.file), filepath.Join(f.path, file)); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	f.vol.Log.Warn("two messages had one name in a Maildir, the second was renamed", "path", f.path, "from", second.file, "to", file)
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

// unlinkBases removes the files with these base names and counts them.
func (f *folder) unlinkBases(bases map[string]bool) (n int, err error) {
	at, err := f.places()
	if err != nil {
		return 0, err
	}
	for base, p := range at {
		if !bases[base] {
			continue
		}
		if err := f.unlink(p.file); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func (f *folder) unlink(file string) error {
	err := f.vol.FS.Remove(filepath.Join(f.path, file))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// linkOrCopy gives a file another name. A file system allows a number of names
// for a file (65,000 on ext4): a message that has them all is copied.
func (f *folder) linkOrCopy(file, name string) error {
	err := f.vol.FS.Link(file, name)
	if !errors.Is(err, syscall.EMLINK) {
		return err
	}
	from, err := f.vol.FS.OpenFile(file, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer from.Close()
	info, err := from.Stat()
	if err != nil {
		return err
	}
	to, err := f.vol.FS.OpenTemp(filepath.Join(f.path, "tmp"), 0o600)
	if err != nil {
		return err
	}
	if _, err = io.Copy(to, io.NewSectionReader(from, 0, info.Size())); err == nil {
		err = to.Sync() // no other name leads to its content
	}
	if err != nil {
		return errors.Join(err, to.Close())
	}
	if err := to.LinkTo(name); err != nil {
		return errors.Join(err, to.Close())
	}
	if err = errors.Join(to.Close(), f.vol.FS.Chtimes(name, time.Time{}, info.ModTime())); err != nil {
		// Nobody else knows that it is there, and a scan would take it for mail.
		return errors.Join(err, f.vol.FS.Remove(name))
	}
	return nil
}
