package queue

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"toastmaster/internal/dsn"
	"toastmaster/internal/identity"
	"toastmaster/internal/msglog"
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

// Starts changes whenever a queue is opened. It is empty for one that never was.
func Starts(fsys vfs.FS, dir string) ([]byte, error) {
	f, err := fsys.OpenFile(filepath.Join(dir, fileEpoch), os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	octets, err := io.ReadAll(io.LimitReader(f, 1<<10))
	return octets, errors.Join(err, f.Close())
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

// folder is the folder of a queue as an operator may change it: another one is
// mounted there, or it is moved away.
type folder struct {
	fs       vfs.FS
	dir      string
	instance identity.ID // that it must have; "" for any
	log      *msglog.Log
}

// prepare sees to it that the folder is what it should be, and makes what may be
// missing of it.
func (f *folder) prepare(files *files) error {
	if f.instance == "" {
		if err := Check(f.fs, f.dir); err != nil {
			return err
		}
		return diskError(files.make())
	}
	found, err := Inspect(f.fs, f.dir)
	if err != nil {
		return err
	}
	if err := identity.Verify(ErrAbsent, f.dir, found, f.instance); err != nil {
		return err
	}
	corrupt := filepath.Join(f.dir, dirCorrupt)
	if _, err := f.fs.Stat(corrupt); err != nil {
		// What was set aside is gone, but no mail that is to be delivered.
		f.log.Warn("folder of the queue was missing and is made again", "path", corrupt, "cause", err)
	}
	return diskError(files.make())
}

// present is 4.3.0 when the queue is not in its place any more: its volume was
// unmounted, or another one is there.
func (f *folder) present() error {
	if f.instance == "" {
		return nil
	}
	if err := identity.VerifyFolder(ErrAbsent, f.fs, f.dir, f.dir, f.instance); err != nil {
		return dsn.Wrap(dsn.MailSystem, "The mail queue is not available", err)
	}
	return nil
}

// whole is nil while the queue is in its place and whole. Else it is ErrAbsent and
// says what is missing, or ErrForeign, or an error of the disk.
func (f *folder) whole() error {
	if f.instance == "" {
		return nil
	}
	found, err := Inspect(f.fs, f.dir)
	if err != nil {
		return err
	}
	return identity.Verify(ErrAbsent, f.dir, found, f.instance)
}

// Check looks whether dir may be a queue's: it is ErrForeign when it has
// something in it that no queue makes, and not the file epoch of a queue that
// was open before.
func Check(fsys vfs.FS, dir string) error {
	_, err := fsys.Stat(filepath.Join(dir, fileEpoch))
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	entries, err := fsys.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	// A start that was interrupted leaves some of these. What lies in the root
	// of a file system is nobody's mail.
	own := []string{dirContent, dirCorrupt, string(Deferred), string(Hold), dirJournal, LockFile, fileEpoch + ".new", "lost+found"}
	for _, e := range entries {
		if !slices.Contains(own, e.Name()) && !strings.HasPrefix(e.Name(), identity.File) {
			return fmt.Errorf("%w: %s has %s in it, and no file %s; move it away", ErrForeign, dir, e.Name(), fileEpoch)
		}
	}
	return err
}

// ErrAbsent is wrapped when the queue is not where it was, or not the one that
// was asked for.
var ErrAbsent = errors.New("the mail queue is not there")
