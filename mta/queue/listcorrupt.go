package queue

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"toastmaster/internal/envelope"
	"toastmaster/mta/queue/salvage"
)

// Unknown is the sender in an Info whose envelope cannot be read.
const Unknown = "?"

// corruptInfo describes what lies in corrupt/ under an ID: a message file that
// is damaged, or the record and the content of a message of the journal.
func (l *listing) corruptInfo(id envelope.QueueID) Info {
	info := Info{ID: id, Sender: Unknown}
	var reason string
	for i, part := range l.disk.corrupt.Parts(id) {
		if i == 0 {
			if reason = part.Reason; reason == "" {
				info, reason = l.readCorrupt(id, part.Path)
			}
		}
		info.Files = append(info.Files, part.Path)
		info.Size += part.Size
		if info.Arrived.IsZero() {
			info.Arrived = part.Time
		}
	}
	info.Place, info.Reason = Corrupt, reason
	return info
}

// readCorrupt reads what can be read of a message file, and says what is wrong
// with it. It may be only its content: that is not looked at.
func (l *listing) readCorrupt(id envelope.QueueID, path string) (Info, string) {
	f, err := l.disk.fs.OpenFile(path, os.O_RDONLY, 0)
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
type Files = salvage.Files

// Remains counts what damage has left and no message can be named for: records
// and parts of segments in corrupt/, and segments of the journal that were set
// aside. List does not show them.
func (l *listing) Remains(ctx context.Context) ([]Files, error) {
	records, err := l.disk.corrupt.Remains(ctx)
	if err != nil {
		return nil, diskError(err)
	}
	dir := filepath.Join(l.disk.dir, dirJournal)
	segments, err := salvage.Count(ctx, l.disk.fs, dir, filepath.Join(dir, "*.damaged"), func(name string) bool { return strings.Contains(name, ".damaged") })
	if err != nil {
		return nil, diskError(err)
	}
	return slices.DeleteFunc([]Files{records, segments}, func(f Files) bool { return f.Count == 0 }), nil
}
