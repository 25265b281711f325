package queue

import (
	"context"
	"sync/atomic"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/fair"
	"toastmaster/internal/lockorder"
)

// budget bounds what messages in the journal may take: seats, of which each has one
// (queue.incoming_limit), and octets in memory (queue.content_memory).
type budget struct {
	clock   clock.Clock
	wait    time.Duration // queue.add_wait
	closing <-chan struct{}
	octets  atomic.Int64 // what is left
	// short tells Run that somebody waits for a seat.
	short chan struct{}

	mu lockorder.Mutex[seatsLock]
	// room is how many seats there are, in parts as those of the active window.
	room  Window
	seats *fair.Turns[*claim, struct{}]
}

// seat is one in the journal: where it was taken, in the lane of a tenant and a site. Done gives it back.
type seat = fair.Lane[*claim, struct{}]

// claim is an Add that waits for a seat. given is closed once it has one.
type claim struct{ given chan struct{} }

func newBudget(c configs.Queue, clk clock.Clock, closing <-chan struct{}) *budget {
	b := &budget{clock: clk, wait: c.AddWait, closing: closing, short: make(chan struct{}, 1), room: Window{Messages: c.IncomingLimit}}
	b.seats = turnsOf[*claim](b.room)
	b.octets.Store(c.ContentMemory)
	return b
}

// seat waits for a seat, at most queue.add_wait, and not beyond Close. Who waits for one while his
// tenant, his site or his lane has its part is in nobody else's way.
func (b *budget) seat(ctx context.Context, of whose) (*seat, error) {
	closed := func() error { return dsn.Wrap(dsn.ShuttingDown, "The mail queue is shutting down", ErrClosed) }
	select {
	case <-b.closing:
		return nil, closed()
	default:
	}
	s, c := b.claim(of)
	if c == nil {
		return s, nil
	}
	wakeUp(b.short)
	timer := b.clock.NewTimer(b.wait)
	defer timer.Stop()
	var err error
	select {
	case <-c.given:
		return s, nil
	case <-timer.C():
		err = errTooMuch
	case <-ctx.Done():
		err = dsn.Wrap(dsn.MailSystem, errTooMuch.Text, ctx.Err())
	case <-b.closing:
		err = closed()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-c.given: // just now
		b.giveUp(s)
	default:
		s.Withdraw(c)
	}
	return nil, err
}

// errTooMuch is the answer to who waited in vain.
var errTooMuch = dsn.New(dsn.MailSystem, "Too much mail in the queue, please try again later")

// claim takes a seat, or makes a claim to one of that lane.
func (b *budget) claim(of whose) (*seat, *claim) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.room.full(b.seats.Out()) {
		if s := b.seats.Enter(of.tenant, of.site); s != nil {
			s.Take(1)
			return s, nil
		}
	}
	c := &claim{make(chan struct{})}
	return b.seats.Push(of.tenant, of.site, c), c
}

// trySeat is seat without the wait, whoever has how many: the start does not refuse what is there. nil: all
// are taken, and the message has none.
func (b *budget) trySeat(of whose) *seat {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.room.full(b.seats.Out()) {
		return nil
	}
	s := b.seats.Lane(of.tenant, of.site)
	s.Take(1)
	return s
}

func (b *budget) unseat(s *seat) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.giveUp(s)
}

// giveUp gives a seat back, to those whose turn it is; mu is held.
func (b *budget) giveUp(s *seat) {
	s.Done(1)
	for !b.room.full(b.seats.Out()) {
		c, next := b.seats.Next()
		if next == nil {
			return
		}
		next.Take(1)
		close(c.given)
	}
}

// waiting is how many wait for a seat.
func (b *budget) waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seats.Waiting()
}

// taken is how many seats are taken.
func (b *budget) taken() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seats.Out().Entries
}

// keep takes text and envelope of m, which is in the journal, from what is left;
// m.mu is held, or nobody knows m. False: there is not enough; the text is dropped,
// and the envelope is the caller's to drop.
func (b *budget) keep(m *message) bool {
	cost := int64(len(m.text)) + envelopeCost(m.env)
	if b.octets.Add(-cost) < 0 {
		b.octets.Add(cost)
		m.text = nil
		return false
	}
	m.counted = cost
	return true
}

// giveBack gives back what a message in the journal has; m.mu is held.
func (b *budget) giveBack(m *message) {
	b.octets.Add(m.counted)
	m.counted, m.text = 0, nil
	if s := m.seat; s != nil {
		m.seat = nil
		b.unseat(s)
	}
}

// envelopeCost is a rough size of an envelope in memory.
func envelopeCost(env *envelope.Envelope) int64 { return 300 + 150*int64(len(env.Recipients)) }
