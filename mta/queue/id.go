package queue

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"toastmaster/internal/clock"
	"toastmaster/internal/crc32c"
	"toastmaster/internal/envelope"
	"toastmaster/internal/spool"
	"toastmaster/internal/vfs"
)

// alphabet has no vowels, so that an ID spells nothing, and is in the order of
// its octets, so that IDs sort by time.
const alphabet = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz"

// The parts of an ID: seconds, microseconds, "z", epoch. Postfix has the inode
// number in the last place; ours is a number that each start of the queue
// increments, so that no clock step makes an ID twice. It is written in base
// 51, without "z".
const (
	secondDigits = 6
	microDigits  = 4
	timeDigits   = secondDigits + microDigits
	maxID        = 32
)

// ids makes queue IDs.
type ids struct {
	clock clock.Clock
	epoch string
	last  atomic.Int64 // microseconds
}

// next never gives the same microsecond twice, whatever the clock does.
func (i *ids) next() envelope.QueueID {
	now := i.clock.Now().UnixMicro()
	for {
		last := i.last.Load()
		at := max(now, last+1)
		if i.last.CompareAndSwap(last, at) {
			return formatID(time.UnixMicro(at), i.epoch)
		}
	}
}

func formatID(at time.Time, epoch string) envelope.QueueID {
	b := make([]byte, timeDigits, timeDigits+1+len(epoch))
	digits(b[:secondDigits], uint64(at.Unix()))
	digits(b[secondDigits:], uint64(at.Nanosecond()/1000))
	b = append(b, 'z')
	return envelope.QueueID(append(b, epoch...))
}

// digits fills b with n in base 52.
func digits(b []byte, n uint64) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = alphabet[n%52]
		n /= 52
	}
}

func epochText(n uint64) string {
	text := ""
	for {
		text = alphabet[n%51:n%51+1] + text
		n /= 51
		if n == 0 {
			return text
		}
	}
}

// validID says that id may be a file name of the queue.
func validID(id envelope.QueueID) bool {
	if len(id) < timeDigits+2 || len(id) > maxID {
		return false
	}
	for i := range len(id) {
		if strings.IndexByte(alphabet, id[i]) < 0 {
			return false
		}
	}
	return true
}

// bucket is the directory of a message's file below deferred or hold: the last
// digit of its microseconds.
func bucket(id envelope.QueueID) string { return string(id[timeDigits-1 : timeDigits]) }

// newEpoch reads the epoch file, and replaces it by one with the next number.
// The new one is durable before an ID is made of it.
func newEpoch(fsys vfs.FS, dir string, now time.Time) (uint64, error) {
	name := filepath.Join(dir, fileEpoch)
	n, err := readEpoch(fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		n, err = 0, nil
	}
	if errors.Is(err, errFormat) {
		// Seconds are more than any number of starts.
		n, err = uint64(now.Unix()), nil
	}
	if err != nil {
		return 0, err
	}
	n++
	b := binary.LittleEndian.AppendUint64(nil, n)
	b = binary.LittleEndian.AppendUint32(b, crc32c.Sum(b))
	err = vfs.Replace(fsys, name, b)
	if spool.IsFull(err) {
		err = overwriteEpoch(fsys, name, b, err)
	}
	return n, err
}

// overwriteEpoch writes the epoch into the file that is there, which takes no space: on a
// full disk the queue opens, so that there is mail to be read and deleted. One torn by a power
// loss is damaged, and counted on from the seconds. why is the error where none is there.
func overwriteEpoch(fsys vfs.FS, name string, epoch []byte, why error) error {
	f, err := fsys.OpenFile(name, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return why
	}
	if err != nil {
		return err
	}
	_, err = f.WriteAt(epoch, 0)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func readEpoch(fsys vfs.FS, name string) (uint64, error) {
	f, err := fsys.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var b [12]byte
	if n, _ := f.ReadAt(b[:], 0); n < len(b) || crc32c.Sum(b[:8]) != binary.LittleEndian.Uint32(b[8:]) {
		return 0, errFormat
	}
	return binary.LittleEndian.Uint64(b[:]), nil
}
