package main

import (
	"context"

	"toastmaster/admin/api"
	"toastmaster/admin/model"
	"toastmaster/admin/store"
	"toastmaster/directory/logins"
)

// sessionsAPI is the sessions that are logged in as the admin API knows them.
type sessionsAPI struct{ w *logins.Watch }

var _ api.Sessions = sessionsAPI{}

func (a sessionsAPI) List(mailbox string) []model.Session {
	var out []model.Session
	for _, o := range a.w.Sessions(mailbox) {
		out = append(out, model.Session{Mailbox: o.Mailbox, Service: o.Service, ID: o.ID, Client: o.Client, TLS: o.TLS, Since: o.Since.UTC()})
	}
	return out
}

func (a sessionsAPI) Last(mailbox string) []model.LastLogin {
	var out []model.LastLogin
	for _, l := range a.w.LastOf(mailbox) {
		out = append(out, lastLogin(l))
	}
	return out
}

func lastLogin(l logins.Last) model.LastLogin {
	return model.LastLogin{Service: l.Service, Client: l.Client, At: l.At.UTC()}
}

func (a sessionsAPI) Kick(k model.Kick) int { return a.w.Kick(k.Mailbox, k.ID) }

// keepLogins writes down the last log-ins.
func (i *instance) keepLogins(ctx context.Context, last []logins.Last) error {
	all := make([]store.MailboxLogin, len(last))
	for n, l := range last {
		all[n] = store.MailboxLogin{Mailbox: l.Mailbox, LastLogin: lastLogin(l)}
	}
	return i.adminStore.KeepLogins(ctx, all)
}
