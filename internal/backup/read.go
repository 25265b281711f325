package backup

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Backup is a whole backup.
type Backup struct {
	dir   string
	whole *whole
}

// Find reads the backup at path or, when that is a folder of backups, the newest
// in it.
func Find(path string) (*Backup, error) {
	if _, err := os.Stat(filepath.Join(path, wholeFile)); err == nil {
		return Read(path)
	}
	if strings.HasPrefix(filepath.Base(path), unfinished) {
		return nil, fmt.Errorf("%s was interrupted and is no whole backup", path)
	}
	names, err := List(path)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s has no whole backup in it", path)
	}
	return Read(filepath.Join(path, names[len(names)-1]))
}

// Read reads the backup in dir.
func Read(dir string) (*Backup, error) {
	b, err := os.ReadFile(filepath.Join(dir, wholeFile))
	if err != nil {
		return nil, err
	}
	w, err := parseWhole(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, wholeFile), err)
	}
	return &Backup{dir: dir, whole: w}, nil
}

// Path is the backup's folder.
func (b *Backup) Path() string { return b.dir }

// Fact is what was noted under a name, "" for nothing.
func (b *Backup) Fact(name string) string { return b.whole.facts[name] }

// Sections names the sections in order.
func (b *Backup) Sections() []string {
	names := make([]string, len(b.whole.sections))
	for i := range b.whole.sections {
		names[i] = b.whole.sections[i].name
	}
	return names
}

// Total counts the files of all sections, or of those that are named.
func (b *Backup) Total(sections ...string) (c Count) {
	for i := range b.whole.sections {
		s := &b.whole.sections[i]
		if len(sections) == 0 || slices.Contains(sections, s.name) {
			c.Files += s.files
			c.Bytes += s.bytes
		}
	}
	return c
}

// Entries reads the manifest of a section and compares it with its checksum.
func (b *Backup) Entries(section string) ([]Entry, error) {
	for i := range b.whole.sections {
		if s := &b.whole.sections[i]; s.name == section {
			entries, sum, err := readSection(b.dir, section)
			if err == nil && sum != s.sum {
				err = fmt.Errorf("%w: the manifest of section %s is another", ErrDamaged, section)
			}
			if err == nil {
				err = b.sectionBelowLink(section, entries)
			}
			return entries, err
		}
	}
	return nil, fmt.Errorf("the backup has no section %s", section)
}

// sectionBelowLink is the error of a section below a link of this one.
func (b *Backup) sectionBelowLink(section string, entries []Entry) error {
	for i := range entries {
		if entries[i].Kind != Link {
			continue
		}
		link := filepath.Join(section, entries[i].Path)
		for _, name := range b.Sections() {
			if name == link || strings.HasPrefix(name, link+"/") {
				return fmt.Errorf("%w: section %s lies below the link %q: %w", ErrDamaged, name, link, errOut)
			}
		}
	}
	return nil
}

// File is where a file of a section lies.
func (b *Backup) File(section, path string) string {
	return filepath.Join(b.dir, filepath.FromSlash(section), filepath.FromSlash(path))
}

// Problem is something that Verify found.
type Problem struct {
	Path string
	What string
}

// Verify reads every file and compares it with its checksum. problem is called
// for each thing that is not as it was written, progress for each file. The
// error is that of the verification itself.
func (b *Backup) Verify(ctx context.Context, problem func(Problem), progress func(Count)) error {
	for _, section := range b.Sections() {
		entries, err := b.Entries(section)
		if err != nil {
			problem(Problem{section, err.Error()})
			continue
		}
		known := map[string]bool{}
		for i := range entries {
			if err := ctx.Err(); err != nil {
				return err
			}
			e := &entries[i]
			for p := e.Path; p != "."; p = filepath.Dir(p) {
				known[p] = true
			}
			if what := b.compare(section, e); what != "" {
				problem(Problem{b.File(section, e.Path), what})
			}
			progress(Count{1, e.Size})
		}
		b.unknown(section, known, problem)
	}
	return nil
}

// compare says what is wrong with an entry, "" for nothing.
func (b *Backup) compare(section string, e *Entry) string {
	path := b.File(section, e.Path)
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "missing"
	}
	if err != nil {
		return err.Error()
	}
	switch {
	case e.Kind == Dir && !info.IsDir(), e.Kind == File && !info.Mode().IsRegular():
		return "another kind of file"
	case e.Kind == Link:
		if target, err := os.Readlink(path); err != nil || target != e.Target {
			return fmt.Sprintf("links to %q, not %q", target, e.Target)
		}
	case e.Kind == File && info.Size() != e.Size:
		return fmt.Sprintf("%d octets, not %d", info.Size(), e.Size)
	case e.Kind == File:
		f, err := os.Open(path)
		if err != nil {
			return err.Error()
		}
		defer f.Close()
		sum := sha256.New()
		if _, err := io.Copy(sum, f); err != nil {
			return err.Error()
		}
		if [sha256.Size]byte(sum.Sum(nil)) != e.Sum {
			return "other octets: the checksum differs"
		}
	}
	return ""
}

