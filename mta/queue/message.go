package queue

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/journal"
)

// stage is what happens to a message that is known in memory.
type stage uint8

const (
	// stageIncoming waits in the journal for Next.
	stageIncoming stage = iota
	// stageActive was handed out by Next.
	stageActive
	// stageWaiting is deferred in memory, because its file could not be
	// written.
	stageWaiting
	// stageBusy is being moved or removed by an administrative call.
	stageBusy
	// stageFinished has left the queue, but for a file that a checkpoint must
	// precede the removal of.
	stageFinished
)

// message is a message that is known in memory: it is in the journal, or
// active, or about to be removed. The deferred backlog is not.
type message struct {
	id   envelope.QueueID
	size int64

	// Under Queue.mu.
	stage   stage
	next    time.Time // stageWaiting
	hold    bool      // asked for while active
	remove  bool
	requeue bool
	was     stage // before stageBusy
	queued  bool  // has an entry in Queue.incoming
	// filed: one of the files in deferred/ is its own, see Counts.
	filed bool
	// flushed is when a try now was asked for; zero again once it is active.
	flushed time.Time

	// moving is held while the message changes its place; before mu.
	moving sync.Mutex
	// Under moving: in how many rounds of shorten, one after the other, the
	// disk did not give the message back, and until when its failures are not
	// logged again.
	unreadable int
	complain   time.Time

	// mu guards what a delivery changes.
	mu    sync.Mutex
	env   *envelope.Envelope // nil: read it back
	state state              // rcpts is nil until the first delivery

	// Where the message lives: place is Incoming for the journal at pos, else
	// the file's. For a file, pos is a pin that keeps the marks made since.
	place Place
	pos   journal.Position
	// file is the place of a file that may exist although the journal has the
	// message: its writing failed halfway. "" for none.
	file     Place
	text     []byte // whole message, or prefix of an external one; nil: read it back
	counted  int64  // of text and env, in the budget of memory
	seat     bool   // counts in queue.incoming_limit
	removed  bool   // its file is gone before it has left
	external bool
	sum      checksum // of an external content
	replay   bool
	// damage is why m cannot be given to anybody, as its last reader found; nil
	// for none.
	damage error
}

// snapshot is the state to write to a file. A recipient that is done in the
// store and not covered by a checkpoint up to durable is pending there; its mark
// is in the journal.
func (m *message) snapshot(boot, durable uint64) *state {
	s := m.state
	s.rcpts = slices.Clone(m.state.rcpts)
	for i := range s.rcpts {
		if s.rcpts[i].gen > durable {
			s.rcpts[i] = rcpt{}
		}
	}
	if s.boot = boot; m.replay {
		// No process has this number, so the next attempt is a replay too.
		s.boot = 0
	}
	return &s
}

// unsettled says that a recipient is done in the store only; m.mu is held.
func (m *message) unsettled(durable uint64) bool {
	return slices.ContainsFunc(m.state.rcpts, func(r rcpt) bool { return r.gen > durable })
}

// ensureState makes room for the recipients' states; m.mu is held.
func (m *message) ensureState() {
	if m.state.rcpts == nil {
		m.state.rcpts = make([]rcpt, len(m.env.Recipients))
	}
}

// lastError is a copy without its cause, which may hold a peer's state.
func lastError(e *dsn.Error) *dsn.Error {
	if e == nil {
		return nil
	}
	c := *e
	c.Cause = nil
	return &c
}

// errSpoiled is wrapped by what noteDamage returns of damage.
var errSpoiled = errors.New("queue: message is damaged")

// noteDamage looks whether err, of reading m where it lives, is damage; m.mu is
// held. It tells that from the errors of other things with the same cause.
func (m *message) noteDamage(err error) error {
	if !spoiled(err) {
		return err
	}
	m.damage = fmt.Errorf("%w: %w", errSpoiled, err)
	return m.damage
}

func (m *message) setPlace(p Place) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.place = p
}

func (m *message) setRemoved() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.removed = true
}

// hasFile says that one of the files in deferred/ or hold/ is its own; m.mu is
// held.
func (m *message) hasFile() bool { return !m.removed && (m.place != Incoming || m.file != "") }
