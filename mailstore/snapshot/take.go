package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"toastmaster/internal/clock"
	"toastmaster/mailstore/index"
)

// ErrLocked is returned when another process keeps a mailbox locked.
var ErrLocked = errors.New("another process keeps a mailbox locked")

// ErrNoAccount is returned when the account is not there any more.
var ErrNoAccount = errors.New("the account is not there any more")

// Options are how a picture is taken.
type Options struct {
	// Root is the store's, Home the account's below it.
	Root, Home string
	Staging    *Staging
	// Have says whether the owner has the content of a message; folder is "" or
	// ".A.B", base its name without flags. nil: none.
	Have func(folder, base string) bool
	// Patience is how long Take tries to get all locks.
	Patience time.Duration
	Clock    clock.Clock
}

// File is a file of a picture.
type File struct {
	// Path is below the home, with slashes.
	Path string
	// From is where it can be read until Close; "" for a message that the owner
	// has, a folder or a link.
	From string
	// Folder and Base are those of a message, see Options.Have; Message is set.
	Folder, Base string
	Message      bool
	// Target is what a symbolic link points to.
	Target string
	// Info is that of a folder, nil for others.
	Info fs.FileInfo
}

// Picture is an account at one moment.
type Picture struct {
	Files []File
	dir   string
}

// Close lets go of the files.
func (p *Picture) Close() error { return os.RemoveAll(p.dir) }

// Messages lists the messages of an account without a lock, for who wants to copy
// most of them before Take.
func Messages(root, home string) ([]File, error) {
	dir := filepath.Join(root, filepath.FromSlash(home))
	folders, err := folders(dir)
	if err != nil {
		return nil, err
	}
	t := taking{home: dir}
	for _, f := range folders {
		if err := t.list(f); err != nil {
			return nil, err
		}
	}
	for i := range t.files {
		t.files[i].From = filepath.Join(dir, filepath.FromSlash(t.files[i].Path))
	}
	return t.files, nil
}

// lastPause bounds the pause between two tries.
const lastPause = 200 * time.Millisecond

// errAgain is for what changed while the picture was taken.
var errAgain = errors.New("the folders changed")

// Take takes a picture. Close it after use.
func Take(ctx context.Context, o Options) (*Picture, error) {
	home := filepath.Join(o.Root, filepath.FromSlash(o.Home))
	end := o.Clock.Now().Add(o.Patience)
	pause := time.Millisecond
	for {
		p, err := try(o, home)
		if err == nil || !errors.Is(err, errAgain) && !errors.Is(err, ErrLocked) {
			return p, err
		}
		if !isMaildir(home) {
			return nil, ErrNoAccount
		}
		if o.Clock.Now().After(end) {
			return nil, fmt.Errorf("%s: not at rest for %v: %w", home, o.Patience, err)
		}
		timer := o.Clock.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		case <-timer.C():
		}
		pause = min(2*pause, lastPause)
	}
}

// try takes the picture if it gets all locks at once.
func try(o Options, home string) (p *Picture, err error) {
	before, err := folders(home)
	if err != nil {
		return nil, again(err)
	}
	var locks []*os.File
	defer func() {
		for _, l := range locks {
			err = errors.Join(err, l.Close()) // which unlocks
		}
	}()
	unlocked := map[string]bool{}
	for _, folder := range before {
		l, err := lock(filepath.Join(home, folder, index.LogFile))
		if err != nil {
			return nil, err
		}
		if l == nil {
			unlocked[folder] = true
			continue
		}
		locks = append(locks, l)
	}
	o.Staging.next++
	dir := filepath.Join(o.Staging.dir, strconv.Itoa(o.Staging.next))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	t := taking{home: home, dir: dir, have: o.Have}
	if err := t.all(before, unlocked); err != nil {
		return nil, errors.Join(again(err), os.RemoveAll(dir))
	}
	return &Picture{Files: t.files, dir: dir}, nil
}

// again is for errors of files that went while they were looked at.
func again(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", errAgain, err)
	}
	return err
}

// folders are the mailboxes of a home as folders, "" for INBOX, in the order in
// which mailstore locks two: that of their paths.
func folders(home string) ([]string, error) {
	entries, err := os.ReadDir(home)
	if err != nil {
		return nil, err
	}
	out := []string{""}
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), ".") && isMaildir(filepath.Join(home, e.Name())) {
			out = append(out, e.Name())
		}
	}
	slices.Sort(out)
	return out, nil
}

