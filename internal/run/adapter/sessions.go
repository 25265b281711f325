package adapter

import (
	"context"
	"net/netip"

	"toastmaster/admin/api"
	"toastmaster/admin/model"
	"toastmaster/admin/store"
	"toastmaster/directory/logins"
	"toastmaster/directory/password"
)

// Sessions is the sessions that are logged in as the admin API knows them.
type Sessions struct{ W *logins.Watch }

var _ api.Sessions = Sessions{}

func (a Sessions) List(mailbox string) []model.Session {
	var out []model.Session
	for _, o := range a.W.Sessions(mailbox) {
		out = append(out, model.Session{Mailbox: o.Mailbox, Service: o.Service, ID: o.ID, Client: o.Client, TLS: o.TLS, Since: o.Since.UTC()})
	}
	return out
}

func (a Sessions) Last(mailbox string) []model.LastLogin {
	var out []model.LastLogin
	for _, l := range a.W.LastOf(mailbox) {
		out = append(out, lastLogin(l))
	}
	return out
}

func lastLogin(l logins.Last) model.LastLogin {
	return model.LastLogin{Service: l.Service, Client: l.Client, At: l.At.UTC()}
}

func (a Sessions) Kick(k model.Kick) int { return a.W.Kick(k.Mailbox, k.ID) }

// Logins are the last log-ins, which the database keeps.
type Logins struct{ Store *store.Store }

// Keep writes them down.
func (l Logins) Keep(ctx context.Context, last []logins.Last) error {
	all := make([]store.MailboxLogin, len(last))
	for n, l := range last {
		all[n] = store.MailboxLogin{Mailbox: l.Mailbox, LastLogin: lastLogin(l)}
	}
	return l.Store.KeepLogins(ctx, all)
}

// Last are the kept ones of a mailbox, for who decides whether a client is a
// stranger to it.
func (l Logins) Last(ctx context.Context, mailbox string) ([]password.LastLogin, error) {
	kept, err := l.Store.LastLogins(ctx, mailbox)
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
