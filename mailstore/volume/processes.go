package volume

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"

	"toastmaster/internal/lockorder"
	"toastmaster/internal/vfs"
)

// MaxProcesses bounds the processes on one store. It is no parameter: a store has one
// process, or one for each role, and for moments some that export or restore.
const MaxProcesses = 64

// ProcessesFile, in the folder Private, is where the processes of a store meet. Each holds
// a slot as long as it lives, as a lock of one octet that ends with the process, however
// that ends. The locks of accounts are octets of it, too, so that an account has no file
// for them and no descriptor is held.
//
//	offset         size
//	0              8    magic "TMPROCS" 0x01
//	8              8    era
//	32+32*slot     8    key of the process that has the slot
//	2080+8*n       8    era of all that is unfinished in journal-<n>
//	4096+8*n       8    changes with each COPY and MOVE, see copyings.go
//
// Numbers are little-endian. What is in the file counts only while the lock of its slot is
// held; nothing of it is synced.
const ProcessesFile = "processes"

const (
	processesMagic = "TMPROCS\x01"
	slotSize       = 32 // all of them in one block
	journalErasAt  = slotSize * (1 + MaxProcesses)
	// Where the locks are, far behind the end of the file.
	joinAt    = 1 << 61
	slotsAt   = joinAt + 1
	accountsN = 1 << 60 // octets 0 to here are for accounts
)

// Process is one of those on the store: its slot, and a number that no other process has.
type Process struct {
	Slot int
	Key  uint64
}

// processes is what a volume knows of them.
type processes struct {
	file vfs.File
	own  Process
	// era is the same number for all processes as long as at least one lives.
	era uint64
	mu  lockorder.Mutex[InnerLock]
	// held are the octets that this process has locked for an account, or is about
	// to: the lock is the open file's, and would not keep two goroutines apart.
	held map[int64]struct{}
}

// ErrProcesses: no slot is free.
var ErrProcesses = fmt.Errorf("%d processes have the mail store open already", MaxProcesses)

