package run

import (
	"context"
	"net/netip"

	"toastmaster/internal/run/check"
	"toastmaster/internal/service"
	"toastmaster/mta/policy"
	"toastmaster/mta/qmqpd"
)

// openQMQPD makes the server of QMQP; nil when it listens nowhere.
func openQMQPD(i *Instance) (service.Service, error) {
	c := i.config.QMQPD
	if len(c.Listen) == 0 {
		return nil, nil
	}
	names := &policy.Env{DNS: i.nameServers(i.config.SMTP.Resolver), ResolveTimeout: i.config.SMTPD.ResolveTimeout, Log: i.log, Clock: i.clock}
	d := qmqpd.New(qmqpd.Options{
		Params: c, Hostname: i.config.Main.Hostname, MaxMessage: i.config.SMTPD.MessageSizeLimit,
		ClientName: func(ctx context.Context, a netip.Addr) string {
			return names.Peer(ctx, &policy.Transaction{Client: a}).Name
		},
		Room: i.queue.Room, Submit: i.cleanup, Spool: i.queue.Spool(), Log: i.log, Clock: i.clock,
	})
	return serverOf(i, serverOptions{
		name: "qmqpd", plain: c.Listen, handler: d, connections: c.MaxConnections, perClient: c.MaxClient, limitTrusted: true,
		drain: c.DrainTimeout, files: check.FilesMail,
	})
}
