package backup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"toastmaster/internal/clock"
)

// ErrInUse is returned by Open when another process writes into the folder.
var ErrInUse = errors.New("another backup into this folder is running")

const (
	markerFile  = ".toastmaster-backups"
	unfinished  = ".unfinished-"
	nameLayout  = "2006-01-02T150405Z"
	syncedFile  = "synced"
	wholeFile   = "manifest"
	manifestDir = "manifests"
)

// Repository is a folder of backups, opened for writing. Close it.
type Repository struct {
	dir  string
	lock *os.File
}

// Open opens or makes a folder of backups and takes its lock. A folder with
// other things in it is refused.
func Open(dir string) (*Repository, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	marker := filepath.Join(dir, markerFile)
	if _, err := os.Lstat(marker); errors.Is(err, fs.ErrNotExist) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if e.Name() != "lost+found" {
				return nil, fmt.Errorf("%s has %s in it and is no folder of backups: choose an empty one", dir, e.Name())
			}
		}
	}
	lock, err := os.OpenFile(marker, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = fmt.Errorf("%s: %w", dir, ErrInUse)
		}
		return nil, errors.Join(err, lock.Close())
	}
	return &Repository{dir: dir, lock: lock}, nil
}

// Close gives the lock back.
func (r *Repository) Close() error { return r.lock.Close() }

// List names the whole backups in dir, oldest first.
func List(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || !e.IsDir() {
			continue
		}
		if _, err := os.Lstat(filepath.Join(dir, e.Name(), wholeFile)); err == nil {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// leftovers are the folders of backups that were interrupted.
func (r *Repository) leftovers() ([]string, error) {
	entries, err := os.ReadDir(r.dir)
	var dirs []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), unfinished) {
			dirs = append(dirs, filepath.Join(r.dir, e.Name()))
		}
	}
	return dirs, err
}

// BeginOptions are how a backup is made.
type BeginOptions struct {
	Clock clock.Clock
	// Full takes nothing from earlier backups: everything is copied.
	Full bool
}

// Begin begins a backup.
func (r *Repository) Begin(o BeginOptions) (*Writer, error) {
	left, err := r.leftovers()
	if err != nil {
		return nil, err
	}
	w := &Writer{repo: r, clock: o.Clock, synced: o.Clock.Now(), left: left, facts: map[string]string{}}
	if !o.Full {
		if err := w.findSources(); err != nil {
			return nil, err
		}
	}
	for at := o.Clock.Now().UTC(); ; at = at.Add(time.Second) {
		w.name = at.Format(nameLayout)
		w.dir = filepath.Join(r.dir, unfinished+w.name)
		_, err := os.Lstat(filepath.Join(r.dir, w.name))
		if err == nil {
			continue // the second one within a second
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err = os.Mkdir(w.dir, 0o700); err == nil {
			break
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	w.root, err = os.Open(w.dir)
	return w, err
}

// source is a backup from which unchanged files are linked.
type source struct {
	dir string
	// trusted are the sections that are on disk and their manifest's checksum,
	// where that is known.
	trusted map[string]bool
}

// findSources are the newest whole backup, and what was interrupted since.
func (w *Writer) findSources() error {
	for _, dir := range w.left {
		text, err := os.ReadFile(filepath.Join(dir, syncedFile))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		s := source{dir: dir, trusted: map[string]bool{}}
		for line := range strings.Lines(string(text)) {
			if name, whole := strings.CutSuffix(line, "\n"); whole {
				s.trusted[name] = true
			}
		}
		w.sources = append(w.sources, s)
	}
	names, err := List(w.repo.dir)
	if err != nil || len(names) == 0 {
		return err
	}
	b, err := Read(filepath.Join(w.repo.dir, names[len(names)-1]))
	if err != nil {
		return fmt.Errorf("the newest backup cannot be read, take a full one (--full): %w", err)
	}
	s := source{dir: b.dir, trusted: map[string]bool{}}
	for i := range b.whole.sections {
		s.trusted[b.whole.sections[i].name] = true
	}
	w.sources = append(w.sources, s)
	return nil
}

// Earlier are the files that earlier backups have of a section, by path; the
// newest backup that has the section counts. A damaged manifest there counts as
// none: its files are copied again.
func (w *Writer) Earlier(section string) Earlier {
	for _, s := range w.sources {
		if !s.trusted[section] {
			continue
		}
		entries, _, err := readSection(s.dir, section)
		if err != nil {
			continue
		}
		e := Earlier{dir: filepath.Join(s.dir, filepath.FromSlash(section)), Entries: entries}
		return e
	}
	return Earlier{}
}

// Earlier is a section of an earlier backup.
type Earlier struct {
	dir     string
	Entries []Entry
}
