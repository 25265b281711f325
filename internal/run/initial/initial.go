package initial

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/addr"
	"toastmaster/internal/identity"
	"toastmaster/internal/run/parts"
	"toastmaster/internal/run/rights"
	"toastmaster/internal/run/usage"
	"toastmaster/internal/tlsconf"
)

// Options are what `toastmaster init` is told.
type Options struct {
	// Dir is where everything goes, below it the file toastmaster.toml.
	Dir string
	// PortBase is added to each standard port.
	PortBase int
	Hostname string
	Host     string // address to listen on
	LMTPHost string // the same for LMTP, "" for Loopback
	User     string // main.user
	// Postmaster gets the mail for <postmaster>; "" makes a mailbox for it.
	Postmaster string
	// Database is where the hosted data goes, "sqlite:PATH" or "postgres://..."; "" is a file
	// of SQLite in Dir. A password in it goes to a file of its own.
	Database string
	// Parts is what may be made or taken over beside what is there.
	Parts parts.Options
	// Instance is the id; Make finds it.
	Instance identity.ID
}

// Loopback is where an instance listens that is told nothing else.
const Loopback = "127.0.0.1"

// DefaultHostname is the name of this machine, "localhost" if it is no name of a
// mail host.
func DefaultHostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	name, err = addr.ParseDomain(name)
	if err != nil {
		return "localhost"
	}
	return name
}

// Make writes an instance below o.Dir and returns its configuration.
func Make(ctx context.Context, o Options) (*configs.Config, error) {
	file := filepath.Join(o.Dir, "toastmaster.toml")
	if err := Check(o); err != nil {
		return nil, err
	}
	own := o.Postmaster == ""
	if own {
		o.Postmaster = "postmaster@" + o.Hostname
	}
	text := Text(o)
	// The file must be one that serve accepts; a mistake here is ours.
	c, err := configs.Parse(file, []byte(text))
	if err != nil {
		return nil, err
	}
	if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		if err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%s: %w, and nothing was changed: `toastmaster -c %[1]s config check` says whether it can be served; a part that is missing is made by `toastmaster -c %[1]s init`", file, fs.ErrExist)
	}
	who := o.User
	if who == "" {
		who, _ = rights.OwnerOf(c)
	}
	if err := rights.BecomeOwner(who, o.Dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(o.Dir, "tls"), 0o700); err != nil {
		return nil, err
	}
	if err := keepPassword(o); err != nil {
		return nil, err
	}
	pair := tlsconf.Pair{Cert: filepath.Join(o.Dir, "tls", "cert.pem"), Key: filepath.Join(o.Dir, "tls", "key.pem")}
	if err := tlsconf.SelfSigned(pair, o.Hostname, time.Now()); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if o.Instance, _, err = parts.MakeMissing(ctx, c, o.Parts); err != nil {
		return nil, err
	}
	if own {
		if err := makePostmaster(ctx, c, o.Instance); err != nil {
			return nil, err
		}
	}
	text = Text(o)
	if c, err = configs.Parse(file, []byte(text)); err != nil {
		return nil, err
	}
	// Last, so that an init that failed can be repeated.
	return c, writeNew(file, text)
}

// writeNew writes a file that must not exist.
func writeNew(file, text string) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// lmtp is where LMTP listens: whoever is served there can fill mailboxes, so the
// address of the other services says nothing about it.
func (o Options) lmtp() string {
	if o.LMTPHost == "" {
		return Loopback
	}
	return o.LMTPHost
}

// highestPort is that of ManageSieve, the highest standard port we count from.
const highestPort = 4190

// Check finds a mistake in the options.
func Check(o Options) error {
	if o.Dir == "" {
		return usage.Errorf("DIR is empty")
	}
	if _, err := databaseOf(o); err != nil {
		return usage.Errorf("--database: %w", err)
	}
	if _, err := addr.ParseDomain(o.Hostname); err != nil {
		return usage.Errorf("--hostname %s: %w", o.Hostname, err)
	}
	if o.Postmaster != "" {
		if a, err := addr.Parse(o.Postmaster); err != nil || a.IsNull() || a.Domain == "" {
			return usage.Errorf("--postmaster %s: must be an address with a domain", o.Postmaster)
		}
	}
	for _, f := range [][2]string{{"listen", o.Host}, {"lmtp-listen", o.lmtp()}} {
		if net.ParseIP(f[1]) == nil {
			return usage.Errorf("--%s %s: not an IP address", f[0], f[1])
		}
	}
	if o.PortBase < 0 || o.PortBase+highestPort > 65535 {
		return usage.Errorf("--port-base %d: must be between 0 and %d", o.PortBase, 65535-highestPort)
	}
	return nil
}

// Text is the configuration file of a new instance: only what differs
// from the defaults.
func Text(o Options) string {
	listen := func(port int) string {
		return fmt.Sprintf("[%q]", net.JoinHostPort(o.Host, strconv.Itoa(port+o.PortBase)))
	}
	smtpd := [][2]string{
		{"listen", listen(25)}, {"submission_listen", listen(587)}, {"submissions_listen", listen(465)},
		{"postmaster", strconv.Quote(o.Postmaster)},
	}
	var b strings.Builder
	b.WriteString("# Written by `toastmaster init`. `toastmaster config explain NAME` explains a\n" +
		"# parameter; everything that is not here has its default.\n")
	for _, s := range []struct {
		section string
		rows    [][2]string
	}{
		{"main", mainRows(o)},
		{"directory", directoryRows(o)},
		{"smtpd", smtpd},
		{"lmtpd", [][2]string{{"listen", fmt.Sprintf("[%q, %q]", net.JoinHostPort(o.lmtp(), strconv.Itoa(24+o.PortBase)), "unix:lmtp.sock")}}},
		{"imapd", [][2]string{{"listen", listen(143)}, {"listen_tls", listen(993)}}},
		{"pop3d", [][2]string{{"listen", listen(110)}, {"listen_tls", listen(995)}}},
		{"admin", [][2]string{{"listen", listen(80)}, {"listen_tls", listen(443)}}},
	} {
		if len(s.rows) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n[%s]\n", s.section)
		for _, r := range s.rows {
			fmt.Fprintf(&b, "%s = %s\n", r[0], r[1])
		}
	}
	return b.String()
}

// mainRows is the section [main]. What this host sends to its own address comes
// from that address, sendmail's mail too.
func mainRows(o Options) [][2]string {
	rows := [][2]string{{"hostname", strconv.Quote(o.Hostname)}, {"data_dir", `"."`}}
	if o.User != "" {
		rows = append(rows, [2]string{"user", strconv.Quote(o.User)})
	}
	if o.Instance != "" {
		rows = append(rows, [2]string{"instance", strconv.Quote(string(o.Instance))})
	}
	ip, err := netip.ParseAddr(o.Host)
	if err != nil || ip.IsLoopback() || ip.IsUnspecified() {
		return rows
	}
	own := netip.PrefixFrom(ip.WithZone(""), ip.BitLen())
	return append(rows, [2]string{"trusted_networks", fmt.Sprintf("[%q, %q, %q]", "127.0.0.0/8", "::1/128", own)})
}
