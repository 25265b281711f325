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
	"toastmaster/internal/identity"
	"toastmaster/internal/tlsconf"
)

// initOptions are what `toastmaster init` is told.
type initOptions struct {
	dir      string
	portBase int
	hostname string
	host     string // address to listen on
	lmtpHost string // the same for LMTP, "" for loopback
	user     string // main.user
	// postmaster gets the mail for <postmaster>; "" makes a mailbox for it.
	postmaster string
	// parts is what may be made or taken over beside what is there.
	parts partsOptions
	// instance is the id; initialise finds it.
	instance identity.ID
}

func newInitCommand(env *environment) *cobra.Command {
	o := initOptions{}
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "init [DIR]",
		Short: "Write a configuration and all that an instance needs below DIR",
		Long: "Writes DIR/toastmaster.toml, a self-signed certificate, an empty database, mail store\n" +
			"and queue of an instance that runs without privileges. Ports are the standard port\n" +
			"plus --port-base. Nothing that exists is changed.\n\n" +
			"Without DIR it makes database, mail store and queue as the configuration (-c) names\n" +
			"them, and no configuration. Nothing else makes them: `serve` refuses to start without.\n\n" +
			"While one of them is in use, another is only made if --new names it, and what has no\n" +
			"instance id or another instance's, or is a tree of Dovecot's, is only taken over if\n" +
			"--adopt names it. Nothing in them is removed. The parts are database, store, queue.\n" +
			"Stop the instance before.\n\n" +
			"Every mail host takes mail for postmaster (RFC 5321). --postmaster says who gets\n" +
			"it; without, the domain HOSTNAME is added with a mailbox postmaster, for which\n" +
			"`toastmaster mailbox set postmaster@HOSTNAME --password` sets a password.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return unexpected(cmd, args[1])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return initParts(cmd, env, o.parts, asJSON)
			}
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
	cmd.Flags().StringVar(&o.host, "listen", loopback, "`IP` address to listen on; :: is all of both families, 0.0.0.0 all of IPv4")
	cmd.Flags().StringVar(&o.user, "user", "", "`USER` that serve becomes when root starts it; the files are made as that user (default the owner of DIR, if root runs this)")
	cmd.Flags().StringVar(&o.lmtpHost, "lmtp-listen", loopback, "`IP` address to listen on for LMTP, which has no log-in; lmtpd.trusted_networks says who is served")
	cmd.Flags().StringSliceVar(&o.parts.fresh, "new", nil, "make this `PART` anew, which is missing, beside those that are there")
	cmd.Flags().StringSliceVar(&o.parts.adopt, "adopt", nil, "give this `PART` the id of the instance, whatever it has now")
	cmd.Flags().StringVar(&o.postmaster, "postmaster", "", "`ADDRESS` that gets the mail for postmaster (default a new mailbox)")
	return cmd
}

// initParts makes the parts that a configuration names. Its other flags are for
// a configuration that is to be written.
func initParts(cmd *cobra.Command, env *environment, o partsOptions, asJSON bool) error {
	for _, flag := range []string{"port-base", "hostname", "listen", "lmtp-listen", "postmaster", "user"} {
		if f := cmd.Flags().Lookup(flag); f != nil && f.Changed {
			return wrongUsage(cmd, "--%s needs DIR, where a configuration is written", flag)
		}
	}
	c, err := env.config()
	if err != nil {
		return err
	}
	who := c.Main.User
	if who == "" {
		who, _ = ownerOf(c)
	}
	if err := becomeOwner(who, ""); err != nil {
		return err
	}
	id, changed, err := makeParts(cmd.Context(), c, o)
	if err != nil {
		return err
	}
	names := []string{}
	for _, p := range changed {
		names = append(names, p.name)
	}
	if asJSON {
		return printJSON(env.stdout, map[string]any{"instance": id, "changed": names})
	}
	for _, p := range changed {
		fmt.Fprintf(env.stdout, "%s, %s, is of instance %s\n", p.what, p.path, id)
	}
	if len(changed) == 0 {
		fmt.Fprintf(env.stdout, "all parts of instance %s are there\n", id)
	}
	if c.Main.Instance == "" {
		_, err = fmt.Fprintf(env.stdout, "main.instance = %q in %s lets no start take another one\n", string(id), c.File)
	}
	return err
}

// loopback is where an instance listens that is told nothing else.
const loopback = "127.0.0.1"

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
		if err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%s: %w, and nothing was changed: `toastmaster -c %[1]s config check` says whether it can be served; a part that is missing is made by `toastmaster -c %[1]s init`", file, fs.ErrExist)
	}
	who := o.user
	if who == "" {
		who, _ = ownerOf(c)
	}
	if err := becomeOwner(who, o.dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(o.dir, "tls"), 0o700); err != nil {
		return nil, err
	}
	pair := tlsconf.Pair{Cert: filepath.Join(o.dir, "tls", "cert.pem"), Key: filepath.Join(o.dir, "tls", "key.pem")}
	if err := tlsconf.SelfSigned(pair, o.hostname, time.Now()); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if o.instance, _, err = makeParts(ctx, c, o.parts); err != nil {
		return nil, err
	}
	if own {
		if err := makePostmaster(ctx, c, o.instance); err != nil {
			return nil, err
		}
	}
	text = initialText(o)
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
func (o initOptions) lmtp() string {
	if o.lmtpHost == "" {
		return loopback
	}
	return o.lmtpHost
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
	for _, f := range [][2]string{{"listen", o.host}, {"lmtp-listen", o.lmtp()}} {
		if net.ParseIP(f[1]) == nil {
			return usageError("--%s %s: not an IP address", f[0], f[1])
		}
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
		{"lmtpd", [][2]string{{"listen", fmt.Sprintf("[%q, %q]", net.JoinHostPort(o.lmtp(), strconv.Itoa(24+o.portBase)), "unix:lmtp.sock")}}},
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
	if o.user != "" {
		rows = append(rows, [2]string{"user", strconv.Quote(o.user)})
	}
	if o.instance != "" {
		rows = append(rows, [2]string{"instance", strconv.Quote(string(o.instance))})
	}
	ip, err := netip.ParseAddr(o.host)
	if err != nil || ip.IsLoopback() || ip.IsUnspecified() {
		return rows
	}
	own := netip.PrefixFrom(ip.WithZone(""), ip.BitLen())
	return append(rows, [2]string{"trusted_networks", fmt.Sprintf("[%q, %q, %q]", "127.0.0.0/8", "::1/128", own)})
}
