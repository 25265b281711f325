package run

import (
	"context"
	"net/netip"

	"toastmaster/internal/run/check"
	"toastmaster/internal/service"
	"toastmaster/mta/policy"
	"toastmaster/mta/qmqpd"
)

// newQMQPD makes the daemon.
func newQMQPD(p *pipeline) *qmqpd.Daemon {
	c := p.config
	names := &policy.Env{DNS: p.nameServers(c.SMTP.Resolver), ResolveTimeout: c.SMTPD.ResolveTimeout, Log: p.log, Clock: p.clock}
	return qmqpd.New(qmqpd.Options{
		Params: c.QMQPD, Hostname: c.Main.Hostname, MaxMessage: c.SMTPD.MessageSizeLimit,
		ClientName: func(ctx context.Context, a netip.Addr) string {
			return names.Peer(ctx, &policy.Transaction{Client: a}).Name
		},
		Room: p.queue.Room, Submit: p.cleanup, Spool: p.queue.Spool(), Log: p.log, Clock: p.clock,
	})
}

// openQMQPD makes the server of QMQP; nil when it listens nowhere.
func openQMQPD(i *Instance) (service.Service, error) {
	c := i.config.QMQPD
	if len(c.Listen) == 0 {
		return nil, nil
	}
	return serverOf(i, serverOptions{
		name: "qmqpd", plain: c.Listen, handler: i.present.handler(func(p *pipeline) service.Handler { return p.qmqpd }),
		limitTrusted: true, files: check.FilesMail, bound: func(o *serverOptions) {
			c := i.present.get().config.QMQPD
			o.connections, o.perClient, o.drain = c.MaxConnections, c.MaxClient, c.DrainTimeout
		},
	})
}
