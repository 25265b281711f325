package queue

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"toastmaster/internal/envelope"
	"toastmaster/internal/lockorder"
	"toastmaster/internal/vfs"
)

// files are the message files and contents of a queue. Files lie in buckets, so that a backlog
// of a million does not make one directory.
type files struct {
	fs  vfs.FS
	dir string

	mu    lockorder.Mutex[foldersLock]
	ready map[string]bool // buckets that exist durably

	// How many message files lie in deferred/ and hold/.
	deferred, hold atomic.Int64
}

// counter is that of the place in which a file lies; nil when it is not
// counted.
func (p *files) counter(path string) *atomic.Int64 {
	switch filepath.Dir(filepath.Dir(path)) {
	case filepath.Join(p.dir, string(Deferred)):
		return &p.deferred
	case filepath.Join(p.dir, string(Hold)):
		return &p.hold
	}
	return nil
}

// count notes that a file came (1) or went (-1).
func (p *files) count(path string, n int64) {
	if c := p.counter(path); c != nil {
		c.Add(n)
	}
}

const (
	dirContent = "content" // contents too large for the journal
	dirCorrupt = "corrupt"
	dirJournal = "journal"
	fileEpoch  = "epoch"
)

// LockFile is the file in a queue's folder that the process holds locked which has
// the queue open.
const LockFile = "lock"

// make creates the directories that every queue has.
func (p *files) make() error {
	for _, d := range []string{"", dirContent, dirCorrupt, string(Deferred), string(Hold)} {
		if err := p.fs.MkdirAll(filepath.Join(p.dir, d), 0o700); err != nil {
			return err
		}
	}
	return errors.Join(p.fs.SyncDir(filepath.Dir(p.dir)), p.fs.SyncDir(p.dir))
}

func (p *files) path(place Place, id envelope.QueueID) string {
	return filepath.Join(p.dir, string(place), bucket(id), string(id))
}

func (p *files) content(id envelope.QueueID) string {
	return filepath.Join(p.dir, dirContent, string(id))
}

// bucket makes the directory of path if it is missing.
func (p *files) bucket(path string) error {
	dir := filepath.Dir(path)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ready[dir] {
		return nil
	}
	if err := p.fs.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := p.fs.SyncDir(filepath.Dir(dir)); err != nil {
		return err
	}
	p.ready[dir] = true
	return nil
}

// create writes a message file under its final name, durable with its name and
// its time. The content is synced before the name exists, so a name always
// stands for a whole message.
func (p *files) create(place Place, env *envelope.Envelope, content envelope.Content, s *progress, next time.Time) error {
	path := p.path(place, env.ID)
	if err := p.bucket(path); err != nil {
		return err
	}
	f, err := p.fs.OpenTemp(p.dir, 0o600)
	if err != nil {
		return err
	}
	err = writeMessage(f, env, content, s)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = f.LinkTo(path)
	}
	if errors.Is(err, fs.ErrExist) {
		// From an attempt that failed after this point.
		err = p.update(place, env.ID, s, next)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	// If power fails before the time is durable the message is tried early.
	if err := p.fs.Chtimes(path, next, next); err != nil {
		return err
	}
	if err := p.fs.SyncDir(filepath.Dir(path)); err != nil {
		return err
	}
	p.count(path, 1)
	return nil
}

// update appends a progress to a message file. One whose sync failed is taken back:
// it can be read, but would be a hole under the next one after a power loss.
func (p *files) update(place Place, id envelope.QueueID, s *progress, next time.Time) error {
	path := p.path(place, id)
	f, err := p.fs.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	end, err := updateFile(f, s)
	if err == nil {
		err = p.fs.Chtimes(path, next, next)
	}
	if err == nil {
		if err = f.Sync(); err != nil {
			err = errors.Join(err, f.Truncate(end))
		}
	}
	return errors.Join(err, f.Close())
}

