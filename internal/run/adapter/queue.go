package adapter

import (
	"context"
	"errors"
	"io"
	"strings"

	"toastmaster/admin/api"
	"toastmaster/admin/model"
	"toastmaster/configs"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/mta/flush"
	"toastmaster/mta/queue"
)

// Queue is the mail queue as the admin API knows it: admin does not import
// the mta. Each call asks first whether the queue is in its place: what is in memory
// of one that is not says nothing true.
type Queue struct {
	Q *queue.Queue
	// Sites has the index of fast flush; nil: there is none, and the queue is read.
	Sites *flush.Index
}

var _ api.Queue = Queue{}

func queueFilter(f model.QueueFilter) queue.Filter {
	return queue.Filter{Place: queue.Place(f.Place), Sender: strings.ToLower(f.Sender), Recipient: strings.ToLower(f.Recipient), ID: envelope.QueueID(f.ID)}
}

func queueError(err error) error {
	if errors.Is(err, queue.ErrNoMessage) {
		return &model.Error{Kind: model.NotFound, Text: "No such message in the queue"}
	}
	if e := (*dsn.Error)(nil); errors.As(err, &e) && e.Temporary() { // the disk is full, or broken
		return &model.Error{Kind: model.Unavailable, Text: e.Text, Cause: err}
	}
	return err
}

// change does an action and says whether it changed anything.
func (a Queue) change(ctx context.Context, id string, act func(context.Context, envelope.QueueID) error) (bool, error) {
	if err := queuePresence(a.Q.Present()); err != nil {
		return false, err
	}
	err := act(ctx, envelope.QueueID(id))
	if errors.Is(err, queue.ErrUnchanged) {
		return false, nil
	}
	return err == nil, queueError(err)
}

func (a Queue) List(ctx context.Context, f model.QueueFilter, after string, limit int) ([]model.QueuedMessage, error) {
	if err := queuePresence(a.Q.Present()); err != nil {
		return nil, err
	}
	list, err := a.Q.List(ctx, queueFilter(f), envelope.QueueID(after), limit)
	if err != nil {
		return nil, err
	}
	out := make([]model.QueuedMessage, 0, len(list))
	for _, info := range list {
		out = append(out, queued(info))
	}
	return out, nil
}

func queued(info queue.Info) model.QueuedMessage {
	m := model.QueuedMessage{
		ID: string(info.ID), Place: string(info.Place), Size: info.Size, Arrived: info.Arrived,
		Sender: info.Sender, Attempts: info.Attempts, Damaged: info.Damaged, Recipients: []model.QueuedRecipient{}, Reason: info.Reason, Actions: info.Actions, ForcedExpire: info.Expired,
	}
	for _, file := range info.Files {
		m.Files = append(m.Files, configs.Absolute(file))
	}
	if !info.Next.IsZero() {
		next := info.Next
		m.Next = &next
	}
	for _, r := range info.Recipients {
		m.Recipients = append(m.Recipients, model.QueuedRecipient{Address: r.Address, Reason: r.Reason})
	}
	return m
}

func (a Queue) Remains(ctx context.Context) ([]model.QueueFiles, error) {
	if err := queuePresence(a.Q.Present()); err != nil {
		return nil, err
	}
	remains, err := a.Q.Remains(ctx)
	out := make([]model.QueueFiles, 0, len(remains))
	for _, f := range remains {
		out = append(out, model.QueueFiles{Place: string(queue.Corrupt), Path: configs.Absolute(f.Path), Count: f.Count, Size: f.Size})
	}
	return out, queueError(err)
}

func (a Queue) Get(ctx context.Context, id string) (model.QueuedMessage, error) {
	if err := queuePresence(a.Q.Present()); err != nil {
		return model.QueuedMessage{}, err
	}
	info, _, content, err := a.Q.Get(ctx, envelope.QueueID(id))
	if err != nil {
		return model.QueuedMessage{}, queueError(err)
	}
	return queued(info), content.Close()
}

// contentReader reads a message and closes it.
type contentReader struct {
	io.Reader
	io.Closer
}

func (a Queue) Content(ctx context.Context, id string) (io.ReadCloser, int64, error) {
	if err := queuePresence(a.Q.Present()); err != nil {
		return nil, 0, err
	}
	_, _, content, err := a.Q.Get(ctx, envelope.QueueID(id))
	if err != nil {
		return nil, 0, queueError(err)
	}
	return contentReader{envelope.Reader(content), content}, content.Size(), nil
}

func (a Queue) Hold(ctx context.Context, id string) (bool, error) {
	return a.change(ctx, id, a.Q.Hold)
}

func (a Queue) Release(ctx context.Context, id string) (bool, error) {
	return a.change(ctx, id, a.Q.Release)
}

func (a Queue) Requeue(ctx context.Context, id string) (bool, error) {
	return a.change(ctx, id, a.Q.Requeue)
}

func (a Queue) Expire(ctx context.Context, id string) (bool, error) {
	return a.change(ctx, id, a.Q.Expire)
}

func (a Queue) Delete(ctx context.Context, id string) (bool, error) {
	return a.change(ctx, id, a.Q.Delete)
}

func (a Queue) Flush(ctx context.Context, f model.QueueFilter) (int, error) {
	if err := queuePresence(a.Q.Present()); err != nil {
		return 0, err
	}
	if f.Site == "" {
		return a.Q.Flush(ctx, queueFilter(f))
	}
	domain, err := flush.Domain(f.Site)
	if err != nil {
		return 0, &model.Error{Kind: model.Invalid, Text: "No domain: " + f.Site}
	}
	if a.Sites != nil {
		n, err := a.Sites.Flush(ctx, domain)
		if !errors.Is(err, flush.ErrDenied) {
			return n, queueError(err)
		}
	}
	// Nobody lists what waits for this one: the queue is read.
	return a.Q.Flush(ctx, queue.Filter{Recipient: "@" + domain})
}

func (a Queue) Counts(context.Context) (map[string]int64, error) {
	if err := queuePresence(a.Q.Present()); err != nil {
		return nil, err
	}
	counts, err := a.Q.Counts()
	if err != nil {
		return nil, err
	}
	out := map[string]int64{}
	for place, n := range counts {
		if n > 0 {
			out[string(place)] = n
		}
	}
	return out, nil
}

func (a Queue) IDs(context.Context) ([]string, error) {
	if err := queuePresence(a.Q.Present()); err != nil {
		return nil, err
	}
	ids, err := a.Q.IDs()
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = string(id)
	}
	return out, queueError(err)
}

func (a Queue) Select(ctx context.Context, f model.QueueFilter) ([]string, error) {
	if err := queuePresence(a.Q.Present()); err != nil {
		return nil, err
	}
	ids, err := a.Q.Select(ctx, queueFilter(f))
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = string(id)
	}
	return out, queueError(err)
}

func (a Queue) Export(_ context.Context, id string) (api.QueueFile, error) {
	if err := queuePresence(a.Q.Present()); err != nil {
		return api.QueueFile{}, err
	}
	x, err := a.Q.Export(envelope.QueueID(id))
	if err != nil {
		return api.QueueFile{}, queueError(err)
	}
	return api.QueueFile{Path: x.Path(), Next: x.Next, Size: x.Size, Content: contentReader{x.Reader(), x}}, nil
}