// lock takes the lock of a mailbox; nil when it has no log, which nobody has
// opened then. The log that bears the name when the lock is held counts.
func lock(name string) (*os.File, error) {
	for {
		f, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			if errors.Is(err, syscall.EWOULDBLOCK) {
				err = fmt.Errorf("%w: %s", ErrLocked, filepath.Dir(name))
			}
			return nil, errors.Join(err, f.Close())
		}
		held, err := f.Stat()
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if now, err := os.Stat(name); err == nil && os.SameFile(held, now) {
			return f, nil
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
}

// taking is a picture that is being taken.
type taking struct {
	home, dir string
	have      func(folder, base string) bool
	files     []File
	n         int
}

// all takes everything, and looks whether the folders are what they were.
func (t *taking) all(before []string, unlocked map[string]bool) error {
	for _, folder := range before {
		if err := t.list(folder); err != nil {
			return err
		}
	}
	for i := range t.files {
		f := &t.files[i]
		if t.have != nil && t.have(f.Folder, f.Base) {
			continue
		}
		if err := t.pin(f); err != nil {
			return err
		}
	}
	for _, folder := range before {
		if err := t.others(folder, ""); err != nil {
			return err
		}
	}
	after, err := folders(t.home)
	if err != nil {
		return err
	}
	if !slices.Equal(before, after) {
		return errAgain
	}
	for folder := range unlocked {
		if _, err := os.Lstat(filepath.Join(t.home, folder, index.LogFile)); err == nil {
			return errAgain // opened meanwhile
		}
	}
	return nil
}

// list lists the messages of a folder.
func (t *taking) list(folder string) error {
	seen := map[string]bool{}
	for _, sub := range []string{"new", "cur"} {
		entries, err := os.ReadDir(filepath.Join(t.home, folder, sub))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			continue // somebody removed it, and the store makes it again; or it is a file
		}
		if err != nil {
			return err
		}
		for _, e := range entries {
			if !e.Type().IsRegular() || strings.HasPrefix(e.Name(), ".") {
				continue
			}
			f := File{Path: slashed(folder, sub, e.Name()), Folder: folder, Base: base(e.Name()), Message: true}
			if seen[f.Base] {
				f.Base = e.Name() // two files of one message: none is taken for the other
			}
			seen[f.Base] = true
			t.files = append(t.files, f)
		}
	}
	return nil
}

// base is what stays when flags change.
func base(name string) string {
	b, _, _ := strings.Cut(name, ":")
	return b
}

func slashed(parts ...string) string {
	return strings.TrimPrefix(filepath.ToSlash(filepath.Join(parts...)), "/")
}

// pin gives a file a second name in the stage; one with all the names that it
// can have is copied.
func (t *taking) pin(f *File) error {
	t.n++
	f.From = filepath.Join(t.dir, strconv.Itoa(t.n))
	source := filepath.Join(t.home, filepath.FromSlash(f.Path))
	err := os.Link(source, f.From)
	if errors.Is(err, syscall.EMLINK) || errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EXDEV) {
		return duplicate(source, f.From)
	}
	return err
}

// duplicate copies a file with its mode and time.
func duplicate(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, info.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Chmod(info.Mode().Perm()), out.Close()); err != nil {
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		if err := os.Chown(to, int(st.Uid), int(st.Gid)); err != nil {
			return err
		}
	}
	return os.Chtimes(to, info.ModTime(), info.ModTime())
}

// others takes what is no message of a folder, and of the folders below it that
// are no mailboxes.
func (t *taking) others(folder, below string) error {
	at := filepath.Join(t.home, folder, below)
	info, err := os.Lstat(at)
	if err != nil {
		return err
	}
	t.files = append(t.files, File{Path: cleaned(slashed(folder, below)), Info: info})
	entries, err := os.ReadDir(at)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := t.other(folder, below, e); err != nil {
			return err
		}
	}
	return nil
}

func cleaned(p string) string {
	if p == "" {
		return "."
	}
	return p
}

// other takes one entry.
func (t *taking) other(folder, below string, e fs.DirEntry) error {
	name, path := e.Name(), slashed(folder, below, e.Name())
	full := filepath.Join(t.home, filepath.FromSlash(path))
	top := below == ""
	switch {
	case e.IsDir() && top && (name == "cur" || name == "new" || name == "tmp"):
		info, err := os.Lstat(full)
		t.files = append(t.files, File{Path: path, Info: info})
		if err != nil || name == "tmp" {
			return err
		}
		return t.links(path)
	case e.IsDir() && isMaildir(full):
		return nil // a mailbox of this home, or another home
	case e.IsDir():
		return t.others(folder, filepath.Join(below, name))
	case e.Type()&fs.ModeSymlink != 0:
		return t.link(path)
	case !e.Type().IsRegular() || top && madeAnew(name):
		return nil
	}
	t.n++
	f := File{Path: path, From: filepath.Join(t.dir, strconv.Itoa(t.n))}
	t.files = append(t.files, f)
	// Written in place, as the log is, or replaced: the copy is what it is now.
	err := duplicate(full, f.From)
	if errors.Is(err, fs.ErrNotExist) && !top {
		t.files = t.files[:len(t.files)-1] // not one of the store's
		return nil
	}
	return err
}

// links takes the messages in new or cur that are symbolic links.
func (t *taking) links(sub string) error {
	entries, err := os.ReadDir(filepath.Join(t.home, filepath.FromSlash(sub)))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Type()&fs.ModeSymlink == 0 {
			continue
		}
		if err := t.link(slashed(sub, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// link takes a symbolic link, not what it points to.
func (t *taking) link(path string) error {
	target, err := os.Readlink(filepath.Join(t.home, filepath.FromSlash(path)))
	if err != nil {
		return err
	}
	t.files = append(t.files, File{Path: path, Target: target})
	return nil
}

// dirSizeFile is Maildir++'s; it is counted again when it is missing.
const dirSizeFile = "maildirsize"

// madeAnew says that a file is made again from the others. Its remains would
// not fit to the messages.
func madeAnew(name string) bool {
	return name == index.CacheFile || name == dirSizeFile || strings.HasSuffix(name, ".lock") || strings.HasSuffix(name, ".tmp")
}
