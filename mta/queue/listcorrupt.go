package queue

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"toastmaster/internal/envelope"
)

// Unknown is the sender in an Info whose envelope cannot be read.
const Unknown = "?"

// corruptInfo describes what lies in corrupt/ under an ID: a message file that
// is damaged, or the record and the content of a message of the journal.
func (q *Queue) corruptInfo(id envelope.QueueID) Info {
	info := Info{ID: id, Sender: Unknown}
	var reason string
	for _, part := range []struct{ suffix, reason string }{
		{"", ""}, {".record", "its record in the journal is damaged"}, {".content", "its record in the journal is lost"},
	} {
		path := q.corrupt(string(id) + part.suffix)
		s, err := q.o.FS.Stat(path)
		if err != nil {
			continue
		}
		if len(info.Files) == 0 {
			reason = part.reason
			if part.suffix == "" {
				info, reason = q.readCorrupt(id, path)
			}
		}
		info.Files = append(info.Files, path)
		info.Size += s.Size()
		if info.Arrived.IsZero() {
			info.Arrived = s.ModTime()
		}
	}
	info.Place, info.Reason = Corrupt, reason
	return info
}

// readCorrupt reads what can be read of a message file, and says what is wrong
// with it. It may be only its content: that is not looked at.
func (q *Queue) readCorrupt(id envelope.QueueID, path string) (Info, string) {
	f, err := q.o.FS.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return Info{ID: id, Sender: Unknown}, err.Error()
	}
	m, err := readMessage(f)
	_ = f.Close() // was only read
	if err != nil {
		return Info{ID: id, Sender: Unknown}, err.Error()
	}
	if m.env.ID != id {
		return Info{ID: id, Sender: Unknown}, damaged("other ID").Error()
	}
	return describe(m.env, m.progress), ""
}

// Files are files of the queue's that belong to no message it knows.
type Files struct {
	// Path is where they are: a folder, or a pattern of names.
	Path  string
	Count int
	Size  int64 // of all
}

// Remains counts what damage has left and no message can be named for: records
// and parts of segments in corrupt/, and segments of the journal that were set
// aside. List does not show them.
func (q *Queue) Remains(ctx context.Context) ([]Files, error) {
	var out []Files
	for _, place := range []struct {
		dir, path string
		counts    func(name string) bool
	}{
		{dirCorrupt, dirCorrupt, func(name string) bool { return corruptID(name) == "" }},
		{dirJournal, filepath.Join(dirJournal, "*.damaged"), func(name string) bool { return strings.Contains(name, ".damaged") }},
	} {
		entries, err := q.o.FS.ReadDir(filepath.Join(q.o.Dir, place.dir))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, diskError(err)
		}
		f := Files{Path: filepath.Join(q.o.Dir, place.path)}
		for _, e := range entries {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if !place.counts(e.Name()) {
				continue
			}
			f.Count++
			if s, err := q.o.FS.Stat(filepath.Join(q.o.Dir, place.dir, e.Name())); err == nil {
				f.Size += s.Size()
			}
		}
		if f.Count > 0 {
			out = append(out, f)
		}
	}
	return out, nil
}
