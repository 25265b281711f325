package backup

import (
	"crypto/sha256"
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

	"golang.org/x/sys/unix"

	"toastmaster/internal/clock"
)

// Writer is a backup that is being made; for one goroutine. Finish or Abandon it.
type Writer struct {
	repo    *Repository
	clock   clock.Clock
	name    string
	dir     string
	root    *os.File
	left    []string
	sources []source
	facts   map[string]string
	done    []sectionLine
	// pending are sections that are written and not known to be on disk.
	pending []string
	synced  time.Time
	// Copied and Linked count files and octets.
	Copied, Linked Count
}

// Count is a number of files and of octets.
type Count struct{ Files, Bytes int64 }

func (c *Count) add(size int64) { c.Files++; c.Bytes += size }

// Path is where it lies when it is whole.
func (w *Writer) Path() string { return filepath.Join(w.repo.dir, w.name) }

// Fact notes something about the whole.
func (w *Writer) Fact(name, value string) { w.facts[name] = value }

// Section is a part of a backup while it is written.
type Section struct {
	w       *Writer
	name    string
	dir     string
	made    map[string]bool
	entries map[string]Entry
}

// Begin begins a section; End ends it.
func (w *Writer) Begin(name string) (*Section, error) {
	if !filepath.IsLocal(name) {
		return nil, fmt.Errorf("section %q leads out of the backup", name)
	}
	s := &Section{w: w, name: name, dir: filepath.Join(w.dir, filepath.FromSlash(name)), made: map[string]bool{}, entries: map[string]Entry{}}
	return s, os.MkdirAll(s.dir, 0o700)
}

func (s *Section) path(p string) (string, error) {
	if !filepath.IsLocal(p) {
		return "", fmt.Errorf("path %q leads out of the backup", p)
	}
	full := filepath.Join(s.dir, filepath.FromSlash(p))
	parent := filepath.Dir(full)
	if s.made[parent] {
		return full, nil
	}
	err := os.MkdirAll(parent, 0o700)
	s.made[parent] = err == nil
	return full, err
}

// AddDir notes a folder as it is at from.
func (s *Section) AddDir(path string, info fs.FileInfo) error {
	full, err := s.path(path)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(full, 0o700); err != nil {
		return err
	}
	s.made[full] = true
	e := Entry{Kind: Dir, Path: path, Mode: info.Mode().Perm()}
	e.UID, e.GID = owner(info)
	s.entries[path] = e
	return nil
}

// AddLink notes a symbolic link.
func (s *Section) AddLink(path, target string) error {
	full, err := s.path(path)
	if err != nil {
		return err
	}
	if err := os.Symlink(target, full); err != nil {
		return err
	}
	s.entries[path] = Entry{Kind: Link, Path: path, Target: target}
	return nil
}

// Copy copies the file from to path.
func (s *Section) Copy(path, from string) (Entry, error) {
	f, err := os.OpenFile(from, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return Entry{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Entry{}, err
	}
	if !info.Mode().IsRegular() {
		return Entry{}, fmt.Errorf("%s is no regular file", from)
	}
	e := Entry{Kind: File, Path: path, Mode: info.Mode().Perm(), Time: info.ModTime()}
	e.UID, e.GID = owner(info)
	return s.write(e, f)
}

// Write writes what r has to path, with this mode and time.
func (s *Section) Write(path string, mode fs.FileMode, at time.Time, r io.Reader) (Entry, error) {
	return s.write(Entry{Kind: File, Path: path, Mode: mode, UID: os.Geteuid(), GID: os.Getegid(), Time: at}, r)
}

func (s *Section) write(e Entry, r io.Reader) (Entry, error) {
	full, err := s.path(e.Path)
	if err != nil {
		return e, err
	}
	f, err := os.OpenFile(full, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return e, err
	}
	sum := sha256.New()
	e.Size, err = io.Copy(io.MultiWriter(f, sum), r)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Chtimes(full, e.Time, e.Time)
	}
	if err != nil {
		return e, errors.Join(err, os.Remove(full))
	}
	sum.Sum(e.Sum[:0])
	s.entries[e.Path] = e
	s.w.Copied.add(e.Size)
	return e, nil
}

// Where is where a file of the section lies until Finish.
func (s *Section) Where(path string) string { return filepath.Join(s.dir, filepath.FromSlash(path)) }

// Adopt takes a file that the caller has made at Where(path), a copy of what like
// describes. It has like's owner, whoever makes the backup: a restore gives
// files the owner that is noted here.
func (s *Section) Adopt(path string, like fs.FileInfo) error {
	f, err := os.Open(s.Where(path))
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	e := Entry{Kind: File, Path: path, Mode: 0o600, Time: info.ModTime()}
	e.UID, e.GID = owner(like)
	sum := sha256.New()
	if e.Size, err = io.Copy(sum, f); err != nil {
		return err
	}
	sum.Sum(e.Sum[:0])
	s.entries[path] = e
	s.w.Copied.add(e.Size)
	return nil
}

