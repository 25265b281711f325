package run

import (
	"context"
	"errors"

	"toastmaster/internal/run/check"
	"toastmaster/internal/tlsconf"
	"toastmaster/mta/smtpd"
)

// clientsOf is what smtpd knows of its clients by their certificates, and by name servers.
func (i *Instance) clientsOf(o *smtpd.Options) (err error) {
	ctx := context.Background()
	if o.DNS, err = i.filteredServers(ctx, i.config.SMTP.Resolver, o.Section+".dns_reply_filter", o.Params.DNSReplyFilter); err != nil {
		return err
	}
	maps, item, err := i.tables.OpenAll(ctx, o.Params.RelayClientCerts)
	if err != nil {
		return i.config.MistakeIn(o.Section+".relay_clientcerts", item, err)
	}
	o.RelayClientCerts = maps
	if !o.Params.Asks() {
		return nil
	}
	// The same as before for the same options: sessions are resumed beyond a reload.
	how := check.ClientOptions(i.config, &o.Params.SMTPDTLS)
	if o.Clients = i.clientCerts[how]; o.Clients != nil {
		return nil
	}
	if o.Clients, err = tlsconf.LoadClients(how); err != nil {
		return i.config.Mistake(o.Section+".tls_ca_file", err)
	}
	if i.clientCerts == nil {
		i.clientCerts = map[tlsconf.ClientOptions]*tlsconf.Clients{}
	}
	i.clientCerts[how] = o.Clients
	return nil
}

// reloadAuthorities reads again who vouches for clients.
func (i *Instance) reloadAuthorities() error {
	var errs []error
	for _, c := range i.clientCerts {
		errs = append(errs, c.Reload())
	}
	return errors.Join(errs...)
}
