package index

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"toastmaster/internal/vfs"
)

// The names of the files in a mailbox's folder.
const (
	SnapshotFile = "toastmaster.index"
	LogFile      = "toastmaster.index.log"
	CacheFile    = "toastmaster.cache"
)

const (
	logMagic  = "TMIXLOG\x01"
	logHeader = 24
)

// Log is the open log of one mailbox. Its methods need the caller's lock on
// the mailbox in this process; Lock adds the one between processes.
type Log struct {
	fs   vfs.FS
	dir  string
	file vfs.File
	// uidValidity and start are the header's.
	uidValidity uint32
	start       uint64
	// end is the length of the file up to which records are valid and known.
	end int64
	// Fresh: the file was made by this process and its name may not be durable.
	Fresh bool
}

// OpenLog opens the log in dir, making the file if it is missing. It reads
// nothing: see Load.
func OpenLog(fsys vfs.FS, dir string) (*Log, error) {
	l := &Log{fs: fsys, dir: dir}
	return l, l.open()
}

func (l *Log) open() error {
	name := filepath.Join(l.dir, LogFile)
	f, err := l.fs.OpenFile(name, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		l.Fresh = true
		f, err = l.fs.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	}
	if err != nil {
		return err
	}
	l.file = f
	return nil
}

// Close closes the file.
func (l *Log) Close() error {
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}

// Lock takes the lock between processes. Unlock it soon.
func (l *Log) Lock() error {
	if err := l.reopen(); err != nil {
		return err
	}
	return l.file.Lock(true)
}

// Unlock gives it back. Who does not hold it gives back nothing.
func (l *Log) Unlock() error {
	if l.file == nil {
		return nil // drop has
	}
	return l.file.Unlock()
}

// Changed is when the log was last written.
func (l *Log) Changed() (time.Time, error) {
	info, err := l.file.Stat()
	if err != nil {
		return time.Time{}, err
	}
	return info.ModTime(), nil
}

// Sync makes the log durable, its name included.
func (l *Log) Sync() error {
	if err := l.file.Datasync(); err != nil {
		return err
	}
	if !l.Fresh {
		return nil
	}
	if err := l.fs.SyncDir(l.dir); err != nil {
		return err
	}
	l.Fresh = false
	return nil
}

// Size is the length of the log in octets, as far as it is known.
func (l *Log) Size() int64 { return l.end }

// Grown says that somebody else appended since; the lock is not needed to ask.
func (l *Log) Grown() (bool, error) {
	if l.file == nil {
		return true, nil
	}
	info, err := l.file.Stat()
	if err != nil {
		return false, err
	}
	return info.Size() != l.end || nameless(info), nil
}

// Load reads snapshot and log under the lock. The error is ErrDamaged when
// they do not add up to a state; the state is then what could be read, nil if
// nothing, and the caller rebuilds and calls Reset. Other errors are the file
// system's. The lock is held afterwards in any case but these.
func (l *Log) Load() (*State, error) {
	data, err := l.lockCurrent()
	if err != nil {
		return nil, err
	}
	s, snapErr := l.snapshot()
	if snapErr != nil && !errors.Is(snapErr, ErrDamaged) && !errors.Is(snapErr, fs.ErrNotExist) {
		return nil, errors.Join(snapErr, l.Unlock())
	}
	l.end = int64(len(data))
	if !l.parseHeader(data) {
		l.end = 0
		return s, ErrDamaged
	}
	damaged := snapErr != nil && (l.start != 0 || errors.Is(snapErr, ErrDamaged))
	switch {
	case s == nil || s.UIDValidity != l.uidValidity || s.Position < l.start:
		damaged = damaged || s != nil
		s = NewState(l.uidValidity)
		s.Position = l.start
	case s.Position-l.start > uint64(len(data)-logHeader):
		// The log lost a tail; the snapshot tells some of it.
		return s, ErrDamaged
	}
	skip := logHeader + int(s.Position-l.start)
	n, _ := s.Replay(data[skip:])
	l.end = int64(skip + n)
	if int(l.end) < len(data) {
		s.Closed = false
	}
	if err := l.cut(int64(len(data))); err != nil {
		return nil, errors.Join(err, l.Unlock())
	}
	if damaged {
		return s, ErrDamaged
	}
	if !s.Recover() {
		return s, nil
	}
	// The new numbers must be told before a Close can hide them.
	var b Batch
	b.Next(s.UIDNext, s.ModSeq)
	if err := l.Append(s, &b); err != nil {
		return nil, errors.Join(err, l.Unlock())
	}
	return s, nil
}

// lockCurrent locks the log that bears the name and reads it whole.
func (l *Log) lockCurrent() ([]byte, error) {
	for {
		if err := l.reopen(); err != nil {
			return nil, err
		}
		if err := l.Lock(); err != nil {
			return nil, err
		}
		data, err := readAll(l.file)
		if err != nil {
			return nil, errors.Join(err, l.Unlock())
		}
		if !l.replaced(data) {
			return data, nil
		}
		if err := l.drop(); err != nil {
			return nil, err
		}
	}
}

// drop gives lock and file up; lockCurrent opens the one that bears the name.
func (l *Log) drop() error {
	f := l.file
	l.file, l.end = nil, unknown
	return errors.Join(f.Unlock(), f.Close())
}

func (l *Log) reopen() error {
	if l.file != nil {
		return nil
	}
	return l.open()
}

