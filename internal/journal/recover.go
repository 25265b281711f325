package journal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sync/semaphore"

	"toastmaster/internal/vfs"
)

// keepFree is how many free segments Open leaves; the rest, from a busier time, is
// given back to the disk. It is no parameter: more are made as they are needed.
const keepFree = 4

// ErrInUse is returned by Open when another process has the journal open.
var ErrInUse = errors.New("journal: in use by another process")

// Replay is told of each record found at Open, oldest first. payload is valid
// during the call. keep makes the record live, with one reference, until
// Unpin. An error ends Open.
type Replay func(pos Position, payload []byte) (keep bool, err error)

// Open opens or makes the journal in o.Dir and tells o.Replay what is in it. Damage is logged,
// reported to o.Damaged and skipped; it never fails Open. Writing goes on in a
// new segment, so nothing that was found is ever overwritten in place.
func Open(ctx context.Context, o Options) (*Journal, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	j := &Journal{
		o: o, waiting: semaphore.NewWeighted(o.MaxWaiting), nextSeq: 1,
		wake: make(chan struct{}, 1), prepared: make(chan struct{}, 1), need: make(chan struct{}, 1),
		wantCk: make(chan struct{}, 1), stop: make(chan struct{}), hurry: make(chan struct{}),
	}
	if err := j.lockDir(); err != nil {
		return nil, err
	}
	if err := j.recover(ctx, o.Replay); err != nil {
		return nil, errors.Join(err, j.closeFiles())
	}
	j.ctx, j.cancel = context.WithCancel(context.WithoutCancel(ctx))
	j.commits.Add(1)
	j.keepers.Add(2)
	go j.commitLoop()
	go j.prepareLoop()
	go j.checkpointLoop()
	wakeUp(j.need)
	return j, nil
}

