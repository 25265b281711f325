package run

import (
	"context"
	"errors"

	"toastmaster/internal/run/check"
	"toastmaster/internal/tlsconf"
	"toastmaster/mta/smtpd"
)

// clientsOf is what smtpd knows of its clients by their certificates, and by name servers.
func (p *pipeline) clientsOf(ctx context.Context, o *smtpd.Options) (err error) {
	if o.DNS, err = p.filteredServers(ctx, p.config.SMTP.Resolver, o.Section+".dns_reply_filter", o.Params.DNSReplyFilter); err != nil {
		return err
	}
	maps, item, err := p.tables.OpenAll(ctx, o.Params.RelayClientCerts)
	if err != nil {
		return p.config.MistakeIn(o.Section+".relay_clientcerts", item, err)
	}
	o.RelayClientCerts = maps
	if !o.Params.Asks() {
		return nil
	}
	// The same as before for the same options: sessions are resumed beyond a reload.
	how := check.ClientOptions(p.config, &o.Params.SMTPDTLS)
	if o.Clients = p.clientCerts[how]; o.Clients != nil {
		return nil
	}
	if o.Clients, err = tlsconf.LoadClients(how); err != nil {
		return p.config.Mistake(o.Section+".tls_ca_file", err)
	}
	if p.clientCerts == nil {
		p.opened.clientCerts = map[tlsconf.ClientOptions]*tlsconf.Clients{}
	}
	p.clientCerts[how] = o.Clients
	return nil
}

// reloadAuthorities reads again who vouches for clients.
func (o *opened) reloadAuthorities() error {
	var errs []error
	for _, c := range o.clientCerts {
		errs = append(errs, c.Reload())
	}
	return errors.Join(errs...)
}
