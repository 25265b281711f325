package salvage

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"toastmaster/internal/envelope"
	"toastmaster/internal/vfs"
)

// id is the ID in the name of a file, "" without one.
func (f *Folder) id(name string) envelope.QueueID {
	base, _, _ := strings.Cut(name, ".")
	if id := envelope.QueueID(base); f.Valid(id) {
		return id
	}
	return ""
}

// IDs lists the messages of which something is here, in no order.
func (f *Folder) IDs() ([]envelope.QueueID, error) {
	entries, err := f.FS.ReadDir(f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	seen := map[envelope.QueueID]bool{}
	var ids []envelope.QueueID
	for _, e := range entries {
		if id := f.id(e.Name()); id != "" && !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids, err
}

// Part is a file of what is kept of a message.
type Part struct {
	Path string
	Size int64
	Time time.Time
	// Reason is why it is here, "" for a message file, which says so itself.
	Reason string
}

// Parts are the files of a message: its own first.
func (f *Folder) Parts(id envelope.QueueID) []Part {
	var out []Part
	for _, p := range []struct{ suffix, reason string }{
		{"", ""}, {suffixRecord, "its record in the journal is damaged"}, {suffixContent, "its record in the journal is lost"},
	} {
		path := f.Name(string(id) + p.suffix)
		if s, err := f.FS.Stat(path); err == nil {
			out = append(out, Part{path, s.Size(), s.ModTime(), p.reason})
		}
	}
	return out
}

// HasFile says that the file of a message is here.
func (f *Folder) HasFile(id envelope.QueueID) bool {
	_, err := f.FS.Stat(f.Name(string(id)))
	return err == nil
}

// Delete removes what is here of a message, durably. It reports whether there was
// anything.
func (f *Folder) Delete(id envelope.QueueID) (found bool, err error) {
	entries, err := f.FS.ReadDir(f.Path)
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		if f.id(e.Name()) != id {
			continue
		}
		found = true
		if err := f.FS.Remove(f.Name(e.Name())); err != nil {
			return true, err
		}
	}
	if !found {
		return false, nil
	}
	return true, f.FS.SyncDir(f.Path)
}

// Files are files that belong to no message.
type Files struct {
	// Path is where they are: a folder, or a pattern of names.
	Path  string
	Count int
	Size  int64 // of all
}

// Remains counts the records and ranges of the journal here, of no message that
// could be named.
func (f *Folder) Remains(ctx context.Context) (Files, error) {
	return Count(ctx, f.FS, f.Path, f.Path, func(name string) bool { return f.id(name) == "" })
}

// Count counts the files of dir that are meant; path is what the answer calls them.
func Count(ctx context.Context, fsys vfs.FS, dir, path string, meant func(name string) bool) (Files, error) {
	out := Files{Path: path}
	entries, err := fsys.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return out, err
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return out, err
		}
		if !meant(e.Name()) {
			continue
		}
		out.Count++
		if s, err := fsys.Stat(filepath.Join(dir, e.Name())); err == nil {
			out.Size += s.Size()
		}
	}
	return out, nil
}