// Reuse makes path what an earlier backup has as old. The error is fs.ErrNotExist
// when that has gone; where no further link is possible the file is copied.
func (s *Section) Reuse(path string, from Earlier, old Entry) error {
	full, err := s.path(path)
	if err != nil {
		return err
	}
	source := filepath.Join(from.dir, filepath.FromSlash(old.Path))
	err = os.Link(source, full)
	if errors.Is(err, syscall.EMLINK) || errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EXDEV) {
		e, err := s.Copy(path, source)
		if err == nil && e.Sum != old.Sum {
			err = fmt.Errorf("%w: %s", ErrDamaged, source)
		}
		e.Mode, e.UID, e.GID = old.Mode, old.UID, old.GID
		s.entries[path] = e
		return err
	}
	if err != nil {
		return err
	}
	old.Path = path
	s.entries[path] = old
	s.w.Linked.add(old.Size)
	return nil
}

// Rename changes the path of a file.
func (s *Section) Rename(from, to string) error {
	full, err := s.path(to)
	if err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(s.dir, filepath.FromSlash(from)), full); err != nil {
		return err
	}
	e := s.entries[from]
	delete(s.entries, from)
	e.Path = to
	s.entries[to] = e
	return nil
}

// Drop takes a file away again.
func (s *Section) Drop(path string) error {
	delete(s.entries, path)
	return os.Remove(filepath.Join(s.dir, filepath.FromSlash(path)))
}

// Has says that path is in the section.
func (s *Section) Has(path string) bool { _, ok := s.entries[path]; return ok }

// End writes the section's manifest.
func (s *Section) End() error {
	paths := make([]string, 0, len(s.entries))
	for p := range s.entries {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	line := sectionLine{name: s.name}
	b := []byte(sectionTitle + "\n")
	for _, p := range paths {
		e := s.entries[p]
		b = appendEntry(b, &e)
		if e.Kind == File {
			line.files++
			line.bytes += e.Size
		}
	}
	b = seal(b)
	line.sum = sha256.Sum256(b)
	file := manifestPath(s.w.dir, s.name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(file, b, 0o600); err != nil {
		return err
	}
	s.w.done = append(s.w.done, line)
	s.w.pending = append(s.w.pending, s.name)
	return s.w.keep(false)
}

// syncEvery is how much time an interrupted backup may lose. It is no parameter: a
// backup that was interrupted takes the files over that it has.
const syncEvery = 10 * time.Second

// keep notes which sections are on disk, from time to time or now.
func (w *Writer) keep(now bool) error {
	if !now && w.clock.Now().Sub(w.synced) < syncEvery || len(w.pending) == 0 {
		return nil
	}
	if err := unix.Syncfs(int(w.root.Fd())); err != nil {
		return fmt.Errorf("%s: %w", w.repo.dir, err)
	}
	f, err := os.OpenFile(filepath.Join(w.dir, syncedFile), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(strings.Join(w.pending, "\n") + "\n")
	w.pending, w.synced = nil, w.clock.Now()
	return errors.Join(err, f.Sync(), f.Close())
}

// Finish makes the backup whole: everything is synced, then it gets its name.
// What was interrupted before is removed.
func (w *Writer) Finish() error {
	names := make([]string, 0, len(w.facts))
	for n := range w.facts {
		names = append(names, n)
	}
	slices.Sort(names)
	b := []byte(wholeTitle + "\n")
	for _, n := range names {
		b = appendFact(b, n, w.facts[n])
	}
	slices.SortFunc(w.done, func(a, b sectionLine) int { return strings.Compare(a.name, b.name) })
	for i := range w.done {
		b = appendSection(b, &w.done[i])
	}
	if err := os.WriteFile(filepath.Join(w.dir, wholeFile), seal(b), 0o600); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(w.dir, syncedFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := unix.Syncfs(int(w.root.Fd())); err != nil {
		return fmt.Errorf("%s: %w", w.repo.dir, err)
	}
	if err := os.Rename(w.dir, w.Path()); err != nil {
		return err
	}
	if err := syncDir(w.repo.dir); err != nil {
		return err
	}
	w.dir = w.Path()
	for _, dir := range w.left {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("the backup is whole, but the remains of an interrupted one cannot be removed: %w", err)
		}
	}
	return w.root.Close()
}

// Abandon leaves what there is for the next backup to go on with.
func (w *Writer) Abandon() error { return errors.Join(w.keep(true), w.root.Close()) }

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func owner(info fs.FileInfo) (uid, gid int) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid), int(st.Gid)
	}
	return os.Geteuid(), os.Getegid()
}
