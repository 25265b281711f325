package queue

import (
	"errors"
	"path/filepath"
	"slices"

	"toastmaster/internal/dsn"
	"toastmaster/internal/identity"
	"toastmaster/internal/vfs"
)

// mailFolders hold accepted mail: a queue without one of them has lost some, or
// its volume is not mounted.
var mailFolders = [...]string{dirJournal, string(Deferred), string(Hold), dirContent}

// Inspect says what lies in dir. It is ErrForeign when that is no queue (Check).
func Inspect(fsys vfs.FS, dir string) (identity.Found, error) {
	found := identity.Found{}
	if err := Check(fsys, dir); err != nil {
		return found, err
	}
	names, err := identity.Entries(fsys, dir)
	if err != nil {
		return found, err
	}
	found.Used = slices.Contains(names, fileEpoch)
	if found.ID, err = identity.Read(fsys, dir); err != nil {
		return found, err
	}
	switch {
	case found.ID != "":
		found.State = identity.Marked
	case found.Used:
		found.State = identity.Unmarked
	}
	if found.State == identity.Unmarked {
		id, err := identity.Intended(fsys, dir)
		if err != nil {
			return found, err
		}
		if id != "" {
			found.State, found.ID = identity.Adopting, id
		}
	}
	if found.State == identity.Absent {
		return found, nil
	}
	for _, name := range mailFolders {
		if !slices.Contains(names, name) {
			found.Lacks = filepath.Join(dir, name)
			return found, nil
		}
	}
	if !found.Used {
		// It was made and never opened. With a segment it was, and IDs would
		// be made twice without the epoch.
		segments, err := identity.Entries(fsys, filepath.Join(dir, dirJournal))
		if len(segments) > 0 {
			found.Lacks = filepath.Join(dir, fileEpoch)
		}
		return found, err
	}
	return found, nil
}

// Create makes a queue of the instance id in dir, or what a queue there
// lacks, and gives it that id. It is durable when Create returns.
func Create(fsys vfs.FS, dir string, id identity.ID) error {
	if err := Check(fsys, dir); err != nil {
		return err
	}
	p := files{fs: fsys, dir: dir}
	if err := p.make(); err != nil {
		return err
	}
	if err := fsys.MkdirAll(filepath.Join(dir, dirJournal), 0o700); err != nil {
		return err
	}
	if err := fsys.SyncDir(dir); err != nil {
		return err
	}
	return identity.Write(fsys, dir, id)
}

// found sees to it that the folder is what it should be, and makes what may be
// missing of it.
func (q *Queue) found() error {
	if q.o.Instance == "" {
		if err := Check(q.o.FS, q.o.Dir); err != nil {
			return err
		}
		return diskError(q.disk.files.make())
	}
	f, err := Inspect(q.o.FS, q.o.Dir)
	if err != nil {
		return err
	}
	if err := identity.Verify(ErrAbsent, q.o.Dir, f, q.o.Instance); err != nil {
		return err
	}
	corrupt := filepath.Join(q.o.Dir, dirCorrupt)
	if _, err := q.o.FS.Stat(corrupt); err != nil {
		// What was set aside is gone, but no mail that is to be delivered.
		q.o.Log.Warn("folder of the queue was missing and is made again", "path", corrupt, "cause", err)
	}
	return diskError(q.disk.files.make())
}

// present is 4.3.0 when the queue is not in its place any more: its volume was
// unmounted, or another one is there.
func (q *Queue) present() error {
	if q.o.Instance == "" {
		return nil
	}
	if err := identity.VerifyFolder(ErrAbsent, q.o.FS, q.o.Dir, q.o.Dir, q.o.Instance); err != nil {
		return dsn.Wrap(dsn.MailSystem, "The mail queue is not available", err)
	}
	return nil
}

// Present is nil while the queue is in its place and whole. Else it is ErrAbsent and
// says what is missing, or ErrForeign, or an error of the disk.
func (q *Queue) Present() error {
	if q.o.Instance == "" {
		return nil
	}
	f, err := Inspect(q.o.FS, q.o.Dir)
	if err != nil {
		return err
	}
	return identity.Verify(ErrAbsent, q.o.Dir, f, q.o.Instance)
}

// ErrAbsent is wrapped when the queue is not where it was, or not the one that
// was asked for.
var ErrAbsent = errors.New("the mail queue is not there")