// unknown finds what the manifest does not name. A section may lie below
// another's folder; what has a manifest of its own is not this one's.
func (b *Backup) unknown(section string, known map[string]bool, problem func(Problem)) {
	root := filepath.Join(b.dir, filepath.FromSlash(section))
	others := map[string]bool{}
	for _, s := range b.Sections() {
		for p := s; p != section && strings.HasPrefix(p, section+"/"); p = filepath.Dir(p) {
			others[p] = true
		}
	}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		full := section + "/" + rel
		switch {
		case err != nil || rel == "." || known[rel]:
			return err
		case slices.Contains(b.Sections(), full):
			return fs.SkipDir
		case others[full]:
			return nil
		}
		problem(Problem{path, "not in the manifest"})
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		problem(Problem{root, err.Error()})
	}
}

// ExtractOptions are how files are copied out of a backup.
type ExtractOptions struct {
	// Owner gives files the owner that they had; only root can. Folders on the way
	// to them, of which the backup says nothing, get UID and GID.
	Owner    bool
	UID, GID int
	// Progress is called for each file; may be nil.
	Progress func(Count)
}

// Extract copies a section to dir, which is made. Files that are there are
// replaced. Each file is compared with its checksum while it is copied, and has
// its name only when it is whole. Nothing is synced: call SyncFS once.
func (b *Backup) Extract(ctx context.Context, section, dir string, o ExtractOptions) error {
	entries, err := b.Entries(section)
	if err != nil {
		return err
	}
	if err := o.MakeDirs(dir); err != nil {
		return err
	}
	for i := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		e := &entries[i]
		to := filepath.Join(dir, filepath.FromSlash(e.Path))
		if err := o.MakeDirs(filepath.Dir(to)); err != nil {
			return err
		}
		if err := b.extract(section, e, to); err != nil {
			return fmt.Errorf("%s: %w", to, err)
		}
		if o.Owner {
			if err := os.Lchown(to, e.UID, e.GID); err != nil && e.Kind != Link {
				return err
			}
		}
		if o.Progress != nil && e.Kind == File {
			o.Progress(Count{1, e.Size})
		}
	}
	return nil
}

// MakeDirs makes a folder and those above it that are missing.
func (o *ExtractOptions) MakeDirs(dir string) error {
	if _, err := os.Stat(dir); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := o.MakeDirs(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if !o.Owner {
		return nil
	}
	return os.Chown(dir, o.UID, o.GID)
}

func (b *Backup) extract(section string, e *Entry, to string) error {
	switch e.Kind {
	case Dir:
		if err := os.MkdirAll(to, 0o700); err != nil {
			return err
		}
		return os.Chmod(to, e.Mode|0o700)
	case Link:
		if target, err := os.Readlink(to); err == nil && target == e.Target {
			return nil
		}
		return replaceByLink(e.Target, to)
	}
	return b.ExtractFile(section, *e, to)
}

// replaceByLink makes a link, in the place of a file or another link too.
func replaceByLink(target, to string) error {
	part := to + ".restoring"
	if err := os.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Symlink(target, part); err != nil {
		return err
	}
	if err := os.Rename(part, to); err != nil {
		return errors.Join(err, os.Remove(part))
	}
	return nil
}

// ExtractFile copies one file of a section to the path to.
func (b *Backup) ExtractFile(section string, e Entry, to string) error {
	in, err := os.Open(b.File(section, e.Path))
	if err != nil {
		return err
	}
	defer in.Close()
	// What is left of an interrupted restore goes, and a link there is not followed.
	part := to + ".restoring"
	if err := os.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	out, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(out, sum), in)
	if err == nil && [sha256.Size]byte(sum.Sum(nil)) != e.Sum {
		err = fmt.Errorf("%w: %s has other octets than were written", ErrDamaged, in.Name())
	}
	err = errors.Join(err, out.Chmod(e.Mode), out.Close())
	if err == nil {
		err = os.Chtimes(part, e.Time, e.Time)
	}
	if err == nil {
		err = os.Rename(part, to)
	}
	if err != nil {
		return errors.Join(err, os.Remove(part))
	}
	return nil
}

// SyncFS makes what was written below dir durable.
func SyncFS(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(d.Fd())), d.Close())
}
