package run

import (
	"context"
	"net/netip"

	"toastmaster/admin/api"
	"toastmaster/admin/model"
	"toastmaster/admin/store"
	"toastmaster/directory/logins"
	"toastmaster/directory/password"
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
func (i *Instance) keepLogins(ctx context.Context, last []logins.Last) error {
	all := make([]store.MailboxLogin, len(last))
	for n, l := range last {
		all[n] = store.MailboxLogin{Mailbox: l.Mailbox, LastLogin: lastLogin(l)}
	}
	return i.adminStore.KeepLogins(ctx, all)
}

// lastLogins are the kept ones of a mailbox, for who decides whether a client is a
// stranger to it.
func (i *Instance) lastLogins(ctx context.Context, mailbox string) ([]password.LastLogin, error) {
	kept, err := i.adminStore.LastLogins(ctx, mailbox)
	if err != nil {
		return nil, err
	}
	var out []password.LastLogin
	for _, l := range kept {
		client, _ := netip.ParseAddr(l.Client) // "" is a unix socket: not valid
		out = append(out, password.LastLogin{Client: client, At: l.At})
	}
	return out, nil
}
