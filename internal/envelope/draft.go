package envelope

import "context"

// Draft is a message as it is going into the queue, for a Filter to change.
type Draft struct {
	// Envelope has the recipients as the client gave them. ID and Origin stay as they are.
	Envelope *Envelope
	// Prefix and Content are the message, one behind the other. Own is our Received field in it, with its line end. Who puts another
	// content into the place of this one closes this one, but for what Tail makes of it.
	Prefix  []byte
	Own     string
	Content Content
	// Field is asked about each field that is added or changed, without its last line end: what stands there instead, with a
	// line end behind each field, or "" for nothing. nil lets all pass. Its error refuses the message.
	Field func(ctx context.Context, text string) (string, error)
	// Discard says that nobody gets it.
	Discard bool
}

// Filter has heard where a message comes from and whom it is for, and is shown it once. Its error (dsn.From) refuses the message.
type Filter interface {
	Filter(ctx context.Context, d *Draft) error
}
