package queue

import (
	"errors"
	"time"

	"toastmaster/internal/envelope"
)

// ErrClosed is returned by Next after Close.
var ErrClosed = errors.New("queue: closed")

// ErrNoMessage is the answer of the administrative calls for an unknown queue
// ID.
var ErrNoMessage = errors.New("queue: no such message")

// ErrInUse is returned by Open when another process has the queue open.
var ErrInUse = errors.New("queue: in use by another process")

// ErrUnchanged is the answer of Hold and Release about a message that already is
// what they would make it.
var ErrUnchanged = errors.New("queue: nothing to change")

// ErrForeign is returned by Open for a folder of somebody else's.
var ErrForeign = errors.New("queue: not a queue's folder")

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
	Sender     string          // "" for the null sender
	Recipients []RecipientInfo // those not done
	Next       time.Time       // next attempt, zero when not deferred
	Attempts   int
	// Expired says that it was made to expire.
	Expired bool
	// Actions are what a restriction wanted done to the message, as access(5) writes it:
	// "FILTER scan:[127.0.0.1]:10025".
	Actions []string

	// Files are those of a message that is corrupt or cannot be read, Reason
	// what is wrong with it, "" when that is not known. Its Sender is Unknown
	// and it has no Recipients unless its envelope is whole.
	Files  []string
	Reason string
	// Damaged says that the content is not what was accepted; only Get looks.
	Damaged bool
}

// RecipientInfo is a recipient that is not done, with the last reason.
type RecipientInfo struct {
	Address string
	Reason  string // "" if never tried
}

// Filter selects messages. The zero Filter selects all.
type Filter struct {
	Place     Place
	Sender    string // an address, "@domain", or "<>" for the null sender
	Recipient string // an address or "@domain"
	ID        envelope.QueueID
}
