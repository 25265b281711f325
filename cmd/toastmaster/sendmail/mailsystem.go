package sendmail

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"strings"

	"toastmaster/cmd/toastmaster/cli"
	"toastmaster/configs"
	"toastmaster/internal/run/initial"
)

// standardSMTP is where the mail system of a host listens.
const standardSMTP = "127.0.0.1:25"

// mailSystem is what sendmail has to know of the instance.
type mailSystem struct {
	// folders are where pickup may be, the likeliest first.
	folders []string
	// address is that of its SMTP service as this machine reaches it, "" without one; smtpOnly says that
	// TOASTMASTER_SMTP names it.
	address  string
	smtpOnly bool
	// hostname is the domain of a bare name, where the service does not complete it.
	hostname string
	// limit is the largest message in octets; the service has the last word.
	limit int64
}

// findMailSystem is the one of the configuration. sendmail is for everybody on the host and the configuration is not: who may not
// read it, or has none where nobody said that there is one, finds pickup beside it or in the standard folder, else the
// standard port. TOASTMASTER_SMTP, a "host:port", is asked instead of either.
func findMailSystem(e *cli.Environment) (mailSystem, error) {
	c, err := e.Config()
	if err != nil {
		named := e.ConfigFile != "" || e.Getenv("TOASTMASTER_CONFIG") != ""
		if !errors.Is(err, fs.ErrPermission) && (named || !errors.Is(err, fs.ErrNotExist)) {
			return mailSystem{}, err
		}
		c = nil
	}
	m := mailSystem{folders: folders(e, c)}
	if c == nil {
		c = configs.Default()
		c.SMTPD.Listen, c.Main.Hostname = []string{standardSMTP}, initial.DefaultHostname()
	}
	m.address, m.hostname, m.limit = localSMTP(c), c.Main.Hostname, c.SMTPD.MessageSizeLimit
	if a := e.Getenv("TOASTMASTER_SMTP"); a != "" {
		if _, _, err := net.SplitHostPort(a); err != nil {
			return mailSystem{}, fmt.Errorf("TOASTMASTER_SMTP: %w", err)
		}
		m.address, m.smtpOnly = a, true
	}
	if m.address == "" && len(m.folders) == 0 {
		return mailSystem{}, c.Mistake("smtpd.listen", errors.New("has no TCP address, and pickup.directory is empty, so sendmail cannot submit"))
	}
	return m, nil
}

// folders are where pickup.directory may be: c is nil for who cannot read the configuration.
func folders(e *cli.Environment, c *configs.Config) []string {
	switch {
	case c == nil:
		return []string{publicBeside(e.File()), standardFolder}
	case c.Pickup.Directory == "":
		return nil
	}
	return []string{c.Path(c.Pickup.Directory)}
}

// localSMTP is the address of the instance's SMTP service as this machine
// reaches it, "" without one: of several the first at which this machine is a
// trusted client, because a connection to an address of this host comes from
// that address.
func localSMTP(c *configs.Config) string {
	first := ""
	for _, l := range c.SMTPD.Listen {
		host, port, err := net.SplitHostPort(l)
		if err != nil || strings.HasPrefix(l, "unix:") {
			continue
		}
		ip, err := netip.ParseAddr(host)
		if host == "" || err == nil && ip.IsUnspecified() {
			ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
			host = ip.String()
		}
		address := net.JoinHostPort(host, port)
		if first == "" {
			first = address
		}
		for _, p := range configs.Prefixes(c.Main.TrustedNetworks) {
			if p.Contains(ip) {
				return address
			}
		}
	}
	return first
}
