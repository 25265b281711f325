package main

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"path/filepath"
	"strings"

	"toastmaster/admin/api"
	"toastmaster/admin/model"
	"toastmaster/directory"
	"toastmaster/directory/password"
	"toastmaster/internal/envelope"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
	"toastmaster/mailstore"
	"toastmaster/mta/queue"
	"toastmaster/web"
)

func openAdmin(i *instance) (service.Service, error) {
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
		Params: c, Hostname: i.config.Main.Hostname, Version: version(), Trusted: i.trusted, Listeners: listeners,
		Store: i.adminStore, Queue: queueAPI{i.queue}, Services: i.status, Sessions: sessionsAPI{i.sessions},
		Usage: func(ctx context.Context, m directory.Mailbox) (int64, int64, error) {
			u, err := i.mail.Usage(ctx, mailstore.AccountOf(m))
			return u.Bytes, u.Messages, err
		},
		Reload: i.askReload,
		HasMail: func(_ context.Context, m directory.Mailbox) (bool, error) {
			return i.mail.HasAccount(mailstore.AccountOf(m))
		},
		Purge: func(ctx context.Context, m directory.Mailbox) error {
			return i.mail.RemoveAccount(ctx, mailstore.AccountOf(m))
		},
		Refused: i.tokenRefused,
		Metrics: msglog.Metrics(i.metrics), Panel: web.Handler(), Log: i.log, Clock: i.clock,
	})
}

// tokenRefused slows down a client that tries tokens, together with the
// passwords that it tries elsewhere.
func (i *instance) tokenRefused(ctx context.Context, client netip.Addr) error {
	return i.auth.Refused(ctx, password.Attempt{Service: "admin", Client: client, Mechanism: "Bearer"})
}

// status is the group's in the API's words.
func (i *instance) status() []model.Service {
	var out []model.Service
	for _, s := range i.group.Status() {
		m := model.Service{
			Name: s.Name, State: string(s.State), Sessions: s.Sessions,
			Listeners: append([]string{}, s.Listeners...), UptimeSeconds: int64(s.Uptime.Seconds()),
		}
		if s.Err != nil {
			m.Error = s.Err.Error()
		}
		out = append(out, m)
	}
	log := i.logStatus()
	if len(out) > 0 {
		log.UptimeSeconds = out[0].UptimeSeconds
	}
	return append(out, log)
}

// logStatus is the log among the services: mail goes on without it, but
// somebody must look.
func (i *instance) logStatus() model.Service {
	m := model.Service{Name: "log", State: string(service.Running), Listeners: []string{}}
	if err := i.log.Health(); err != nil {
		m.State, m.Error = model.Degraded, err.Error()
	}
	return m
}

// queueAPI is the mail queue as the admin API knows it: admin does not import
// the mta.
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

// queueChange says whether an action changed anything.
func queueChange(err error) (bool, error) {
	if errors.Is(err, queue.ErrUnchanged) {
		return false, nil
	}
	return err == nil, queueError(err)
}

func (a queueAPI) List(ctx context.Context, f model.QueueFilter, after string, limit int) ([]model.QueuedMessage, error) {
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
	remains, err := a.q.Remains(ctx)
	out := make([]model.QueueFiles, 0, len(remains))
	for _, f := range remains {
		out = append(out, model.QueueFiles{Place: string(queue.Corrupt), Path: absolute(f.Path), Count: f.Count, Size: f.Size})
	}
	return out, queueError(err)
}

func (a queueAPI) Get(ctx context.Context, id string) (model.QueuedMessage, error) {
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
	_, _, content, err := a.q.Get(ctx, envelope.QueueID(id))
	if err != nil {
		return nil, 0, queueError(err)
	}
	return contentReader{envelope.Reader(content), content}, content.Size(), nil
}

func (a queueAPI) Hold(ctx context.Context, id string) (bool, error) {
	return queueChange(a.q.Hold(ctx, envelope.QueueID(id)))
}

func (a queueAPI) Release(ctx context.Context, id string) (bool, error) {
	return queueChange(a.q.Release(ctx, envelope.QueueID(id)))
}

func (a queueAPI) Requeue(ctx context.Context, id string) (bool, error) {
	return queueChange(a.q.Requeue(ctx, envelope.QueueID(id)))
}

func (a queueAPI) Delete(ctx context.Context, id string) (bool, error) {
	return queueChange(a.q.Delete(ctx, envelope.QueueID(id)))
}

func (a queueAPI) Flush(ctx context.Context, f model.QueueFilter) (int, error) {
	return a.q.Flush(ctx, queueFilter(f))
}

func (a queueAPI) Counts(context.Context) (map[string]int64, error) {
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
	ids, err := a.q.IDs()
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = string(id)
	}
	return out, queueError(err)
}

func (a queueAPI) Select(ctx context.Context, f model.QueueFilter) ([]string, error) {
	ids, err := a.q.Select(ctx, queueFilter(f))
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = string(id)
	}
	return out, queueError(err)
}

func (a queueAPI) Export(_ context.Context, id string) (api.QueueFile, error) {
	x, err := a.q.Export(envelope.QueueID(id))
	if err != nil {
		return api.QueueFile{}, queueError(err)
	}
	return api.QueueFile{Path: x.Path(), Next: x.Next, Size: x.Size, Content: contentReader{x.Reader(), x}}, nil
}