// join makes this process one of those on the store.
func (s *Volume) join(ctx context.Context) error {
	p := &s.processes
	p.held = map[int64]struct{}{}
	f, err := s.FS.OpenFile(filepath.Join(s.Root, Private, ProcessesFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	try := func() error { return f.TryLockAt(joinAt) }
	if err = try(); errors.Is(err, vfs.ErrLocked) {
		err = vfs.AwaitLock(ctx, s.Clock, s.Config.LockTimeout, try)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("%s: %w", f.Name(), err), f.Close())
	}
	p.file = f
	if err := errors.Join(s.WithReserve(p.enter), s.WithReserve(s.readCopyings), f.UnlockAt(joinAt)); err != nil {
		return errors.Join(err, p.leave())
	}
	return nil
}

// enter takes a slot. Nobody else enters meanwhile.
func (p *processes) enter() error {
	others, free := 0, -1
	for slot := range MaxProcesses {
		used, err := p.file.LockedAt(slotsAt + int64(slot))
		switch {
		case err != nil:
			return err
		case used:
			others++
		case free < 0:
			free = slot
		}
	}
	if free < 0 {
		return ErrProcesses
	}
	// It is ours when it is written: enter is tried again when there was no room.
	era := uint64(0)
	var head [16]byte
	if n, _ := p.file.ReadAt(head[:], 0); others > 0 && n == len(head) && string(head[:8]) == processesMagic {
		era = binary.LittleEndian.Uint64(head[8:])
	}
	if era == 0 {
		era = newKey()
		copy(head[:], processesMagic)
		binary.LittleEndian.PutUint64(head[8:], era)
		if _, err := p.file.WriteAt(head[:], 0); err != nil {
			return err
		}
	}
	own := Process{free, newKey()}
	if err := p.file.TryLockAt(slotsAt + int64(free)); err != nil {
		return err
	}
	p.own, p.era = own, era
	_, err := p.file.WriteAt(binary.LittleEndian.AppendUint64(nil, own.Key), slotSize*int64(1+free))
	return err
}

// newKey is a number that no other process has.
func newKey() uint64 { return rand.Uint64() | 1 }

// leave gives back the slot, and all locks.
func (p *processes) leave() error {
	if p.file == nil {
		return nil
	}
	f := p.file
	p.file = nil
	return f.Close()
}

// Own is this process.
func (s *Volume) Own() Process { return s.processes.own }

// Era is a number that all processes share that had the store open one after the
// other or at once without a moment in between in which none had: what any of them wrote
// is still there.
func (s *Volume) Era() uint64 { return s.processes.era }

// JournalEra is the era that NoteJournalEra was told of journal-<n>, 0 for none.
func (s *Volume) JournalEra(n int) (uint64, error) {
	var b [8]byte
	if n < 0 || n >= MaxProcesses {
		return 0, nil
	}
	if got, err := s.processes.file.ReadAt(b[:], journalErasAt+8*int64(n)); got < len(b) {
		if errors.Is(err, os.ErrClosed) {
			return 0, err
		}
		return 0, nil // behind the end
	}
	return binary.LittleEndian.Uint64(b[:]), nil
}

// NoteJournalEra says that all that is unfinished in journal-<n>, and what this process is
// going to write there, is of this era.
func (s *Volume) NoteJournalEra(n int) error {
	if n < 0 || n >= MaxProcesses {
		return nil
	}
	return s.WithReserve(func() error {
		_, err := s.processes.file.WriteAt(binary.LittleEndian.AppendUint64(nil, s.processes.era), journalErasAt+8*int64(n))
		return err
	})
}

// Lives says whether a process has the store open still.
func (s *Volume) Lives(who Process) (bool, error) {
	p := &s.processes
	if who == p.own {
		return true, nil
	}
	if who.Slot < 0 || who.Slot >= MaxProcesses {
		return false, nil
	}
	key, err := p.key(who.Slot)
	if err != nil || key != who.Key {
		return false, err
	}
	return p.file.LockedAt(slotsAt + int64(who.Slot))
}

// key is what stands in a slot.
func (p *processes) key(slot int) (uint64, error) {
	var b [8]byte
	if n, err := p.file.ReadAt(b[:], slotSize*int64(1+slot)); n < len(b) {
		if errors.Is(err, os.ErrClosed) {
			return 0, err
		}
		return 0, nil // behind the end
	}
	return binary.LittleEndian.Uint64(b[:]), nil
}

// Others are the other processes that have the store open.
func (s *Volume) Others() (others []Process, err error) {
	p := &s.processes
	for slot := range MaxProcesses {
		used, err := p.file.LockedAt(slotsAt + int64(slot))
		if err != nil {
			return nil, err
		}
		if !used {
			continue
		}
		key, err := p.key(slot)
		if err != nil {
			return nil, err
		}
		others = append(others, Process{slot, key})
	}
	return others, nil
}

// AccountLock keeps the processes apart that change one account: a thing of it, named by
// what. It is taken inside the lock in memory that guards the same thing, so that no two
// goroutines of this process meet at it, and given back soon.
type AccountLock[P lockorder.Ranked] struct {
	vol     *Volume
	at      int64
	inOrder lockorder.Foreign[P] // its key is the account's home
	// stalled: the last who waited did so in vain.
	stalled bool
}

// AccountLockOptions say what an AccountLock guards.
type AccountLockOptions struct {
	Volume *Volume
	// Home is the account's folder below the root, What the thing of it: a name that all
	// processes know it by.
	Home, What string
}

// NewAccountLock makes the lock of a thing of an account.
func NewAccountLock[P lockorder.Ranked](o AccountLockOptions) *AccountLock[P] {
	h := fnv.New64a()
	_, _ = h.Write([]byte(o.What + "\x00" + o.Home)) // never fails
	return &AccountLock[P]{vol: o.Volume, at: int64(h.Sum64() % accountsN), inOrder: lockorder.Foreign[P]{Key: o.Home}}
}

// Lock takes it. While another process has it Lock waits, store.lock_timeout at most and
// as long as ctx allows; then the error is ErrBusy. Who comes after one that waited in vain
// tries once: a process that was stopped costs them all one wait, not each of them.
func (l *AccountLock[P]) Lock(ctx context.Context) error {
	l.inOrder.Enter()
	err := l.try()
	if errors.Is(err, vfs.ErrLocked) && !l.stalled {
		err = vfs.AwaitLock(ctx, l.vol.Clock, l.vol.Config.LockTimeout, l.try)
		l.stalled = errors.Is(err, vfs.ErrLocked)
	} else if err == nil {
		l.stalled = false
	}
	if err != nil {
		l.inOrder.Leave()
		return Err(fmt.Errorf("account %s: %w", l.inOrder.Key, err))
	}
	return nil
}

func (l *AccountLock[P]) try() error {
	p := &l.vol.processes
	p.mu.Lock()
	_, held := p.held[l.at]
	if !held {
		p.held[l.at] = struct{}{}
	}
	p.mu.Unlock()
	if held {
		return vfs.ErrLocked
	}
	err := p.file.TryLockAt(l.at)
	if err != nil {
		p.forget(l.at)
	}
	return err
}

func (p *processes) forget(at int64) {
	p.mu.Lock()
	delete(p.held, at)
	p.mu.Unlock()
}

// Unlock gives it back. Should that fail the end of the process does.
func (l *AccountLock[P]) Unlock() {
	p := &l.vol.processes
	if err := p.file.UnlockAt(l.at); err != nil {
		l.vol.Log.Warn("giving back the lock of an account", "account", l.inOrder.Key, "cause", err)
	}
	p.forget(l.at)
	l.inOrder.Leave()
}
