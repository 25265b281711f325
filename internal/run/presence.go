package run

import (
	"context"
	"errors"
	"time"

	"toastmaster/admin/model"
	"toastmaster/internal/service"
	"toastmaster/mailstore"
	"toastmaster/mta/queue"
)

// status is the group's in the API's words.
func (i *Instance) status() []model.Service {
	var out []model.Service
	for _, s := range i.group.Status() {
		m := model.Service{
			Name: s.Name, State: string(s.State), Sessions: s.Sessions,
			Listeners: append([]string{}, s.Listeners...), UptimeSeconds: int64(s.Uptime.Seconds()),
		}
		if s.Err != nil {
			m.Error = s.Err.Error()
		}
		out = append(out, i.present(m))
	}
	log, directory := i.logStatus(), model.Service{Name: "directory", State: string(service.Running), Listeners: []string{}}
	if len(out) > 0 {
		log.UptimeSeconds, directory.UptimeSeconds = out[0].UptimeSeconds, out[0].UptimeSeconds
	}
	return append(out, i.present(directory), log)
}

// present is a service that says when its files are not in their place.
func (i *Instance) present(m model.Service) model.Service {
	if m.State != string(service.Running) {
		return m
	}
	if err := i.presence(m.Name); err != nil {
		m.State, m.Error = model.PartUnavailable, err.Error()
	}
	return m
}

// logStatus is the log among the services: mail goes on without it, but
// somebody must look.
func (i *Instance) logStatus() model.Service {
	m := model.Service{Name: "log", State: string(service.Running), Listeners: []string{}}
	if err := i.log.Health(); err != nil {
		m.State, m.Error = model.Degraded, err.Error()
	}
	return m
}

// presence says whether the files of a part are in their place: a volume may have been
// unmounted under it. nil for what has none, and while they are.
func (i *Instance) presence(part string) error {
	switch part {
	case "store":
		return storePresence(i.mail.Present())
	case "queue":
		return queuePresence(i.queue.Present())
	case "directory":
		ctx, cancel := context.WithTimeout(context.Background(), presenceTimeout)
		defer cancel()
		return i.adminStore.Present(ctx)
	}
	return nil
}

// presenceTimeout is how long the database may take to say that it is there.
const presenceTimeout = 5 * time.Second

// whatToDo is for who reads that a folder is missing.
const whatToDo = "; mail waits: mount its volume or put it back, or stop the service, restore it and start again (docs/backup.md)"

// queuePresence is an error of the queue for the caller of the API.
func queuePresence(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, queue.ErrAbsent) || errors.Is(err, queue.ErrForeign) {
		return &model.Error{Kind: model.Unavailable, Text: err.Error() + whatToDo}
	}
	return &model.Error{Kind: model.Unavailable, Text: "the mail queue cannot be looked at: see the log", Cause: err}
}

// storePresence is an error of the store for the caller of the API; only the one that
// says that it is not in its place is for them.
func storePresence(err error) error {
	if errors.Is(err, mailstore.ErrAbsent) {
		return &model.Error{Kind: model.Unavailable, Text: err.Error() + whatToDo}
	}
	return err
}
