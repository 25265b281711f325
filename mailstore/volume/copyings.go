package volume

import (
	"encoding/binary"
	"hash/fnv"

	"toastmaster/internal/lockorder"
)

// A copy of a message, or its new name, must be on the disk before its original, or the
// folder that it was in, is gone for good: from that the journal of who made it would make it
// again. Who made it may be another process. So each COPY and MOVE changes a number in
// ProcessesFile, before it changes anything else, and who takes something away looks at it:
// one that has changed since the last checkpoint of this process began calls for a checkpoint,
// which makes durable what all processes did.
//
// Accounts share copyingSlots numbers; two that share one cost each other a checkpoint now
// and then.

const (
	copyingSlots = 4096
	// copyingsAt is where the numbers are, eight octets each.
	copyingsAt = 4096
)

// copyings is what this process knows of the numbers.
type copyings struct {
	mu lockorder.Mutex[InnerLock]
	// at are the numbers as seen last, epoch is that in which each changed.
	at    [copyingSlots]uint64
	epoch [copyingSlots]uint64
}

func copyingSlot(home string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(home)) // never fails
	return int(h.Sum32() % copyingSlots)
}

// readCopyings learns the numbers of before; a checkpoint follows. There is room for all of
// them afterwards, also on a full disk.
func (s *Volume) readCopyings() error {
	var b [8 * copyingSlots]byte
	n, _ := s.processes.file.ReadAt(b[:], copyingsAt) // a file that is shorter is new
	if n < len(b) {
		if _, err := s.processes.file.WriteAt(b[n:], copyingsAt+int64(n)); err != nil {
			return err
		}
	}
	for i := range copyingSlots {
		s.copyings.at[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return nil
}

// NoteCopying says that a message of the account in home is about to be copied or moved, or
// was just now.
func (s *Volume) NoteCopying(home string) {
	slot, key := copyingSlot(home), newKey()
	t := &s.copyings
	t.mu.Lock()
	t.at[slot], t.epoch[slot] = key, s.Points.Changed()
	t.mu.Unlock()
	if _, err := s.processes.file.WriteAt(binary.LittleEndian.AppendUint64(nil, key), copyingsAt+8*int64(slot)); err != nil {
		s.Log.Warn("other processes are not told of a copy", "path", home, "cause", err)
	}
}

// CopiedLately says that a process may have copied or moved something of the account
// that no checkpoint of this process covers.
func (s *Volume) CopiedLately(home string) bool {
	slot := copyingSlot(home)
	t := &s.copyings
	var b [8]byte
	n, _ := s.processes.file.ReadAt(b[:], copyingsAt+8*int64(slot))
	key := binary.LittleEndian.Uint64(b[:])
	t.mu.Lock()
	defer t.mu.Unlock()
	if n < len(b) || key != t.at[slot] {
		t.at[slot], t.epoch[slot] = key, s.Points.Changed()
	}
	return t.epoch[slot] > s.Points.Durable()
}
