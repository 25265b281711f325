package agent

import (
	"context"
	"time"

	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
)

// Kind is what a delivery report says.
type Kind string

// The kinds of report.
const (
	Failure Kind = "failure"
	Delay   Kind = "delay"
	Success Kind = "success"
	// Verified is the answer to a question: nothing was delivered, and the sender has asked for it.
	Verified Kind = "verified"
)

// Report asks for one delivery report (RFC 3464) about one message.
type Report struct {
	Kind     Kind
	Envelope *envelope.Envelope
	// Content is the message, nil when it cannot be read; it stays the
	// caller's.
	Content    envelope.Content
	Recipients []ReportRecipient
	// RetryUntil is when we will give up, for Delay.
	RetryUntil time.Time
}

// ReportRecipient is one recipient of a report.
type ReportRecipient struct {
	// Recipient is an index into Envelope.Recipients.
	Recipient int
	// Err is why it failed or waits; nil in a success report.
	Err *dsn.Error
	// Status, Text and Action describe a success: Relayed, Expanded, or
	// anything else for delivered.
	Status dsn.Status
	Text   string
	Action Action
	// At is the time of the attempt.
	At time.Time
	// Confirm says that the sender hears of this success because he was told before that his message
	// waits, whether he asked for it or not.
	Confirm bool
}

// Reporter makes delivery reports: mta/bounce. qmgr sees only this, because no
// daemon imports another.
type Reporter interface {
	// Report puts a report about r into the queue, durable when it returns
	// nil. Nil also when nobody wants one: a null sender, NOTIFY=NEVER.
	// After an error the caller must keep the recipients and try again later.
	Report(ctx context.Context, r *Report) error
}