func (j *Journal) lockDir() error {
	if err := j.o.FS.MkdirAll(j.o.Dir, 0o700); err != nil {
		return diskError(err)
	}
	if err := j.o.FS.SyncDir(filepath.Dir(j.o.Dir)); err != nil {
		return diskError(err)
	}
	lock, err := j.o.FS.OpenFile(filepath.Join(j.o.Dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return diskError(err)
	}
	if err := lock.TryLock(); err != nil {
		if errors.Is(err, vfs.ErrLocked) {
			err = fmt.Errorf("%w: %s", ErrInUse, j.o.Dir)
		}
		return errors.Join(err, lock.Close())
	}
	j.lock = lock
	return nil
}

// recover finds the segments in use, replays them, and keeps the others as
// free ones.
func (j *Journal) recover(ctx context.Context, replay Replay) error {
	all, err := j.openSegments()
	if err != nil {
		return err
	}
	tail := uint64(math.MaxUint64)
	if len(all) > 0 {
		last := all[len(all)-1]
		tail, j.nextSeq = last.tail, last.seq+1
	}
	for _, s := range all {
		s.sealed = true
		if s.seq < tail {
			j.free = append(j.free, s)
		} else {
			j.segs = append(j.segs, s)
		}
	}
	// Segments that the process before this one removed must not come back: their
	// numbers are given anew.
	if err := j.o.FS.SyncDir(j.o.Dir); err != nil {
		return diskError(err)
	}
	var buf []byte
	for _, s := range j.segs {
		if n := s.end() + block; int64(cap(buf)) < n {
			buf = make([]byte, n)
		}
		if err := j.replaySegment(ctx, s, buf[:s.end()+block], replay); err != nil {
			return err
		}
	}
	// Before the last segment may become a free one: its header is what makes the
	// others free.
	j.dropSurplus()
	j.freeUnused()
	return nil
}

// freeUnused gives back the last segments as far as nothing was written into
// them: the spare of an earlier process.
func (j *Journal) freeUnused() {
	for n := len(j.segs); n > 0 && j.segs[n-1].unused; n-- {
		j.free = append(j.free, j.segs[n-1])
		j.segs = j.segs[:n-1]
	}
}

// openSegments opens every segment with a readable header, in the order of
// their numbers. Files without one go: a segment that was not finished, or,
// if it is not all zeros, a damaged one.
func (j *Journal) openSegments() ([]*segment, error) {
	entries, err := j.o.FS.ReadDir(j.o.Dir)
	if err != nil {
		return nil, diskError(err)
	}
	var all []*segment
	for _, e := range entries {
		slot, ok := slotOf(e.Name())
		if !ok {
			continue
		}
		j.nextSlot = max(j.nextSlot, slot+1)
		s, err := j.openSegment(slot)
		if err != nil {
			for _, s := range all {
				err = errors.Join(err, s.file.Close())
			}
			return nil, err
		}
		if s != nil {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b *segment) int {
		if a.seq < b.seq {
			return -1
		}
		return 1
	})
	j.slots = len(all)
	return all, nil
}

func (j *Journal) openSegment(slot int) (*segment, error) {
	name := slotName(j.o.Dir, slot)
	f, err := j.o.FS.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil, diskError(err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(diskError(err), f.Close())
	}
	s := &segment{name: name, slot: slot, file: f, size: info.Size()}
	if err = s.readHeader(info.Size()); err == nil {
		return s, nil
	}
	s.size = info.Size()
	return nil, errors.Join(j.rejectSegment(s, err), f.Close())
}

// rejectSegment deals with a file that has no header. An unfinished one is
// removed. A damaged one is renamed, for a person to look at: without its
// nonce no record in it can be told from a leftover.
func (j *Journal) rejectSegment(s *segment, cause error) error {
	if s.allZero() {
		return removeIfThere(j.o.FS, s.name)
	}
	j.report(Damage{File: s.name, To: s.size, Err: cause}, nil)
	if err := j.o.FS.Rename(s.name, j.damagedName(s.name)); err != nil {
		j.o.Log.Error("journal cannot set a damaged segment aside", "segment", s.name, "cause", err.Error())
	}
	return nil
}

// damagedName is a name that nobody has: an earlier one is evidence, too.
func (j *Journal) damagedName(name string) string {
	for n := 1; ; n++ {
		to := name + ".damaged"
		if n > 1 {
			to += "-" + strconv.Itoa(n)
		}
		if _, err := j.o.FS.Stat(to); err != nil {
			return to
		}
	}
}

// allZero says that the file can be read and holds nothing, as one that was not
// finished. It may be any file: it is read in pieces, and one that is larger
// than any of ours not at all.
func (s *segment) allZero() bool {
	if s.size > MaxSegmentSize {
		return false
	}
	part := make([]byte, min(zeroes, s.size))
	for off := int64(0); off < s.size; off += zeroes {
		n, err := s.file.ReadAt(part[:min(zeroes, s.size-off)], off)
		if err != nil && !errors.Is(err, io.EOF) {
			return false
		}
		if !allZero(part[:n]) {
			return false
		}
	}
	return true
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// dropSurplus removes free segments of another size than now wanted and those
// above keepFree. They are older than the tail in a header that replaySegment made
// durable, so Open never misses them.
func (j *Journal) dropSurplus() {
	kept := j.free[:0]
	for _, s := range j.free {
		if s.usable(j.o.SegmentSize) && len(kept) < keepFree {
			kept = append(kept, s)
			continue
		}
		j.slots--
		if err := errors.Join(s.file.Close(), removeIfThere(j.o.FS, s.name)); err != nil {
			j.o.Log.Warn("journal cannot remove a segment", "segment", s.name, "cause", err.Error())
		}
	}
	j.free = kept
}

// replaySegment reads one segment and makes it durable.
func (j *Journal) replaySegment(ctx context.Context, s *segment, image []byte, replay Replay) error {
	readErr := s.read(image)
	if readErr != nil {
		j.report(Damage{File: s.name, Segment: s.seq, To: s.size, Err: readErr}, nil)
	}
	if s.short {
		j.report(Damage{File: s.name, Segment: s.seq, From: s.size, To: s.size, Err: errShort}, nil)
	}
	proven := s.readTrailer(image)
	if err := s.settle(image[:s.size], proven, readErr == nil); err != nil {
		return fmt.Errorf("journal segment %s cannot be made durable: %w", s.name, diskError(err))
	}
	s.unused = readErr == nil && proven == 0
	whole, err := scan(image, s.seed, s.end(), proven, func(r found) error {
		s.unused = false
		if err := ctx.Err(); err != nil {
			return err
		}
		keep, err := replay(Position{s.seq, uint32(r.off), uint32(len(r.payload))}, r.payload)
		if keep {
			s.refs++
		}
		return err
	}, func(from, to int64, torn bool) {
		s.unused = false
		if torn {
			j.o.Log.Info("journal ends in an unfinished write", "segment", s.name, "from", from, "to", to)
			return
		}
		j.report(Damage{File: s.name, Segment: s.seq, From: from, To: to, Err: errChecksum}, image[from:to])
	})
	if err == nil && proven == 0 && !s.unused && readErr == nil {
		// What is unfinished now is not damage when it is seen again.
		j.left = append(j.left, leftSegment{s, s.seq, whole})
	}
	return err
}

// settle makes durable what is to be acted upon now, so that it does not vanish
// later. A sync is not enough: the process before may have had one that failed, and
// then the kernel has dropped what was to be written, still shows it, and syncs it no
// more. So what is not proven is written once more, unless parts could not be read.
func (s *segment) settle(image []byte, proven int64, readable bool) error {
	if !readable {
		return s.file.Datasync()
	}
	err := s.rewrite(image, proven)
	if err == nil {
		return nil
	}
	if again := s.rewrite(image, proven); again != nil {
		return errors.Join(err, again)
	}
	return nil
}

// rewrite writes what is behind proven, but for pieces of zeros, and syncs. The
// octets are those that are read there, so a write that is torn changes nothing.
func (s *segment) rewrite(image []byte, proven int64) error {
	for off := proven / block * block; off < int64(len(image)); off += zeroes {
		part := image[off:min(off+zeroes, int64(len(image)))]
		if allZero(part) {
			continue
		}
		if _, err := s.file.WriteAt(part, off); err != nil {
			return err
		}
	}
	return s.file.Datasync()
}

// read reads the whole file. Parts that cannot be read are zero; the error is
// the first reason.
func (s *segment) read(image []byte) error {
	clear(image[s.size:])
	var first error
	for off := int64(0); off < s.size; off += zeroes {
		part := image[off:min(off+zeroes, s.size)]
		n, err := s.file.ReadAt(part, off)
		if err == nil || errors.Is(err, io.EOF) {
			clear(part[n:])
			continue
		}
		clear(part)
		if first == nil {
			first = err
		}
	}
	return first
}

// report logs damage, keeps what was read of it, and tells the owner.
func (j *Journal) report(d Damage, octets []byte) {
	kept := ""
	if j.o.Corrupt != "" && len(octets) > 0 {
		var err error
		if kept, err = j.keep(d, octets); err != nil {
			j.o.Log.Error("journal cannot keep what is damaged", "segment", d.File, "from", d.From, "to", d.To, "cause", err.Error())
		}
	}
	j.o.Log.Error("journal damaged", "segment", d.File, "from", d.From, "to", d.To, "kept", kept, "cause", d.Err.Error())
	if j.o.Damaged != nil {
		j.o.Damaged(d)
	}
}

// keep copies a damaged range to Options.Corrupt. The segment may be used
// again before anybody has looked at it.
func (j *Journal) keep(d Damage, octets []byte) (string, error) {
	name := filepath.Join(j.o.Corrupt, fmt.Sprintf("segment-%d-%d", d.Segment, d.From))
	if err := vfs.Replace(j.o.FS, name, octets); err != nil {
		return "", err
	}
	return name, nil
}
