package queue

import (
	"context"
	"errors"
	"io"
	"path/filepath"

	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/journal"
	"toastmaster/internal/vfs"
)

// Add makes a message durable: when it returns nil, env, prefix and content
// are on disk and the message will be handed out by Next. env.ID must come
// from NewID and env.Arrived be set. prefix is the trace header made by
// cleanup, LF line ends; the message is prefix followed by content. content is
// owned by the queue from here on, whatever the result. A full disk is dsn
// 4.3.1, a queue that is full of other mail 4.3.1 or 4.3.0. An Add that is
// cancelled by ctx while its record is being written may still succeed later;
// the caller then must not answer 250, and the sender tries again (a
// duplicate, never a loss).
func (q *Queue) Add(ctx context.Context, env *envelope.Envelope, prefix []byte, content envelope.Content) error {
	defer content.Close()
	if !validID(env.ID) {
		return dsn.Wrap(dsn.MailSystem, "Temporary failure of the mail queue", errors.New("queue: bad ID"))
	}
	if err := q.admit(ctx); err != nil {
		return err
	}
	m, err := q.store(ctx, env, prefix, content)
	if err != nil {
		q.room.Release(1)
		return diskError(err)
	}
	q.index.add(m)
	return nil
}

// admit waits for a place among the messages in the journal, at most
// queue.add_wait, and not beyond Close.
func (q *Queue) admit(ctx context.Context) error {
	closed := dsn.Wrap(dsn.ShuttingDown, "The mail queue is shutting down", ErrClosed)
	select {
	case <-q.closing:
		return closed
	default:
	}
	if q.room.TryAcquire(1) {
		return nil
	}
	wait, cancel := context.WithCancel(ctx)
	defer cancel()
	timer := q.o.Clock.NewTimer(q.cfg.AddWait)
	defer timer.Stop()
	acquired := make(chan error, 1)
	go func() { acquired <- q.room.Acquire(wait, 1) }()
	var err error
	select {
	case err = <-acquired:
	case <-timer.C():
		cancel()
		err = <-acquired
	case <-q.closing:
		cancel()
		if <-acquired == nil {
			q.room.Release(1)
		}
		return closed
	}
	if err != nil {
		return dsn.Wrap(dsn.MailSystem, "Too much mail in the queue, please try again later", err)
	}
	return nil
}

// filed is a content that lies in a file already (spool.Buffer), and whose
// checksum was made when it was written there.
type filed interface {
	File() vfs.File
	Sum() uint32
}

// store writes the record, and before it the content of a large message.
func (q *Queue) store(ctx context.Context, env *envelope.Envelope, prefix []byte, content envelope.Content) (*message, error) {
	size := content.Size()
	r := &record{env: env, prefixSize: int64(len(prefix))}
	overhead := encodeMessage(r)
	external := size > q.cfg.MemoryLimit || int64(len(overhead)+len(prefix))+size > q.j.MaxRecord()
	r.contentSize, r.external = size, external
	if external {
		sum, err := q.linkContent(env.ID, content)
		if err != nil {
			return nil, err
		}
		r.sum = checksum{sum, true}
	}
	payload := encodeMessage(r)
	textAt := len(payload)
	payload = append(payload, prefix...)
	if !external {
		var err error
		if payload, err = appendContent(payload, content); err != nil {
			return nil, err
		}
	}
	pos, err := q.j.Append(ctx, payload)
	if err != nil {
		q.disown(env.ID, external, err)
		return nil, err
	}
	m := &message{
		id: env.ID, size: int64(len(prefix)) + size, env: env,
		place: Incoming, pos: pos, text: payload[textAt:], external: external, sum: r.sum, seat: true,
	}
	if !q.account(m) {
		m.env = nil
	}
	return m, nil
}

// disown notes that a message was not accepted although its record may be on
// disk, so that recovery does not find it. The mark may be lost with the
// record's own fate; then it is a duplicate.
func (q *Queue) disown(id envelope.QueueID, external bool, cause error) {
	if errors.Is(cause, journal.ErrTooLarge) || errors.Is(cause, journal.ErrClosed) {
		return
	}
	q.bidFarewell(id, leftDeleted)
	if external {
		q.cleanLater(departure{paths: []string{q.places.content(id)}})
	}
}

// linkContent gives a large content a name in content/, durable with its name,
// and returns its checksum.
func (q *Queue) linkContent(id envelope.QueueID, content envelope.Content) (uint32, error) {
	path := q.places.content(id)
	var file vfs.File
	var sum uint32
	if c, ok := content.(filed); ok {
		file, sum = c.File(), c.Sum()
	}
	if file == nil {
		temp, err := q.o.FS.OpenTemp(q.o.Dir, 0o600)
		if err != nil {
			return 0, err
		}
		defer temp.Close()
		if sum, err = copyContent(temp, 0, content); err != nil {
			return 0, err
		}
		file = temp
	}
	if err := file.Sync(); err != nil {
		return 0, err
	}
	if err := file.LinkTo(path); err != nil {
		return 0, err
	}
	return sum, q.o.FS.SyncDir(filepath.Dir(path))
}

// appendContent copies a content that goes into the journal.
func appendContent(b []byte, content envelope.Content) ([]byte, error) {
	if whole, ok := content.Bytes(); ok {
		return append(b, whole...), nil
	}
	at, size := len(b), int(content.Size())
	b = append(b, make([]byte, size)...)
	n, err := content.ReadAt(b[at:], 0)
	if n < size {
		if err == nil {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return b, nil
}

// account takes text and envelope of m, which is in the journal, from the
// budget of memory. False: there is none left; the text is dropped, and the
// envelope is the caller's to drop.
func (q *Queue) account(m *message) bool {
	cost := int64(len(m.text)) + envelopeCost(m.env)
	if q.memory.Add(-cost) < 0 {
		q.memory.Add(cost)
		m.text = nil
		return false
	}
	m.counted = cost
	return true
}

// envelopeCost is a rough size of an envelope in memory.
func envelopeCost(env *envelope.Envelope) int64 { return 300 + 150*int64(len(env.Recipients)) }
