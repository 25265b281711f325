package run

import (
	"context"

	"toastmaster/admin/api"
	"toastmaster/directory"
	"toastmaster/directory/gate"
	"toastmaster/internal/run/adapter"
	"toastmaster/internal/service"
	"toastmaster/mailstore"
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
			l, err := listen(i, address)
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
	o := api.Options{
		Params: c, Hostname: i.config.Main.Hostname, Version: i.version, Trusted: i.trustedNow, Listeners: listeners, Counter: i.anvil,
		Store: i.adminStore, Queue: theQueue(i), Mail: adapter.NewMail(i.mail), Services: i.status, Sessions: allSessions(i),
		Usage: func(ctx context.Context, m directory.Mailbox) (int64, int64, error) {
			u, err := i.mail.Usage(ctx, mailstore.AccountOf(m))
			return u.Bytes, u.Messages, adapter.StorePresence(err)
		},
		Reload: i.reloadAll,
		HasMail: func(_ context.Context, m directory.Mailbox) (bool, error) {
			there, err := i.mail.HasAccount(mailstore.AccountOf(m))
			return there, adapter.StorePresence(err)
		},
		Purge: func(ctx context.Context, m directory.Mailbox) error {
			return adapter.StorePresence(i.mail.RemoveAccount(ctx, mailstore.AccountOf(m)))
		},
		// Tokens are tried by who tries passwords elsewhere: they are counted together.
		Gate:    &gate.Gate{Service: "admin", Refused: i.auth.Refused, SecureNetworks: gate.Loopback(), Log: i.log},
		Metrics: metricsPage(i), Panel: web.Handler(), Log: i.log, Clock: i.clock,
	}
	if i.roleUsers != nil {
		o.Operators = []int{i.roleUsers.Main.UID()}
	}
	decisions(i, &o)
	return api.New(o)
}
