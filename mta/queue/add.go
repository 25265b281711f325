package queue

import (
	"context"
	"errors"

	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
)

// Add makes a message durable: when it returns nil, env, prefix and content
// are on disk and the message will be handed out by Next. env.ID must come
// from NewID and env.Arrived be set. prefix is the trace header made by
// cleanup, LF line ends; the message is prefix followed by content. content is
// owned by the queue from here on, whatever the result. A full disk is dsn
// 4.3.1, a queue that is full of other mail 4.3.1 or 4.3.0. An Add that is
// cancelled by ctx while its record is being written may still succeed later;
// the caller then must not answer 250, and the sender tries again (a
// duplicate, never a loss). A message with env.Hold is on hold from the beginning, and
// after a crash; a Release before it has its file in hold/ is forgotten by a crash.
func (q *Queue) Add(ctx context.Context, env *envelope.Envelope, prefix []byte, content envelope.Content) error {
	defer content.Close()
	if !validID(env.ID) {
		return dsn.Wrap(dsn.MailSystem, "Temporary failure of the mail queue", errors.New("queue: bad ID"))
	}
	of := whoseIs(env)
	in, err := q.disk.budget.seat(ctx, of)
	if err != nil {
		return err
	}
	m, err := q.disk.accept(ctx, env, prefix, content, in)
	if err != nil {
		q.disk.budget.unseat(in)
		return diskError(err)
	}
	q.index.add(m, of)
	if env.Hold {
		// It is held already for who takes it; this brings it to hold/ at once. What fails
		// is tried again, and logged.
		_ = q.call(ctx, env.ID, evHold)
	}
	return nil
}
