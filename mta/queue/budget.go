package queue

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"toastmaster/configs"
	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
)

// budget bounds what messages in the journal may take: seats, of which each has one
// (queue.incoming_limit), and octets in memory (queue.content_memory).
type budget struct {
	clock   clock.Clock
	wait    time.Duration // queue.add_wait
	closing <-chan struct{}
	seats   *semaphore.Weighted
	octets  atomic.Int64 // what is left
}

func newBudget(c configs.Queue, clk clock.Clock, closing <-chan struct{}) *budget {
	b := &budget{clock: clk, wait: c.AddWait, closing: closing, seats: semaphore.NewWeighted(int64(c.IncomingLimit))}
	b.octets.Store(c.ContentMemory)
	return b
}

// seat waits for a seat, at most queue.add_wait, and not beyond Close.
func (b *budget) seat(ctx context.Context) error {
	closed := dsn.Wrap(dsn.ShuttingDown, "The mail queue is shutting down", ErrClosed)
	select {
	case <-b.closing:
		return closed
	default:
	}
	if b.seats.TryAcquire(1) {
		return nil
	}
	wait, cancel := context.WithCancel(ctx)
	defer cancel()
	timer := b.clock.NewTimer(b.wait)
	defer timer.Stop()
	acquired := make(chan error, 1)
	go func() { acquired <- b.seats.Acquire(wait, 1) }()
	var err error
	select {
	case err = <-acquired:
	case <-timer.C():
		cancel()
		err = <-acquired
	case <-b.closing:
		cancel()
		if <-acquired == nil {
			b.unseat()
		}
		return closed
	}
	if err != nil {
		return dsn.Wrap(dsn.MailSystem, "Too much mail in the queue, please try again later", err)
	}
	return nil
}

// trySeat is seat without the wait; the start does not refuse what is there.
func (b *budget) trySeat() bool { return b.seats.TryAcquire(1) }

func (b *budget) unseat() { b.seats.Release(1) }

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
	if m.seat {
		m.seat = false
		b.unseat()
	}
}

// envelopeCost is a rough size of an envelope in memory.
func envelopeCost(env *envelope.Envelope) int64 { return 300 + 150*int64(len(env.Recipients)) }
