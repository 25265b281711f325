package main

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

	"github.com/spf13/cobra"

	"toastmaster/configs"
	"toastmaster/internal/addr"
	"toastmaster/internal/tlsconf"
)

// initOptions are what `toastmaster init` is told.
type initOptions struct {
	dir      string
	portBase int
	hostname string
	host     string // address to listen on
	// postmaster gets the mail for <postmaster>; "" makes a mailbox for it.
	postmaster string
}

func newInitCommand(env *environment) *cobra.Command {
	o := initOptions{}
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "init DIR",
		Short: "Write a configuration and all that an instance needs below DIR",
		Long: "Writes DIR/toastmaster.toml, a self-signed certificate and the folders of an instance\n" +
			"that runs without privileges. Ports are the standard port plus --port-base.\n" +
			"Nothing that exists is changed.\n\n" +
			"Every mail host takes mail for postmaster (RFC 5321). --postmaster says who gets\n" +
			"it; without, the domain HOSTNAME is added with a mailbox postmaster, for which\n" +
			"`toastmaster mailbox set postmaster@HOSTNAME --password` sets a password.",
		Args: exactArguments("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.dir = args[0]
			c, err := initialise(cmd.Context(), o)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(env.stdout, map[string]string{"config": c.File, "postmaster": c.SMTPD.Postmaster})
			}
			fmt.Fprintf(env.stdout, "%s written; start with: toastmaster serve -c %s\n", c.File, c.File)
			_, err = fmt.Fprintf(env.stdout, "mail for postmaster goes to %s\n", c.SMTPD.Postmaster)
			return err
		},
	}
	cmd.Flags().IntVar(&o.portBase, "port-base", 2000, "added to each standard port")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().StringVar(&o.hostname, "hostname", defaultHostname(), "`NAME` of this mail host")
	cmd.Flags().StringVar(&o.host, "listen", "127.0.0.1", "`IP` address to listen on")
	cmd.Flags().StringVar(&o.postmaster, "postmaster", "", "`ADDRESS` that gets the mail for postmaster (default a new mailbox)")
	return cmd
}

func defaultHostname() string {
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

// initialise writes an instance below o.dir and returns its configuration.
func initialise(ctx context.Context, o initOptions) (*configs.Config, error) {
	file := filepath.Join(o.dir, "toastmaster.toml")
	if err := checkInit(o); err != nil {
		return nil, err
	}
	own := o.postmaster == ""
	if own {
		o.postmaster = "postmaster@" + o.hostname
	}
	text := initialText(o)
	// The file must be one that serve accepts; a mistake here is ours.
	c, err := configs.Parse(file, []byte(text))
	if err != nil {
		return nil, err
	}
	if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(err, &fs.PathError{Op: "init", Path: file, Err: fs.ErrExist})
	}
	if err := os.MkdirAll(filepath.Join(o.dir, "tls"), 0o700); err != nil {
		return nil, err
	}
	pair := tlsconf.Pair{Cert: filepath.Join(o.dir, "tls", "cert.pem"), Key: filepath.Join(o.dir, "tls", "key.pem")}
	if err := tlsconf.SelfSigned(pair, o.hostname, time.Now()); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if own {
		if err := makePostmaster(ctx, c); err != nil {
			return nil, err
		}
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

// highestPort is that of ManageSieve, the highest standard port we count from.
const highestPort = 4190

func checkInit(o initOptions) error {
	if o.dir == "" {
		return usageError("DIR is empty")
	}
	if _, err := addr.ParseDomain(o.hostname); err != nil {
		return usageError("--hostname %s: %w", o.hostname, err)
	}
	if o.postmaster != "" {
		if a, err := addr.Parse(o.postmaster); err != nil || a.IsNull() || a.Domain == "" {
			return usageError("--postmaster %s: must be an address with a domain", o.postmaster)
		}
	}
	if net.ParseIP(o.host) == nil {
		return usageError("--listen %s: not an IP address", o.host)
	}
	if o.portBase < 0 || o.portBase+highestPort > 65535 {
		return usageError("--port-base %d: must be between 0 and %d", o.portBase, 65535-highestPort)
	}
	return nil
}

// initialText is the configuration file of a new instance: only what differs
// from the defaults.
func initialText(o initOptions) string {
	listen := func(port int) string {
		return fmt.Sprintf("[%q]", net.JoinHostPort(o.host, strconv.Itoa(port+o.portBase)))
	}
	smtpd := [][2]string{
		{"listen", listen(25)}, {"submission_listen", listen(587)}, {"submissions_listen", listen(465)},
		{"postmaster", strconv.Quote(o.postmaster)},
	}
	var b strings.Builder
	b.WriteString("# Written by `toastmaster init`. `toastmaster config explain NAME` explains a\n" +
		"# parameter; everything that is not here has its default.\n")
	for _, s := range []struct {
		section string
		rows    [][2]string
	}{
		{"main", mainRows(o)},
		{"smtpd", smtpd},
		{"lmtpd", [][2]string{{"listen", fmt.Sprintf("[%q, %q]", net.JoinHostPort(o.host, strconv.Itoa(24+o.portBase)), "unix:lmtp.sock")}}},
		{"imapd", [][2]string{{"listen", listen(143)}, {"listen_tls", listen(993)}}},
		{"pop3d", [][2]string{{"listen", listen(110)}, {"listen_tls", listen(995)}}},
		{"admin", [][2]string{{"listen", listen(80)}, {"listen_tls", listen(443)}}},
	} {
		fmt.Fprintf(&b, "\n[%s]\n", s.section)
		for _, r := range s.rows {
			fmt.Fprintf(&b, "%s = %s\n", r[0], r[1])
		}
	}
	return b.String()
}

// mainRows is the section [main]. What this host sends to its own address comes
// from that address, sendmail's mail too.
func mainRows(o initOptions) [][2]string {
	rows := [][2]string{{"hostname", strconv.Quote(o.hostname)}, {"data_dir", `"."`}}
	ip, err := netip.ParseAddr(o.host)
	if err != nil || ip.IsLoopback() || ip.IsUnspecified() {
		return rows
	}
	own := netip.PrefixFrom(ip.WithZone(""), ip.BitLen())
	return append(rows, [2]string{"trusted_networks", fmt.Sprintf("[%q, %q, %q]", "127.0.0.0/8", "::1/128", own)})
}
