package run

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"

	"toastmaster/admin/api"
	"toastmaster/admin/model"
	"toastmaster/directory"
	"toastmaster/directory/gate"
	"toastmaster/internal/envelope"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
	"toastmaster/mailstore"
	"toastmaster/mta/queue"
	"toastmaster/web"
)

func openAdmin(i *Instance) (service.Service, error) {
	c := i.config.Admin
	var listeners []service.Listener
	for _, group := range []struct {
		addresses []string
		tls       bool
	}{{c.Listen, false}, {c.ListenTLS, true}, {[]string{"unix:" + c.Socket}, false}} {
		for _, address := range group.addresses {
			l, err := i.listen(address)
			if err != nil {
				return nil, err
			}
			sl := service.Listener{Listener: l}
			if group.tls {
				sl.TLS = i.tls
			}
			listeners = append(listeners, sl)
		}
	}
	return api.New(api.Options{
		Params: c, Hostname: i.config.Main.Hostname, Version: i.version, Trusted: i.trusted, Listeners: listeners, Counter: i.anvil,
		Store: i.adminStore, Queue: queueAPI{i.queue}, Services: i.status, Sessions: sessionsAPI{i.sessions},
		Usage: func(ctx context.Context, m directory.Mailbox) (int64, int64, error) {
			u, err := i.mail.Usage(ctx, mailstore.AccountOf(m))
			return u.Bytes, u.Messages, storePresence(err)
		},
		Decide: i.decide,
		Reload: i.askReload,
		HasMail: func(_ context.Context, m directory.Mailbox) (bool, error) {
			there, err := i.mail.HasAccount(mailstore.AccountOf(m))
			return there, storePresence(err)
		},
		Purge: func(ctx context.Context, m directory.Mailbox) error {
			return storePresence(i.mail.RemoveAccount(ctx, mailstore.AccountOf(m)))
		},
		// Tokens are tried by who tries passwords elsewhere: they are counted together.
		Gate:    &gate.Gate{Service: "admin", Refused: i.auth.Refused, SecureNetworks: gate.Loopback(), Log: i.log},
		Metrics: msglog.Metrics(i.metrics), Panel: web.Handler(), Log: i.log, Clock: i.clock,
	})
}

// queueAPI is the mail queue as the admin API knows it: admin does not import
// the mta. Each call asks first whether the queue is in its place: what is in memory
// of one that is not says nothing true.
type queueAPI struct{ q *queue.Queue }

var _ api.Queue = queueAPI{}

func queueFilter(f model.QueueFilter) queue.Filter {
	return queue.Filter{Place: queue.Place(f.Place), Sender: strings.ToLower(f.Sender), Recipient: strings.ToLower(f.Recipient)}
}

func queueError(err error) error {
	if errors.Is(err, queue.ErrNoMessage) {
		return &model.Error{Kind: model.NotFound, Text: "No such message in the queue"}
	}
	return err
}

// change does an action and says whether it changed anything.
func (a queueAPI) change(ctx context.Context, id string, act func(context.Context, envelope.QueueID) error) (bool, error) {
	if err := queuePresence(a.q.Present()); err != nil {
		return false, err
	}
	err := act(ctx, envelope.QueueID(id))
	if errors.Is(err, queue.ErrUnchanged) {
		return false, nil
	}
	return err == nil, queueError(err)
}

func (a queueAPI) List(ctx context.Context, f model.QueueFilter, after string, limit int) ([]model.QueuedMessage, error) {
	if err := queuePresence(a.q.Present()); err != nil {
		return nil, err
	}
	list, err := a.q.List(ctx, queueFilter(f), envelope.QueueID(after), limit)
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
		Sender: info.Sender, Attempts: info.Attempts, Damaged: info.Damaged, Recipients: []model.QueuedRecipient{}, Reason: info.Reason,
	}
	for _, file := range info.Files {
		m.Files = append(m.Files, absolute(file))
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

// absolute is a path that says something outside of the server's folder, too.
func absolute(path string) string {
	if a, err := filepath.Abs(path); err == nil {
		return a
	}
	return path
}

func (a queueAPI) Remains(ctx context.Context) ([]model.QueueFiles, error) {
	if err := queuePresence(a.q.Present()); err != nil {
		return nil, err
	}
	remains, err := a.q.Remains(ctx)
	out := make([]model.QueueFiles, 0, len(remains))
	for _, f := range remains {
		out = append(out, model.QueueFiles{Place: string(queue.Corrupt), Path: absolute(f.Path), Count: f.Count, Size: f.Size})
	}
	return out, queueError(err)
}

func (a queueAPI) Get(ctx context.Context, id string) (model.QueuedMessage, error) {
	if err := queuePresence(a.q.Present()); err != nil {
		return model.QueuedMessage{}, err
	}
	info, _, content, err := a.q.Get(ctx, envelope.QueueID(id))
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

func (a queueAPI) Content(ctx context.Context, id string) (io.ReadCloser, int64, error) {
	if err := queuePresence(a.q.Present()); err != nil {
		return nil, 0, err
	}
	_, _, content, err := a.q.Get(ctx, envelope.QueueID(id))
	if err != nil {
		return nil, 0, queueError(err)
	}
	return contentReader{envelope.Reader(content), content}, content.Size(), nil
}

func (a queueAPI) Hold(ctx context.Context, id string) (bool, error) {
	return a.change(ctx, id, a.q.Hold)
}

func (a queueAPI) Release(ctx context.Context, id string) (bool, error) {
	return a.change(ctx, id, a.q.Release)
}

func (a queueAPI) Requeue(ctx context.Context, id string) (bool, error) {
	return a.change(ctx, id, a.q.Requeue)
}

func (a queueAPI) Delete(ctx context.Context, id string) (bool, error) {
	return a.change(ctx, id, a.q.Delete)
}

func (a queueAPI) Flush(ctx context.Context, f model.QueueFilter) (int, error) {
	if err := queuePresence(a.q.Present()); err != nil {
		return 0, err
	}
	return a.q.Flush(ctx, queueFilter(f))
}

func (a queueAPI) Counts(context.Context) (map[string]int64, error) {
	if err := queuePresence(a.q.Present()); err != nil {
		return nil, err
	}
	counts, err := a.q.Counts()
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

func (a queueAPI) IDs(context.Context) ([]string, error) {
	if err := queuePresence(a.q.Present()); err != nil {
		return nil, err
	}
	ids, err := a.q.IDs()
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = string(id)
	}
	return out, queueError(err)
}

func (a queueAPI) Select(ctx context.Context, f model.QueueFilter) ([]string, error) {
	if err := queuePresence(a.q.Present()); err != nil {
		return nil, err
	}
	ids, err := a.q.Select(ctx, queueFilter(f))
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = string(id)
	}
	return out, queueError(err)
}

func (a queueAPI) Export(_ context.Context, id string) (api.QueueFile, error) {
	if err := queuePresence(a.q.Present()); err != nil {
		return api.QueueFile{}, err
	}
	x, err := a.q.Export(envelope.QueueID(id))
	if err != nil {
		return api.QueueFile{}, queueError(err)
	}
	return api.QueueFile{Path: x.Path(), Next: x.Next, Size: x.Size, Content: contentReader{x.Reader(), x}}, nil
}
