package salvage

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"syscall"

	"toastmaster/internal/envelope"
	"toastmaster/internal/msglog"
	"toastmaster/internal/vfs"
)

// Folder is the folder corrupt/ of a queue. It is safe for concurrent use.
type Folder struct {
	FS   vfs.FS
	Path string
	Log  *msglog.Log
	// Valid says that something may be a queue ID.
	Valid func(envelope.QueueID) bool
}

// Names of what is kept of a message beside its file.
const (
	suffixRecord  = ".record"
	suffixContent = ".content"
)

// Name is the path of a name in the folder.
func (f *Folder) Name(name string) string { return filepath.Join(f.Path, name) }

// File moves the damaged file of a message here. It reports whether it lies here now.
func (f *Folder) File(id envelope.QueueID, path string, why error) bool {
	err := vfs.MoveAway(f.FS, path, f.Name(filepath.Base(path)))
	if err != nil {
		f.Log.Error("queue file damaged and cannot be set aside", "id", id, "file", path, "why", why.Error(), "cause", err.Error())
		return false
	}
	f.Log.Error("queue file damaged, moved to corrupt", "id", id, "file", path, "why", why.Error())
	return true
}

// RecordOf keeps the record of a message. It reports whether it lies here now.
func (f *Folder) RecordOf(id envelope.QueueID, payload []byte, why error) bool {
	return f.Record(string(id)+suffixRecord, payload, why)
}

// Record keeps a record under a name. It reports whether it lies here now.
func (f *Folder) Record(name string, payload []byte, why error) bool {
	path := f.Name(name)
	err := vfs.Replace(f.FS, path, payload)
	if err != nil {
		f.Log.Error("queue record damaged and cannot be kept", "file", path, "why", why.Error(), "cause", err.Error())
		return false
	}
	f.Log.Error("queue record damaged, kept in corrupt", "file", path, "why", why.Error())
	return true
}

// Content moves the content of a message here that lies at path. It reports whether
// it lies here now, or is nowhere.
func (f *Folder) Content(id envelope.QueueID, path string) bool {
	to := f.Name(string(id) + suffixContent)
	err := vfs.MoveAway(f.FS, path, to)
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	if err != nil {
		f.Log.Error("queue content cannot be kept", "id", id, "file", path, "cause", err.Error())
		return false
	}
	f.Log.Error("queue content moved to corrupt", "id", id, "file", to)
	return true
}

// rawStep is what is lost at most around an unreadable place.
const rawStep = 4096

// Raw reads what can be read of length octets; the rest is zeros.
func Raw(length int, readAt func(p []byte, off int64) (int, error)) []byte {
	b := make([]byte, length)
	for off := 0; off < len(b); off += rawStep {
		part := b[off:min(off+rawStep, len(b))]
		if n, err := readAt(part, int64(off)); err != nil {
			clear(part[n:])
		}
	}
	return b
}

// Unreadable says that the disk does not give back what was written, which may
// pass: a read error, a file system that found itself damaged (EUCLEAN, EBADMSG)
// or a content that has become shorter. Want of files or of memory is not it.
func Unreadable(err error) bool {
	return errors.Is(err, syscall.EIO) || errors.Is(err, syscall.EUCLEAN) || errors.Is(err, syscall.EBADMSG) ||
		errors.Is(err, io.ErrUnexpectedEOF)
}
