package listeners

import (
	"toastmaster/configs"
	"toastmaster/internal/clock"
	"toastmaster/internal/msglog"
	"toastmaster/internal/tlsconf"
)

// TLS is how the certificates of the configuration are loaded.
func TLS(c *configs.Config, log *msglog.Log, clk clock.Clock) tlsconf.Options {
	o := tlsconf.Options{Check: c.TLS.Check, Log: log, Clock: clk, MinVersion: c.TLS.MinVersion}
	for _, entry := range c.TLS.Certificates {
		cert, key := configs.CertificateFiles(entry)
		o.Pairs = append(o.Pairs, tlsconf.Pair{Cert: c.Path(cert), Key: c.Path(key)})
	}
	return o
}
