package index

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"toastmaster/internal/clock"
	"toastmaster/internal/crc32c"
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

	clock    clock.Clock
	patience time.Duration
	room     func() bool
	era      uint64
	// held is what follows end and could not be written, see Append.
	held []byte
	// starting: what is in the file is void, see Start.
	starting bool
	// stalled: the last who waited for the lock waited in vain.
	stalled bool
}

// Options are what a log is made of.
type Options struct {
	FS vfs.FS
	// Dir is the mailbox's folder.
	Dir   string
	Clock clock.Clock
	// Wait is how long Lock may take.
	Wait time.Duration
	// Room makes a little room on a full disk; false when it cannot. It may be
	// nil.
	Room func() bool
	// Era is the same number for all processes that have written since the disk
	// can have lost anything, and another one afterwards; 0 for not known.
	Era uint64
}

// OpenLog opens the log, making the file if it is missing. It reads nothing:
// see Load.
func OpenLog(o Options) (*Log, error) {
	l := &Log{fs: o.FS, dir: o.Dir, clock: o.Clock, patience: o.Wait, room: o.Room, era: o.Era}
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
	if l.file == nil || l.starting {
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
func (l *Log) Load(ctx context.Context) (*State, error) {
	l.held, l.starting = nil, false
	data, err := l.lockCurrent(ctx)
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
	if l.era != 0 && s.era == l.era || !s.Recover() {
		return s, nil // what was written is there
	}
	// The new numbers must be told before a Close can hide them.
	var b Batch
	b.Next(s.UIDNext, s.ModSeq)
	if err := l.Append(s, &b); err != nil {
		return nil, errors.Join(err, l.Unlock())
	}
	return s, nil
}

func (l *Log) parseHeader(data []byte) bool {
	if len(data) < logHeader || string(data[:8]) != logMagic ||
		binary.LittleEndian.Uint32(data[20:]) != crc32c.Sum(data[:20]) {
		return false
	}
	l.uidValidity, l.start = binary.LittleEndian.Uint32(data[8:]), binary.LittleEndian.Uint64(data[12:])
	return l.uidValidity != 0
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
func (l *Log) CatchUp(ctx context.Context, s *State) (changed, reload bool, err error) {
	for {
		info, err := l.file.Stat()
		switch {
		case err != nil:
			return changed, false, err
		case l.end == unknown || l.starting || info.Size() < l.end || len(l.held) > 0 && info.Size() != l.end || info.Size() == l.end && nameless(info):
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
		switch {
		case !ended && nameless(info): // lost, with what others wrote shortly before
			return changed, true, l.drop()
		case !ended:
			return changed, false, l.cut(info.Size())
		}
		ok, err := l.follow(ctx, s)
		if err != nil || !ok {
			return changed, !ok, err
		}
	}
}

// follow goes over to the file that replaced this one. The record recEnd is
// part of the old file only and does not count.
func (l *Log) follow(ctx context.Context, s *State) (bool, error) {
	s.Position -= recordHeader
	if err := l.drop(); err != nil {
		return false, err
	}
	// From here to the end the log counts as not loaded.
	data, err := l.lockCurrent(ctx)
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

// maxHeld bounds what a log holds in memory on a full disk. It is no parameter:
// beyond it changes fail, as they do on any full disk.
const maxHeld = 1 << 20

// Append writes b and applies it to s. The lock is held and s is caught up. On a
// full disk it uses Options.Room; when there is none it holds in memory what a
// mailbox can be read without until a later append finds room, if b adds no
// message and promises nothing. When it fails nothing is applied.
func (l *Log) Append(s *State, b *Batch) error {
	for {
		err := l.AppendNew(s, b)
		if err == nil || !full(err) {
			return err
		}
		if l.room != nil && l.room() {
			continue
		}
		if l.starting || !b.canWait() || len(l.held)+len(b.buf) > maxHeld {
			return err
		}
		own := l.announcement(s)
		b.seal(s.Position + uint64(len(own)))
		l.held = append(append(l.held, own...), b.buf...)
		return l.apply(s, own, b.buf)
	}
}

// AppendNew is Append for mail that comes: it waits for room of its own.
func (l *Log) AppendNew(s *State, b *Batch) error {
	if b.Empty() {
		return nil
	}
	if l.starting {
		return l.begin(s, b)
	}
	own := l.announcement(s)
	b.seal(s.Position + uint64(len(own)))
	data := b.buf
	if len(l.held) > 0 || len(own) > 0 {
		data = slices.Concat(l.held, own, data)
	}
	if n, err := l.file.WriteAt(data, l.end); err != nil {
		if n > 0 {
			err = errors.Join(err, l.file.Truncate(l.end))
		}
		return err
	}
	l.end += int64(len(data))
	l.held = nil
	return l.apply(s, own, b.buf)
}

// announcement is what goes before the first records of a process, sealed; nothing goes
// before all others.
func (l *Log) announcement(s *State) []byte {
	if l.era == 0 || s.era == l.era {
		return nil
	}
	var own Batch
	own.era(l.era)
	own.seal(s.Position)
	return own.buf
}

// Holds says that something waits for room.
func (l *Log) Holds() bool { return len(l.held) > 0 }

func (l *Log) apply(s *State, own ...[]byte) error {
	for _, records := range own {
		if n, _ := s.Replay(records); n != len(records) {
			return fmt.Errorf("%w: own records refused", ErrDamaged)
		}
	}
	return nil
}

func full(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// canWait says that a crash may forget b without harm: it adds no message and
// reserves no number.
func (b *Batch) canWait() bool {
	for _, at := range b.marks {
		switch byte(binary.LittleEndian.Uint32(b.buf[at+4:]) >> 24) {
		case recAdd, recReserve:
			return false
		}
	}
	return true
}
