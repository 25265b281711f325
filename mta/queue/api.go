package queue

import (
	"context"
	"errors"
	"time"

	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/spool"
)

// This file is the contract that smtpd, cleanup, qmgr, the CLI and the API
// program against. Bodies that say errSkeleton are being written.

var errSkeleton = errors.New("queue: not written yet")

// Queue is the durable queue of one instance. Safe for concurrent use.
type Queue struct{}

// NewID makes the queue ID of a message that is about to be accepted.
func (q *Queue) NewID() envelope.QueueID { return "" }

// Spool is where the content of messages to be added must be received, so
// that a large one can be linked into the queue instead of copied.
func (q *Queue) Spool() *spool.Dir { return nil }

// Add makes a message durable: when it returns nil, env, prefix and content
// are on disk and the message will be handed out by Next. env.ID must come
// from NewID and env.Arrived be set. prefix is the trace header made by
// cleanup, LF line ends; the message is prefix followed by content. content is
// owned by the queue from here on, whatever the result. A full disk is dsn
// 4.3.1. An Add that is cancelled by ctx while its record is being written may
// still succeed later; the caller then must not answer 250, and the sender
// tries again (a duplicate, never a loss).
func (q *Queue) Add(ctx context.Context, env *envelope.Envelope, prefix []byte, content envelope.Content) error {
	return errSkeleton
}

// Next waits for the next message that is due: new mail and due deferred mail
// in turn, so that a backlog does not starve new mail (Postfix qmgr). The
// caller owns the item until Close. ErrClosed after the queue was closed.
func (q *Queue) Next(ctx context.Context) (*Item, error) { return nil, errSkeleton }

// ErrClosed is returned by Next after Close.
var ErrClosed = errors.New("queue: closed")

// Item is one message in the active window. Its methods may be called by
// several goroutines at once.
type Item struct {
	Envelope *envelope.Envelope
	// Replay says that an earlier process may have delivered some of the
	// pending recipients: local delivery must look before it writes.
	Replay bool
	// Attempts is how often the message was active before.
	Attempts int
	// Warned says that the sender was already told about the delay.
	Warned bool
}

// Pending lists the indices of the recipients that are not done, ascending.
func (it *Item) Pending() []int { return nil }

// LastError is the last failure of recipient i, nil if it was never tried.
func (it *Item) LastError(i int) *dsn.Error { return nil }

// Content opens the message. The caller closes what it gets; it stays valid
// until then even when the item is closed.
func (it *Item) Content() (envelope.Content, error) { return nil, errSkeleton }

// Effect says where the result of a finished recipient lies.
type Effect uint8

// The effects of a delivery.
const (
	// EffectStore: written to our store without a sync of its own. Until
	// Options.Checkpoint has made it durable the queue keeps the message, and
	// after a crash hands it out again with Replay set.
	EffectStore Effect = iota + 1
	// EffectFinal: another system has the message, or its report lies in the
	// queue. It is never done again by a process that could read this mark.
	EffectFinal
)

// Done crosses recipient i off. It does not wait for the disk.
func (it *Item) Done(i int, e Effect) error { return errSkeleton }

// Failed notes that recipient i could not be delivered now and why.
func (it *Item) Failed(i int, why *dsn.Error) {}

// Close ends the item's time in the active window. With nobody pending the
// message leaves the queue; otherwise it becomes a deferred file that is due
// at next, durable before Close returns. warned is kept for the next time.
func (it *Item) Close(ctx context.Context, next time.Time, warned bool) error { return errSkeleton }

// Place is where a message is.
type Place string

// The places, in Postfix's words.
const (
	Incoming Place = "incoming"
	Active   Place = "active"
	Deferred Place = "deferred"
	Hold     Place = "hold"
	Corrupt  Place = "corrupt"
)

// Info is one line of the queue listing.
type Info struct {
	ID         envelope.QueueID
	Place      Place
	Size       int64
	Arrived    time.Time
	Sender     string
	Recipients []RecipientInfo // those not done
	Next       time.Time       // next attempt, zero when not deferred
	Attempts   int
}

// RecipientInfo is a recipient that is not done, with the last reason.
type RecipientInfo struct {
	Address string
	Reason  string // "" if never tried
}

// Filter selects messages. The zero Filter selects all.
type Filter struct {
	Place     Place
	Sender    string // exact, folded
	Recipient string // exact, folded
}

// List returns up to limit messages with an ID greater than after, in ID
// order, without holding up the queue.
func (q *Queue) List(ctx context.Context, f Filter, after envelope.QueueID, limit int) ([]Info, error) {
	return nil, errSkeleton
}

// ErrNoMessage is the answer of the calls below for an unknown queue ID.
var ErrNoMessage = errors.New("queue: no such message")

// Get returns one message's info and its content, which the caller closes.
func (q *Queue) Get(ctx context.Context, id envelope.QueueID) (Info, *envelope.Envelope, envelope.Content, error) {
	return Info{}, nil, nil, errSkeleton
}

// Hold takes a message out of delivery until Release. An active one is held
// when its present attempt ends.
func (q *Queue) Hold(ctx context.Context, id envelope.QueueID) error { return errSkeleton }

// Release ends a hold; the message is due at once.
func (q *Queue) Release(ctx context.Context, id envelope.QueueID) error { return errSkeleton }

// Requeue makes a message due at once and forgets what was resolved.
func (q *Queue) Requeue(ctx context.Context, id envelope.QueueID) error { return errSkeleton }

// Delete removes a message without a report. An active one is removed when its
// present attempt ends.
func (q *Queue) Delete(ctx context.Context, id envelope.QueueID) error { return errSkeleton }

// Flush makes every deferred message that f selects due now.
func (q *Queue) Flush(ctx context.Context, f Filter) (int, error) { return 0, errSkeleton }
