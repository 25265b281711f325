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
	if o.Clients, err = tlsconf.LoadClients(check.ClientOptions(i.config, &o.Params.SMTPDTLS)); err != nil {
		return i.config.Mistake(o.Section+".tls_ca_file", err)
	}
	i.clientCerts = append(i.clientCerts, o.Clients)
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
