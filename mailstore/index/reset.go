package index

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"

	"toastmaster/internal/crc32c"
	"toastmaster/internal/vfs"
)

// Start says that the log begins anew, with s and what the next Append adds: that writes
// both together. Who is interrupted before, or while that is written, leaves what Load
// calls damaged, and not the log of a mailbox without messages. The lock is held.
func (l *Log) Start() { l.starting = true }

// begin is the first AppendNew after Start. It is Reset: the messages must not be there in
// part, and others may be reading. s has the records then after a failure, too, and may get
// them once more. A mailbox that has no messages, and had none, is written without a sync.
func (l *Log) begin(s *State, b *Batch) error {
	info, err := l.file.Stat()
	if err != nil {
		return err
	}
	if info.Size() > 0 || s.Position > 0 || s.UIDNext > 1 || !b.canWait() {
		b.seal(s.Position)
		if err := errors.Join(l.apply(s, b.buf), l.Reset(s)); err != nil {
			return err
		}
		l.starting = false
		return nil
	}
	own := l.announcement(s)
	b.seal(s.Position + uint64(len(own)))
	data := slices.Concat(l.header(s.UIDValidity, 0), own, b.buf)
	if n, err := l.file.WriteAt(data, 0); err != nil {
		if n > 0 {
			err = errors.Join(err, l.file.Truncate(0))
		}
		return err
	}
	l.uidValidity, l.start, l.end, l.starting = s.UIDValidity, 0, int64(len(data)), false
	return l.apply(s, own, b.buf)
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
