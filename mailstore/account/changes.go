package account

import (
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"toastmaster/internal/crc32c"
	"toastmaster/internal/field"
	"toastmaster/mailstore/volume"
)

// changesFile is the log of what processes tell each other of the quota of an account,
// in the home of one that has a quota. It is written, and read for a decision, under the
// lock usagedisk; nobody syncs it: what it says is about processes that live.
//
//	offset size
//	0      8    magic "TMCHNGS" 0x01
//	8      8    position of the first record
//	16     4    CRC of octets 0 to 15
//	20     ...  records
//
// A record, at a position that counts the octets of all records ever written:
//
//	0  4  CRC of the position (8 octets) and what follows
//	4  2  length of the payload
//	6  1  type
//	7  .. payload: varints
//
// Numbers are little-endian, CRC is CRC-32C (Castagnoli). The log ends at the first record
// whose CRC is wrong, as that of a process that was killed while it wrote; who writes next
// cuts that off. Beyond maxChanges it is replaced by one that has what counts still.
const changesFile = "toastmaster.changes"

const (
	changesMagic  = "TMCHNGS\x01"
	changesHeader = 20
	changeHeader  = 7
	// maxChanges is when it is replaced. It is no parameter: there are not more
	// processes than fit a hundred times.
	maxChanges = 4 << 10
)

// The types of records.
const (
	// changeReserved: what a process has reserved now, all together, slot, key, octets
	// and messages. The last one of a process counts.
	changeReserved = 1 + iota
	// changeUsed: what is used changed while there was no maildirsize to say so.
	changeUsed
)

// changes is the log as read.
type changes struct {
	acct *Account
	// state is the file's when it was read or written.
	state fileState
	// start is the position of the first record, end the length of what is valid.
	start uint64
	end   int64
	// reserved is what each process has reserved.
	reserved map[volume.Process]Usage
	// used is behind the last record changeUsed.
	used uint64
}

// fileState tells whether a file is another one, or has changed. Two that are equal may
// lie within one tick of the file system's clock only if a log was replaced and is as long
// as before within it, which takes a hundred deliveries.
type fileState struct {
	inode       uint64
	size, mtime int64
}

// stateOf is not known, which is false, of a file system that has no inodes.
func stateOf(info fs.FileInfo) (fileState, bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fileState{size: info.Size()}, false
	}
	return fileState{st.Ino, info.Size(), info.ModTime().UnixNano()}, true
}

// readChanges reads the log; one that is not there, or is none, is empty. before is the
// log as it was read or written last, which is used if it is the same; nil for none.
func (a *Account) readChanges(before *changes) (*changes, error) {
	name := filepath.Join(a.home, changesFile)
	c := &changes{acct: a, reserved: map[volume.Process]Usage{}}
	info, err := a.vol.FS.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	if state, known := stateOf(info); known && before != nil && before.state == state {
		return before, nil
	}
	f, err := volume.OpenRegular(a.vol.FS, name, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c.state, _ = stateOf(f.Info)
	data := make([]byte, min(c.state.size, 2*maxChanges))
	n, err := f.ReadAt(data, 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	c.parse(data[:n])
	return c, nil
}

func (c *changes) parse(data []byte) {
	if len(data) < changesHeader || string(data[:8]) != changesMagic ||
		binary.LittleEndian.Uint32(data[16:]) != crc32c.Sum(data[:16]) {
		return
	}
	c.start, c.end = binary.LittleEndian.Uint64(data[8:]), changesHeader
	for rest := data[changesHeader:]; len(rest) >= changeHeader; {
		size := changeHeader + int(binary.LittleEndian.Uint16(rest[4:]))
		if size > len(rest) || binary.LittleEndian.Uint32(rest) != changeCRC(c.position(), rest[:size]) {
			return
		}
		c.apply(rest[6], field.NewReader(rest[changeHeader:size]))
		c.end += int64(size)
		rest = rest[size:]
	}
}

// position is that of the next record.
func (c *changes) position() uint64 { return c.start + uint64(c.end-changesHeader) }

func changeCRC(position uint64, record []byte) uint32 {
	var p [8]byte
	binary.LittleEndian.PutUint64(p[:], position)
	return crc32c.Update(crc32c.Sum(p[:]), record[4:])
}

func (c *changes) apply(kind byte, r field.Reader) {
	switch kind {
	case changeReserved:
		who := volume.Process{Slot: r.Number(), Key: r.Uint()}
		if room := (Usage{r.Int(), r.Int()}); r.Bad() || room == (Usage{}) {
			delete(c.reserved, who)
		} else {
			c.reserved[who] = room
		}
	case changeUsed:
		c.used = c.position() + 1
	}
}

func reservedPayload(who volume.Process, room Usage) []byte {
	p := binary.AppendUvarint(binary.AppendUvarint(nil, uint64(who.Slot)), who.Key)
	return binary.AppendVarint(binary.AppendVarint(p, room.Bytes), room.Messages)
}

// append writes a record; nil changes take none. The lock is held.
func (c *changes) append(kind byte, payload []byte) error {
	if c == nil {
		return nil
	}
	if c.end == 0 || c.end > maxChanges {
		return c.replace(kind, payload)
	}
	f, err := c.acct.vol.FS.OpenFile(filepath.Join(c.acct.home, changesFile), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	record := appendChange(nil, c.position(), kind, payload)
	if c.state.size > c.end { // what a process wrote that was killed
		err = f.Truncate(c.end)
	}
	if err == nil {
		_, err = f.WriteAt(record, c.end)
	}
	if info, statErr := f.Stat(); err == nil && statErr == nil {
		c.state, _ = stateOf(info)
	} else {
		c.state = fileState{}
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	c.apply(kind, field.NewReader(payload))
	c.end += int64(len(record))
	return nil
}

func appendChange(b []byte, position uint64, kind byte, payload []byte) []byte {
	at := len(b)
	b = append(b, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(payload)))
	b = append(append(b, kind), payload...)
	binary.LittleEndian.PutUint32(b[at:], changeCRC(position, b[at:]))
	return b
}

// replace puts a log in its place that has what counts still, and one record more.
func (c *changes) replace(kind byte, payload []byte) error {
	next := changes{acct: c.acct, start: c.start + uint64(c.end), end: changesHeader, reserved: map[volume.Process]Usage{}, used: c.used}
	b := binary.LittleEndian.AppendUint64([]byte(changesMagic), next.start)
	b = binary.LittleEndian.AppendUint32(b, crc32c.Sum(b))
	add := func(kind byte, payload []byte) {
		b = appendChange(b, next.position(), kind, payload)
		next.end = int64(len(b))
		next.apply(kind, field.NewReader(payload))
	}
	for who, room := range c.reserved {
		add(changeReserved, reservedPayload(who, room))
	}
	add(kind, payload)
	if err := c.acct.writeFile(changesFile, b); err != nil {
		return err
	}
	*c = next
	return nil
}

// ofOthers is what other processes have reserved that live, and which of those that
// have are gone. One that is gone was in the middle of something: whether that is
// counted nobody knows.
func (c *changes) ofOthers() (sum Usage, gone []volume.Process, err error) {
	own := c.acct.vol.Own()
	for who, room := range c.reserved {
		if who == own {
			continue
		}
		lives, err := c.acct.vol.Lives(who)
		switch {
		case err != nil:
			return Usage{}, nil, err
		case !lives:
			gone = append(gone, who)
		default:
			sum.Bytes, sum.Messages = sum.Bytes+room.Bytes, sum.Messages+room.Messages
		}
	}
	return sum, gone, nil
}
