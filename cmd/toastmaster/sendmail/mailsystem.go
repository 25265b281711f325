package sendmail

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"

	"toastmaster/cmd/toastmaster/cli"
	"toastmaster/configs"
	"toastmaster/internal/run/initial"
)

// standardSMTP is where the mail system of a host listens.
const standardSMTP = "127.0.0.1:25"

// mailSystem is what sendmail has to know of the instance.
type mailSystem struct {
	// address is that of its SMTP service as this machine reaches it.
	address string
	// hostname is the domain of a bare name.
	hostname string
	// limit is the largest message in octets; the service has the last word.
	limit int64
}

// findMailSystem is the one of the configuration. sendmail is for everybody on the
// host and the configuration is not: who may not read it, or has none where
// nobody said that there is one, gets the standard port. TOASTMASTER_SMTP, a
// "host:port", is asked instead of either.
func findMailSystem(e *cli.Environment) (mailSystem, error) {
	c, err := e.Config()
	if err != nil {
		named := e.ConfigFile != "" || e.Getenv("TOASTMASTER_CONFIG") != ""
		if !errors.Is(err, fs.ErrPermission) && (named || !errors.Is(err, fs.ErrNotExist)) {
			return mailSystem{}, err
		}
		c = configs.Default()
		c.SMTPD.Listen, c.Main.Hostname = []string{standardSMTP}, initial.DefaultHostname()
	}
	m := mailSystem{address: localSMTP(c), hostname: c.Main.Hostname, limit: c.SMTPD.MessageSizeLimit}
	if a := e.Getenv("TOASTMASTER_SMTP"); a != "" {
		if _, _, err := net.SplitHostPort(a); err != nil {
			return mailSystem{}, fmt.Errorf("TOASTMASTER_SMTP: %w", err)
		}
		m.address = a
	}
	if m.address == "" {
		return mailSystem{}, c.Mistake("smtpd.listen", errors.New("has no TCP address, so sendmail cannot submit"))
	}
	return m, nil
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

// dial connects to the SMTP service.
func (m mailSystem) dial(ctx context.Context) (net.Conn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", m.address)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) && op.Err != nil {
			err = op.Err // the rest is said better
		}
		return nil, fmt.Errorf("the mail system does not answer on %s (smtpd.listen, or TOASTMASTER_SMTP): %w", m.address, err)
	}
	return conn, nil
}

// clientName is the name in HELO.
func clientName() string {
	host, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return host
}
