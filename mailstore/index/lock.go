package index

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"syscall"

	"toastmaster/internal/vfs"
)

// Lock takes the lock between processes. Unlock it soon. When another process
// has it Lock waits, up to the Wait of Options and as long as ctx allows, and
// returns vfs.ErrLocked then. Who comes after one that waited in vain, as those
// may who wait for the mailbox in this process, tries once: a process that was
// stopped costs them all one Wait, not each of them.
func (l *Log) Lock(ctx context.Context) error {
	if err := l.reopen(); err != nil {
		return err
	}
	err := l.file.TryLock()
	if errors.Is(err, vfs.ErrLocked) && !l.stalled {
		err = vfs.AwaitLock(ctx, l.clock, l.patience, func() error { return l.file.TryLock() })
		l.stalled = errors.Is(err, vfs.ErrLocked)
	} else if err == nil {
		l.stalled = false
	}
	return err
}

// Unlock gives it back. Who does not hold it gives back nothing.
func (l *Log) Unlock() error {
	if l.file == nil {
		return nil // drop has
	}
	return l.file.Unlock()
}

// lockCurrent locks the log that bears the name and reads it whole.
func (l *Log) lockCurrent(ctx context.Context) ([]byte, error) {
	for {
		if err := l.Lock(ctx); err != nil {
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
