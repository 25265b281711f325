package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"toastmaster/admin/api"
	"toastmaster/admin/client"
	"toastmaster/admin/model"
	"toastmaster/configs"
	"toastmaster/internal/run"
)

// mailQueue is the queue as the commands about it ask: an instance's (*client.Client), or
// the files of one that does not run (stoppedQueue).
type mailQueue interface {
	Queue(ctx context.Context, f model.QueueFilter, after string, limit int) (model.Page[model.QueuedMessage], error)
	Queued(ctx context.Context, id string) (model.QueuedMessage, error)
	QueuedContent(ctx context.Context, id string) (io.ReadCloser, error)
	QueueRemains(ctx context.Context) ([]model.QueueFiles, error)
	Hold(ctx context.Context, id string) (bool, error)
	Release(ctx context.Context, id string) (bool, error)
	Requeue(ctx context.Context, id string) (bool, error)
	Expire(ctx context.Context, id string) (bool, error)
	DeleteQueued(ctx context.Context, id string) (bool, error)
}

var _ mailQueue = (*client.Client)(nil)

// stoppedQueue is the queue of an instance that does not run.
type stoppedQueue struct{ queueFiles }

type queueFiles = api.Queue

// Queue lists a page.
func (q stoppedQueue) Queue(ctx context.Context, f model.QueueFilter, after string, limit int) (model.Page[model.QueuedMessage], error) {
	if limit <= 0 {
		limit = stoppedPage
	}
	items, err := q.List(ctx, f, after, limit)
	page := model.Page[model.QueuedMessage]{Items: items}
	if len(items) == limit {
		page.Next = items[limit-1].ID
	}
	return page, err
}

// stoppedPage is how many messages are listed at once.
const stoppedPage = 1000

// Queued is a message.
func (q stoppedQueue) Queued(ctx context.Context, id string) (model.QueuedMessage, error) {
	return q.Get(ctx, id)
}

// QueuedContent is its content, which the caller closes.
func (q stoppedQueue) QueuedContent(ctx context.Context, id string) (io.ReadCloser, error) {
	content, _, err := q.Content(ctx, id)
	return content, err
}

// QueueRemains are files of the queue that belong to no message.
func (q stoppedQueue) QueueRemains(ctx context.Context) ([]model.QueueFiles, error) {
	return q.Remains(ctx)
}

// DeleteQueued deletes a message.
func (q stoppedQueue) DeleteQueued(ctx context.Context, id string) (bool, error) {
	return q.Delete(ctx, id)
}

// access is what a command does with the queue.
type access int

const (
	readsQueue access = iota
	changesQueue
)

// withQueue runs do with the queue of the instance, or when none runs with its files: as they are, or opened as a start
// would open them. directly is called before do when it has the files. An instance, or another command, that
// begins at the same moment is waited for.
func (f *adminFlags) withQueue(ctx context.Context, a access, directly func(), do func(mailQueue) error) error {
	if f.url != "" || f.env.Socket != "" {
		return f.withClient(func(c *client.Client) error { return do(c) })
	}
	c, err := f.env.Config()
	if err != nil {
		return err
	}
	for until := time.Now().Add(queueWait); ; {
		if socketAnswers(ctx, c) {
			return f.withClient(func(c *client.Client) error { return do(c) })
		}
		err := f.withFiles(ctx, c, a, directly, do)
		if !errors.Is(err, run.ErrStarted) {
			return err
		}
		if time.Now().After(until) {
			return fmt.Errorf("no instance answers on %s, and %w: one that starts or stops, or another command", c.Path(c.Admin.Socket), err)
		}
		select {
		case <-time.After(queueStep):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// queueWait is how long a command waits for an instance that starts or stops, or for another command that has
// the files; it looks each queueStep.
const (
	queueWait = 30 * time.Second
	queueStep = 100 * time.Millisecond
)

// withFiles runs do with the files of an instance that does not run.
func (f *adminFlags) withFiles(ctx context.Context, c *configs.Config, a access, directly func(), do func(mailQueue) error) error {
	work := func(q api.Queue) error {
		directly()
		return do(stoppedQueue{q})
	}
	if a == changesQueue {
		return run.ChangeQueue(ctx, c, f.env.Stderr, work)
	}
	return run.ReadQueue(ctx, c, work)
}

// socketAnswers says whether somebody may listen on the instance's socket: a user who may not connect
// hears so from there.
func socketAnswers(ctx context.Context, c *configs.Config) bool {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", c.Path(c.Admin.Socket))
	if err == nil {
		_ = conn.Close() // nothing was said
		return true
	}
	return !errors.Is(err, os.ErrNotExist) && !errors.Is(err, unix.ECONNREFUSED)
}
