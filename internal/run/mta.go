package run

import (
	"context"
	"slices"

	"toastmaster/configs"
	"toastmaster/directory/tables"
	"toastmaster/internal/run/check"
	"toastmaster/internal/service"
	"toastmaster/mailstore/lmtpd"
	"toastmaster/mta/postscreen"
)

// openScreen makes what stands before smtpd. Whether there is one was decided at the start, as its cache is a file.
func (p *pipeline) openScreen(ctx context.Context) (err error) {
	if p.screened == nil {
		return nil
	}
	c, first := p.config, p.smtpds[smtpdSection]
	p.screen, err = postscreen.New(postscreen.Options{
		Params: c.Postscreen, Hostname: c.Main.Hostname, Trusted: p.trusted,
		Table: func(name string) (tables.Table, error) { return p.tables.Open(ctx, name) },
		DNS:   p.nameServers(c.SMTP.Resolver), Cache: p.screened, Next: first.mx,
		TLS: p.tls, HandshakeTimeout: c.TLS.HandshakeTimeout, MaxMessageBytes: c.SMTPD.MessageSizeLimit, Footer: first.mx.Footer, SoftBounce: c.Main.SoftBounce, Log: p.log, Clock: p.clock,
	})
	return err
}

// openPostscreen keeps what postscreen remembers; nil when it is not enabled.
func openPostscreen(i *Instance) (service.Service, error) {
	if i.screened == nil {
		return nil, nil
	}
	return background{"postscreen", i.screened.Run}, nil
}

func openSMTPD(i *Instance) (service.Service, error) {
	p := portsOf(i, "smtpd", smtpdSection, mxOf)
	p.plain = i.config.SMTPD.Listen
	if i.screened != nil {
		p.handler = i.present.handler(func(p *pipeline) service.Handler { return p.screen })
		p.proxied = &i.config.Postscreen.UpstreamProxy
	}
	return smtpServer(i, p)
}

func openSubmission(i *Instance) (service.Service, error) {
	p := portsOf(i, "submission", smtpdSection, submissionOf)
	p.plain = i.config.SMTPD.SubmissionListen
	return smtpServer(i, p)
}

func openSubmissions(i *Instance) (service.Service, error) {
	p := portsOf(i, "submissions", smtpdSection, submissionsOf)
	p.tls = i.config.SMTPD.SubmissionsListen
	return smtpServer(i, p)
}

// openListener is one of [[listener]], with a smtpd that has its parameters.
func openListener(i *Instance, l *configs.Listener) (service.Service, error) {
	kind := mxOf
	if l.Submission {
		kind = submissionOf
	}
	p := portsOf(i, l.ServiceName(), l.Section(), kind)
	p.plain, p.tls = l.Listen, l.ListenTLS
	return smtpServer(i, p)
}

// smtpPorts are some ports of smtpd.
type smtpPorts struct {
	name       string
	smtpd      smtpdAsk
	handler    service.Handler
	plain, tls []string
	// proxied says whether a proxy speaks first there: nil is what the section says.
	proxied *configs.UpstreamProxy
}

func portsOf(i *Instance, name, section string, kind func(*smtpdOf) service.Handler) smtpPorts {
	ask := smtpdAsk{i.present, section}
	return smtpPorts{name: name, smtpd: ask, handler: ask.handler(kind)}
}

// smtpServer is what all ports of smtpd share.
func smtpServer(i *Instance, p smtpPorts) (service.Service, error) {
	admit, admitTLS := p.smtpd.admit(p.name)
	o := serverOptions{
		name: p.name, plain: p.plain, tls: p.tls, handler: p.handler, busy: p.smtpd.get().mx.BusyReply(),
		files: check.FilesMail, admit: admit, admitTLS: admitTLS, tlsConfig: p.smtpd.tls(),
	}
	o.bound = func(o *serverOptions) {
		now := p.smtpd.get()
		c := now.params
		o.trusted = now.trusted
		o.connections, o.perClient, o.drain = c.MaxConnections, c.MaxClient, c.DrainTimeout
		o.reserved, o.stress, o.uncounted = c.Reserved, c.StressAt(), configs.Prefixes(c.EventExceptions)
	}
	before := p.smtpd.get().params.UpstreamProxy
	if p.proxied != nil {
		before = *p.proxied
	}
	if before.On() {
		o.proxied, o.proxyTimeout = slices.Concat(p.plain, p.tls), before.Timeout
	}
	return serverOf(i, o)
}

func openLMTPD(i *Instance) (service.Service, error) {
	c := i.config.LMTPD
	d := lmtpd.New(lmtpd.Options{
		Params: c, Hostname: i.config.Main.Hostname, Directory: i.directory, Store: i.mail, Plan: i.deliverer,
		TLS: i.tls, HandshakeTimeout: i.config.TLS.HandshakeTimeout, Log: i.log, Clock: i.clock,
	})
	handler := d.Handler()
	return serverOf(i, serverOptions{
		name: "lmtpd", plain: c.Listen, handler: handler, busy: handler.BusyReply(),
		connections: c.MaxConnections, perClient: c.MaxClient, limitTrusted: true, drain: c.DrainTimeout,
		stress: c.StressAt(), files: check.FilesMail,
		allowed: configs.Prefixes(c.TrustedNetworks), denied: handler.DeniedReply(),
		proxied: c.Haproxy, proxyTimeout: i.config.Main.HaproxyTimeout,
	})
}
