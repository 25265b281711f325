package adapter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"toastmaster/admin/model"
	"toastmaster/admin/store"
	"toastmaster/internal/dsn"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
	"toastmaster/mailstore"
	"toastmaster/mta/queue"
)

// Status is the state of the services and of the parts of an instance. One that is nil is
// not looked at.
type Status struct {
	Group *service.Group
	Log   *msglog.Log
	Mail  *mailstore.Store
	Queue *queue.Queue
	Admin *store.Store
}

// Services is the group's in the API's words, with the directory and the log.
func (s Status) Services() []model.Service {
	var out []model.Service
	for _, status := range s.Group.Status() {
		m := model.Service{
			Name: status.Name, State: string(status.State), Sessions: status.Sessions,
			Listeners: append([]string{}, status.Listeners...), UptimeSeconds: int64(status.Uptime.Seconds()),
		}
		if status.Err != nil {
			m.Error = status.Err.Error()
		}
		out = append(out, s.present(m))
	}
	log, directory := s.log(), model.Service{Name: "directory", State: string(service.Running), Listeners: []string{}}
	if len(out) > 0 {
		log.UptimeSeconds, directory.UptimeSeconds = out[0].UptimeSeconds, out[0].UptimeSeconds
	}
	return append(out, s.present(directory), log)
}

// present is a service that says when its files are not in their place, or have no room.
func (s Status) present(m model.Service) model.Service {
	if m.State != string(service.Running) {
		return m
	}
	if err := s.presence(m.Name); err != nil {
		m.State, m.Error = model.PartUnavailable, err.Error()
	} else if err := s.room(m.Name); err != nil {
		m.State, m.Error = model.Degraded, err.Error()
	}
	return m
}

// log is the log among the services: mail goes on without it, but
// somebody must look.
func (s Status) log() model.Service {
	m := model.Service{Name: "log", State: string(service.Running), Listeners: []string{}}
	if err := s.Log.Health(); err != nil {
		m.State, m.Error = model.Degraded, err.Error()
	}
	return m
}

// presence says whether the files of a part are in their place: a volume may have been
// unmounted under it. nil for what has none, and while they are.
func (s Status) presence(part string) error {
	switch part {
	case "store":
		return StorePresence(s.Mail.Present())
	case "queue":
		return queuePresence(s.Queue.Present())
	case "directory":
		ctx, cancel := context.WithTimeout(context.Background(), presenceTimeout)
		defer cancel()
		return s.Admin.Present(ctx)
	}
	return nil
}

// room says that a part refuses new mail because its file system is as good as full, nil
// for what has none. What was accepted is delivered, and everything else goes on.
func (s Status) room(part string) error {
	var err error
	switch {
	case part == "store" && s.Mail != nil:
		err = s.Mail.Room(0)
	case part == "queue" && s.Queue != nil:
		err = s.Queue.Room(0)
	}
	var full *dsn.Error
	if !errors.As(err, &full) || full.Status != dsn.SystemFull {
		return nil
	}
	return fmt.Errorf("new mail is refused (%s) until there is room: %w", full.Status, errors.Unwrap(full))
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
		return &model.Error{Kind: model.Unavailable, Text: "the mail queue is not in its place", Staff: err.Error() + whatToDo}
	}
	return &model.Error{Kind: model.Unavailable, Text: "the mail queue cannot be looked at: see the log", Cause: err}
}

// StorePresence is an error of the store for the caller of the API; only the one that
// says that it is not in its place is for them.
func StorePresence(err error) error {
	if errors.Is(err, mailstore.ErrAbsent) {
		return &model.Error{Kind: model.Unavailable, Text: "the mail store is not in its place", Staff: err.Error() + whatToDo}
	}
	return err
}
