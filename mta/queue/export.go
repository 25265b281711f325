package queue

import (
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"time"

	"toastmaster/internal/crc32c"
	"toastmaster/internal/envelope"
)

// Exported is a message as the file that it would have in deferred/ or hold/:
// for a backup, or to be put into another queue that is not open. Close it.
type Exported struct {
	ID envelope.QueueID
	// Place is Deferred or Hold, Next when it is due: now, unless it was deferred.
	Place Place
	Next  time.Time
	// Size is the length of the file.
	Size int64

	head, tail []byte
	content    envelope.Content
}

// Path is where the file belongs below a queue's folder.
func (x *Exported) Path() string { return string(x.Place) + "/" + bucket(x.ID) + "/" + string(x.ID) }

// Reader reads the file from its start.
func (x *Exported) Reader() io.Reader {
	return io.MultiReader(byteReader(x.head), envelope.Reader(x.content), byteReader(x.tail))
}

func byteReader(b []byte) io.Reader { return envelope.Reader(envelope.Memory(b)) }

// Close gives the content back.
func (x *Exported) Close() error { return x.content.Close() }

// Export makes the file of a message, wherever it is: in the journal, active, or
// deferred. It changes nothing. A recipient whose delivery into the store is not
// durable yet is pending in it, and whoever reads it delivers as a replay: so a
// copy of the store that is made afterwards and this file together have the
// message, and never twice. ErrNoMessage for one that has left, and for one whose
// content is damaged.
func (l *listing) Export(id envelope.QueueID) (*Exported, error) {
	if !validID(id) {
		return nil, ErrNoMessage
	}
	// Once more: it may move to its file between the two looks.
	for again := false; ; again = true {
		x, err := l.exportKnown(id)
		if errors.Is(err, errInFile) {
			x, err = l.exportFile(id)
		}
		switch {
		case errors.Is(err, errLeft):
			return nil, ErrNoMessage
		case errors.Is(err, errDamaged):
			return nil, ErrNoMessage // it goes to corrupt/ when it is next due
		case errors.Is(err, ErrNoMessage) || errors.Is(err, fs.ErrNotExist):
			if again {
				return nil, ErrNoMessage
			}
		case err != nil:
			return nil, diskError(err)
		default:
			return x, nil
		}
	}
}

var (
	// errLeft: all its recipients are done, whatever files it has still.
	errLeft = errors.New("queue: message has left")
	// errInFile: its file says all that is known of it, if it has one.
	errInFile = errors.New("queue: message is in its file")
)

// exportKnown exports a message that is known in memory.
func (l *listing) exportKnown(id envelope.QueueID) (*Exported, error) {
	m, at, next := l.index.look(id)
	switch {
	case m == nil || !at.inMemory() && at.stage != leaving:
		return nil, errInFile
	case at.stage == leaving || at.want == wantDelete:
		return nil, errLeft
	}
	place := Deferred
	if at.want == wantHold {
		place = Hold
	}
	if at.stage != waiting {
		next = l.disk.clock.Now()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.removed {
		return nil, errLeft
	}
	if m.place != Incoming && (m.env == nil || m.progress.rcpts == nil) {
		return nil, errInFile
	}
	env := m.env
	if env == nil {
		r, err := l.disk.loadRecord(m)
		if err != nil {
			return nil, err
		}
		env = r.env
	}
	content, err := l.disk.content(m)
	if err != nil {
		return nil, err
	}
	s := m.snapshot(l.disk.ledger.boot, l.disk.ledger.durable.Load())
	if s.rcpts == nil {
		s.rcpts = make([]rcpt, len(env.Recipients))
	}
	if !s.pending() {
		return nil, errors.Join(errLeft, content.Close())
	}
	return export(placed(env), content, s, place, next)
}

// exportFile exports a message that has a file and is not in memory.
func (l *listing) exportFile(id envelope.QueueID) (*Exported, error) {
	place, _, err := l.disk.files.where(id)
	if err != nil {
		return nil, err
	}
	if place == "" {
		return nil, ErrNoMessage
	}
	f, mf, err := l.disk.files.read(place, id)
	if err != nil {
		return nil, err
	}
	return export(mf.env, mf.content(f), mf.progress, place, mf.mtime)
}

// export makes the octets of the file; the content is read once for its checksum.
func export(env *envelope.Envelope, content envelope.Content, s *progress, place Place, next time.Time) (*Exported, error) {
	var err error
	if f, ok := content.(*fileContent); ok {
		err = f.check()
	}
	var sum uint32
	if err == nil {
		sum, err = copyContent(nowhere{}, 0, content)
	}
	if err != nil {
		return nil, errors.Join(err, content.Close())
	}
	meta := encoder{}
	meta.envelope(env)
	x := &Exported{ID: env.ID, Place: place, Next: next, content: content}
	x.head = fileHead(meta.b, content.Size(), sum)
	end := int64(len(x.head)) + content.Size()
	x.tail = progressBlock(s, end)
	x.Size = end + int64(len(x.tail))
	return x, nil
}

// fileHead is what a message file begins with: header and envelope.
func fileHead(meta []byte, size int64, sum uint32) []byte {
	h := make([]byte, 0, fileHeader+len(meta))
	h = append(h, fileMagic...)
	h = binary.LittleEndian.AppendUint32(h, uint32(len(meta)))
	h = binary.LittleEndian.AppendUint32(h, crc32c.Sum(meta))
	h = binary.LittleEndian.AppendUint64(h, uint64(size))
	h = binary.LittleEndian.AppendUint32(h, sum)
	h = binary.LittleEndian.AppendUint32(h, crc32c.Sum(h))
	return append(h, meta...)
}

// nowhere takes what is written for its checksum only.
type nowhere struct{}

func (nowhere) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }

// IDs lists the messages that are in the queue now, those in corrupt/ left out.
func (l *listing) IDs() ([]envelope.QueueID, error) {
	seen := map[envelope.QueueID]bool{}
	var ids []envelope.QueueID
	offer := func(id envelope.QueueID) {
		if !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	// A message goes from memory to its file: look in that order. It goes from
	// deferred/ to hold/ and back, so deferred/ is read again at the end.
	for _, m := range l.index.all(func(m *message) bool { return m.at.stage != leaving && m.at.stage != looking }) {
		offer(m.id)
	}
	for _, place := range []Place{Deferred, Hold, Deferred} {
		if err := l.disk.files.each(place, func(id envelope.QueueID, _ fs.DirEntry) error { offer(id); return nil }); err != nil {
			return nil, diskError(err)
		}
	}
	return ids, nil
}