// unknown is the end of a log that must be loaded before it is used.
const unknown = -1

// nameless says that the file was removed, or replaced by one of that name.
// Only the real file system can tell; recEnd tells it everywhere.
func nameless(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Nlink == 0
}

// replaced says that the file has no name any more or its records end with
// recEnd.
func (l *Log) replaced(data []byte) bool {
	if info, err := l.file.Stat(); err == nil && nameless(info) {
		return true
	}
	if !l.parseHeader(data) || len(data) < logHeader+recordHeader {
		return false
	}
	last := data[len(data)-recordHeader:]
	pos := l.start + uint64(len(data)-recordHeader-logHeader)
	return binary.LittleEndian.Uint32(last[4:]) == recEnd<<24 && binary.LittleEndian.Uint32(last) == recordCRC(pos, last)
}

func (l *Log) parseHeader(data []byte) bool {
	if len(data) < logHeader || string(data[:8]) != logMagic ||
		binary.LittleEndian.Uint32(data[20:]) != crc32.Checksum(data[:20], castagnoli()) {
		return false
	}
	l.uidValidity, l.start = binary.LittleEndian.Uint32(data[8:]), binary.LittleEndian.Uint64(data[12:])
	return l.uidValidity != 0
}

func (l *Log) header(uidValidity uint32, start uint64) []byte {
	h := append(make([]byte, 0, logHeader), logMagic...)
	h = binary.LittleEndian.AppendUint32(h, uidValidity)
	h = binary.LittleEndian.AppendUint64(h, start)
	return binary.LittleEndian.AppendUint32(h, crc32.Checksum(h, castagnoli()))
}

// cut removes what lies beyond the valid end.
func (l *Log) cut(size int64) error {
	if size == l.end {
		return nil
	}
	return l.file.Truncate(l.end)
}

func readAll(f vfs.File) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	data := make([]byte, info.Size())
	n, err := f.ReadAt(data, 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	return data[:n], nil
}

func (l *Log) snapshot() (*State, error) {
	f, err := l.fs.OpenFile(filepath.Join(l.dir, SnapshotFile), os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := readAll(f)
	if err != nil {
		return nil, err
	}
	return ParseSnapshot(data)
}

// CatchUp applies what others appended. The lock is held. reload says that
// the log was replaced and went too far to be followed: call Load (the lock
// is then not held).
func (l *Log) CatchUp(s *State) (changed, reload bool, err error) {
	for {
		info, err := l.file.Stat()
		switch {
		case err != nil:
			return changed, false, err
		case l.end == unknown || info.Size() < l.end || info.Size() == l.end && nameless(info):
			return changed, true, l.drop()
		case info.Size() == l.end:
			return changed, false, nil
		}
		tail := make([]byte, info.Size()-l.end)
		if n, err := l.file.ReadAt(tail, l.end); err != nil && err != io.EOF {
			return changed, false, err
		} else {
			tail = tail[:n]
		}
		n, ended := s.Replay(tail)
		changed = changed || n > 0
		l.end += int64(n)
		if !ended {
			return changed, false, l.cut(info.Size())
		}
		ok, err := l.follow(s)
		if err != nil || !ok {
			return changed, !ok, err
		}
	}
}

// follow goes over to the file that replaced this one. The record recEnd is
// part of the old file only and does not count.
func (l *Log) follow(s *State) (bool, error) {
	s.Position -= recordHeader
	if err := l.drop(); err != nil {
		return false, err
	}
	// From here to the end the log counts as not loaded.
	data, err := l.lockCurrent()
	if err != nil {
		return false, err
	}
	if !l.parseHeader(data) || l.uidValidity != s.UIDValidity || s.Position < l.start ||
		s.Position-l.start > uint64(len(data)-logHeader) {
		return false, l.drop()
	}
	l.end = logHeader + int64(s.Position-l.start)
	return true, nil
}

// Append writes b and applies it to s. The lock is held and s is caught up.
// When the write fails nothing is applied.
func (l *Log) Append(s *State, b *Batch) error {
	if b.Empty() {
		return nil
	}
	b.seal(s.Position)
	if n, err := l.file.WriteAt(b.buf, l.end); err != nil {
		if n > 0 {
			err = errors.Join(err, l.file.Truncate(l.end))
		}
		return err
	}
	l.end += int64(len(b.buf))
	if n, _ := s.Replay(b.buf); n != len(b.buf) {
		return fmt.Errorf("%w: own records refused", ErrDamaged)
	}
	return nil
}

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
	if err := l.replaceFile(LogFile, l.header(s.UIDValidity, s.Position), &next); err != nil {
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
			return errors.Join(err, next.Close())
		}
	}
	l.file, l.uidValidity, l.start, l.end, l.Fresh = next, s.UIDValidity, s.Position, logHeader, true
	return errors.Join(old.Unlock(), old.Close())
}

// replaceFile writes a new file durably, locks it when keep is set, and puts
// it in the place of the old one.
func (l *Log) replaceFile(name string, data []byte, keep *vfs.File) error {
	name = filepath.Join(l.dir, name)
	tmp := name + ".tmp"
	f, err := l.fs.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, 0)
	if err == nil {
		err = f.Datasync()
	}
	if err == nil && keep != nil {
		err = f.Lock(true)
	}
	if err == nil {
		err = l.fs.Rename(tmp, name)
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	if keep != nil {
		*keep = f
		return nil
	}
	return f.Close()
}
