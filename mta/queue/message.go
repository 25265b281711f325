package queue

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/journal"
	"toastmaster/internal/lockorder"
)

// message is a message that is in memory: it is in the journal, or active, or
// somebody works on it. The deferred backlog is not.
type message struct {
	id envelope.QueueID

	// Under index.mu.
	at   state
	next time.Time // when it is due, once it is waiting or resting
	// waits is the lane of index.new that it waits in, nil when it does not.
	waits *lane
	// whose says whose turn it takes, once that is known; out says that it counts in lane.
	// full says that there was no room for it when it was due.
	whose  whose
	lane   *lane
	out    bool
	weight int // that it counts with
	full   bool
	// flushed is when a try now was asked for; zero again once it is active.
	flushed time.Time
	// moved is closed when it is not moving any more, stepped at the next transition: a call
	// waits for that, nil when none does.
	moved   chan struct{}
	stepped chan struct{}

	// expire says that it is made to expire (Queue.Expire). It is set under index.mu, and never unset.
	expire atomic.Bool

	// Of whoever is moving it: in how many rounds of shorten, one after the
	// other, the disk did not give the message back, and until when its failures
	// are not logged again.
	unreadable int
	complain   time.Time

	// mu guards what a delivery changes, and the way to its octets. It is held
	// while its file is read or written.
	mu       lockorder.Mutex[messageLock]
	size     int64
	env      *envelope.Envelope // nil: read it back
	progress progress           // rcpts is nil until the first delivery

	// place is Incoming for the journal at pos, else the file's. For a file, pos
	// is a pin that keeps the marks made since.
	place Place
	pos   journal.Position
	// asked is the record that says that it is to be deleted, which is needed until it is.
	asked journal.Position
	// stray is the place of a file that may exist although the journal has the
	// message: its writing failed halfway. "" for none.
	stray    Place
	marked   bool     // its file says that it is made to expire
	removed  bool     // what it had on the disk is not there any more
	left     bool     // nobody needs to know that it is to be deleted
	text     []byte   // whole message, or prefix of an external one; nil: read it back
	counted  int64    // of text and env, in the budget of memory
	seat     *seat    // that it has in the journal (queue.incoming_limit)
	external bool     // its content lies in content/
	sum      checksum // of an external content
	replay   bool
	// damage is why m cannot be given to anybody, as its last reader found; nil
	// for none.
	damage error
}

func newMessage(id envelope.QueueID, at state) *message {
	return &message{id: id, at: at}
}

// snapshot is the progress to write to a file. A recipient that is done in the
// store and not covered by a checkpoint up to durable is pending there; its mark
// is in the journal.
func (m *message) snapshot(boot, durable uint64) *progress {
	s := m.progress
	s.expired = m.expire.Load()
	s.rcpts = slices.Clone(m.progress.rcpts)
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
	return slices.ContainsFunc(m.progress.rcpts, func(r rcpt) bool { return r.gen > durable })
}

// ensureProgress makes room for that of the recipients; m.mu is held.
func (m *message) ensureProgress() {
	if m.progress.rcpts == nil {
		m.progress.rcpts = make([]rcpt, len(m.env.Recipients))
	}
}

// isRead says that an attempt needs nothing from the disk.
func (m *message) isRead() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.env != nil
}

// ending is how an attempt of m ends that is due now or later; warned is kept.
func (m *message) ending(warned, now bool) event {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.progress.warned = warned
	switch {
	case !m.progress.pending():
		return evDone
	case m.damage != nil:
		return evSpoiled
	case now:
		if m.place == Incoming && m.counted == 0 {
			m.env, m.text = nil, nil
		}
		return evDue
	}
	return evLater
}

// park drops the envelope of a message that is not active any more, if it is in
// the journal and beyond the budget of memory.
func (m *message) park() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.place == Incoming && m.counted == 0 {
		m.env, m.text = nil, nil
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
