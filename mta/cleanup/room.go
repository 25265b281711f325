package cleanup

import (
	"context"
	"slices"

	"toastmaster/directory"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/trace"
)

// reserved is room that was taken in a mailbox.
type reserved struct {
	box directory.Mailbox
	id  string
}

// room is the stage that takes it, when all that the message will be is known.
type room struct{ quiet }

func (room) end(ctx context.Context, m *message) (err error) {
	m.held, err = m.c.reserve(ctx, m.s, m.size())
	return err
}

// size is that of the message in the queue.
func (m *message) size() int64 { return int64(len(m.prefix)) + m.content.Size() }

// reserve takes room in the mailboxes that have a quota, so that many messages
// at once do not all count on the same room. size is that of the message in the
// queue. A recipient whose mailbox has no room is refused; when no other is left
// the message is, while the client is still there to hear it. SMTP has one answer
// for all recipients, so beside others who get it a report is all there is. What a filter
// gets comes to no mailbox from here.
func (c *Cleanup) reserve(ctx context.Context, s *envelope.Submission, size int64) ([]reserved, error) {
	if c.o.Reserve == nil || !s.CheckRoom || s.Envelope.Filter != nil {
		return nil, nil
	}
	env := s.Envelope
	var held []reserved
	var full *dsn.Error
	fullAt := []int{}
	fits := false
	for i := range env.Recipients {
		r := &env.Recipients[i]
		if r.Expanded || r.Refused != nil {
			continue
		}
		box, ok := c.limited(ctx, r)
		// A blind copy, of which the client knows nothing, does not make a message welcome.
		blind := r.Notify == envelope.NotifyNever && slices.Contains(env.BCC, r.Original)
		if !ok {
			fits = fits || !blind
			continue
		}
		final := trace.Final{ReturnPath: env.Sender.Path(), To: r.Address, Original: r.Original}
		id := envelope.DeliveryID(env.ID, r.Address)
		switch err := c.o.Reserve(ctx, box, id, size+int64(len(final.Append(nil)))); {
		case err == nil:
			held, fits = append(held, reserved{box, id}), fits || !blind
		case err.Temporary():
			c.o.Log.Warn("quota not known", "service", "cleanup", "session", env.Origin.Session, "to", r.Address.String(), "cause", err)
			fits = fits || !blind
		default:
			full, fullAt = err, append(fullAt, i)
		}
	}
	switch {
	case full == nil:
	case !fits:
		if c.o.OverQuotaTemporary {
			full = dsn.Wrap(dsn.MailboxFullNow, full.Text, full).WithCode(452)
		}
		c.unreserve(held)
		return nil, full
	case !c.o.OverQuotaTemporary:
		for _, i := range fullAt {
			env.Recipients[i].Refused = full
		}
	}
	return held, nil
}

// limited is the mailbox of a recipient, if it has a quota. What the directory
// says otherwise, or cannot say, is for the delivery.
func (c *Cleanup) limited(ctx context.Context, r *envelope.Recipient) (directory.Mailbox, bool) {
	decided := c.o.Directory.Decide(ctx, r.Address, directory.Question{Expanded: true})
	box := decided.Found.Mailbox
	return box, decided.Verdict == directory.Deliver && (box.QuotaBytes > 0 || box.QuotaMessages > 0)
}

func (c *Cleanup) unreserve(held []reserved) {
	for _, r := range held {
		c.o.Unreserve(r.box, r.id)
	}
}
