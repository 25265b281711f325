package index

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"

	"toastmaster/internal/crc32c"
	"toastmaster/internal/vfs"
)

// Start begins a log in an empty file, without any sync: the mailbox is new.
// In a file with content it is Reset, because others may be reading. The lock
// is held.
func (l *Log) Start(s *State) error {
	info, err := l.file.Stat()
	if err != nil {
		return err
	}
	if info.Size() > 0 || s.Position > 0 {
		return l.Reset(s)
	}
	if _, err := l.file.WriteAt(l.header(s.UIDValidity, 0), 0); err != nil {
		return err
	}
	l.uidValidity, l.start, l.end = s.UIDValidity, 0, logHeader
	return nil
}

// Reset writes s as snapshot and starts an empty log; both are durable when
// it returns. The lock is held before and after.
func (l *Log) Reset(s *State) error {
	if err := l.replaceFile(SnapshotFile, s.AppendSnapshot(nil), nil); err != nil {
		return err
	}
	// The snapshot must have its name before the old log loses its own.
	if err := l.fs.SyncDir(l.dir); err != nil {
		return err
	}
	old := l.file
	var next vfs.File
	defer func() {
		if next != nil && l.file != next {
			_ = next.Close() // after a panic too: nobody could lock it
		}
	}()
	// Whose it is must be there at once: who finds an empty log cannot tell whether it
	// has lost something.
	s.era = 0
	own := l.announcement(s)
	if err := l.replaceFile(LogFile, append(l.header(s.UIDValidity, s.Position), own...), &next); err != nil {
		return err
	}
	// Others may wait for the old file; they find the record and go on. The
	// old records may be damaged, then they find that, and load.
	var b Batch
	b.end()
	pos := l.start + uint64(max(l.end-logHeader, 0))
	b.seal(pos)
	if l.end >= logHeader {
		if _, err := old.WriteAt(b.buf, l.end); err != nil {
			return err
		}
	}
	l.file, l.uidValidity, l.start, l.end, l.Fresh = next, s.UIDValidity, s.Position, logHeader+int64(len(own)), true
	l.held = nil // the snapshot has it
	return errors.Join(l.apply(s, own), old.Unlock(), old.Close())
}

// replaceFile writes a new file durably, locks it when keep is set, and puts
// it in the place of the old one.
func (l *Log) replaceFile(name string, data []byte, keep *vfs.File) (err error) {
	name = filepath.Join(l.dir, name)
	tmp := name + ".tmp"
	f, err := l.fs.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	kept := false
	defer func() {
		if !kept {
			err = errors.Join(err, f.Close())
		}
	}()
	_, err = f.WriteAt(data, 0)
	if err == nil {
		err = f.Datasync()
	}
	if err == nil && keep != nil {
		err = f.TryLock() // nobody else knows it
	}
	if err == nil {
		err = l.fs.Rename(tmp, name)
	}
	if err == nil && keep != nil {
		*keep, kept = f, true
	}
	return err
}

func (l *Log) header(uidValidity uint32, start uint64) []byte {
	h := append(make([]byte, 0, logHeader), logMagic...)
	h = binary.LittleEndian.AppendUint32(h, uidValidity)
	h = binary.LittleEndian.AppendUint64(h, start)
	return binary.LittleEndian.AppendUint32(h, crc32c.Sum(h))
}
