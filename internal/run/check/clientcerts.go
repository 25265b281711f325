package check

import (
	"toastmaster/configs"
	"toastmaster/internal/tlsconf"
)

// ClientOptions are how the certificates of clients are looked at.
func ClientOptions(c *configs.Config, p *configs.SMTPDTLS) tlsconf.ClientOptions {
	o := tlsconf.ClientOptions{Ask: p.Asks(), Depth: p.CertDepth, Digest: p.CertDigest.Hash()}
	if p.CAFile != "" {
		o.CAFile = c.Path(p.CAFile)
	}
	if p.CAPath != "" {
		o.CAPath = c.Path(p.CAPath)
	}
	return o
}

// checkAuthorities reads them, those of each listener, too.
func checkAuthorities(c *configs.Config) error {
	all := []*configs.SMTPDTLS{&c.SMTPD.SMTPDTLS}
	for _, l := range c.SMTPDListeners {
		all = append(all, &l.Params.SMTPDTLS)
	}
	for _, p := range all {
		if _, err := tlsconf.LoadClients(ClientOptions(c, p)); err != nil {
			return err
		}
	}
	return nil
}