// updateFile writes s behind the last progress, which ends at end.
func updateFile(f vfs.File, s *progress) (end int64, err error) {
	m, err := readMessage(f)
	if err != nil {
		return 0, err
	}
	// What an interrupted update left behind must not follow the new one.
	if err := f.Truncate(m.end); err != nil {
		return 0, err
	}
	_, err = f.WriteAt(progressBlock(s, m.end), m.end)
	return m.end, err
}

// read opens and parses a message file, which the caller closes.
func (p *files) read(place Place, id envelope.QueueID) (vfs.File, *messageFile, error) {
	f, err := p.fs.OpenFile(p.path(place, id), os.O_RDONLY, 0)
	if err != nil {
		return nil, nil, err
	}
	m, err := readMessage(f)
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	if m.env.ID != id {
		return nil, nil, errors.Join(damaged("other ID"), f.Close())
	}
	return f, m, nil
}

// move renames a message file from one place to another, durably. It says where the
// file is afterwards, also with an error.
func (p *files) move(from, to Place, id envelope.QueueID) (Place, error) {
	oldPath, newPath := p.path(from, id), p.path(to, id)
	if err := p.bucket(newPath); err != nil {
		return from, err
	}
	moved, err := vfs.Move(p.fs, oldPath, newPath)
	if !moved {
		return from, err
	}
	p.count(oldPath, -1)
	p.count(newPath, 1)
	return to, err
}

// remove removes a file; a missing one is fine. The caller syncs.
func (p *files) remove(path string) error {
	err := p.fs.Remove(path)
	if err == nil {
		p.count(path, -1)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// removeStray removes a file that does not count: the journal has its message.
func (p *files) removeStray(path string) error {
	if err := p.fs.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// where finds the file of a message, and its time; "" when there is none.
func (p *files) where(id envelope.QueueID) (Place, time.Time, error) {
	for _, place := range []Place{Deferred, Hold} {
		info, err := p.fs.Stat(p.path(place, id))
		if err == nil {
			return place, info.ModTime(), nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", time.Time{}, err
		}
	}
	return "", time.Time{}, nil
}

// each calls fn with every message file of a place, in no order. Directories
// are read whole, one bucket at a time.
func (p *files) each(place Place, fn func(id envelope.QueueID, e fs.DirEntry) error) error {
	names, err := p.buckets(place)
	for _, name := range names {
		if err == nil {
			err = p.inBucket(place, name, fn)
		}
	}
	return err
}

// buckets are the directories of a place.
func (p *files) buckets(place Place) ([]string, error) {
	entries, err := p.fs.ReadDir(filepath.Join(p.dir, string(place)))
	var names []string
	for _, b := range entries {
		if b.IsDir() {
			names = append(names, b.Name())
		}
	}
	return names, err
}

// inBucket is each for one directory.
func (p *files) inBucket(place Place, name string, fn func(id envelope.QueueID, e fs.DirEntry) error) error {
	return p.everyIn(place, name, func(id envelope.QueueID, e fs.DirEntry) error {
		if bucket(id) != name {
			return nil
		}
		return fn(id, e)
	})
}

// everyIn calls fn with what has the name of a message in one directory, whether it belongs there or not.
func (p *files) everyIn(place Place, name string, fn func(id envelope.QueueID, e fs.DirEntry) error) error {
	entries, err := p.fs.ReadDir(filepath.Join(p.dir, string(place), name))
	if err != nil {
		return err
	}
	for _, e := range entries {
		id := envelope.QueueID(e.Name())
		if !validID(id) || e.IsDir() {
			continue
		}
		if err := fn(id, e); err != nil {
			return err
		}
	}
	return nil
}

// removeDurably removes a message file.
func (p *files) removeDurably(place Place, id envelope.QueueID) error {
	path := p.path(place, id)
	if err := p.remove(path); err != nil {
		return err
	}
	return p.fs.SyncDir(filepath.Dir(path))
}

// discard is removeDurably for a file that does not count.
func (p *files) discard(place Place, id envelope.QueueID) error {
	path := p.path(place, id)
	if err := p.removeStray(path); err != nil {
		return err
	}
	err := p.fs.SyncDir(filepath.Dir(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // its writing did not get as far as a directory
	}
	return err
}
