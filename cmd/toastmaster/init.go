package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
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
	// postmaster, if any, gets the mail for <postmaster>.
	postmaster string
}

func newInitCommand(env *environment) *cobra.Command {
	o := initOptions{}
	cmd := &cobra.Command{
		Use:   "init DIR",
		Short: "Write a configuration and all that an instance needs below DIR",
		Long: "Writes DIR/toastmaster.toml, a self-signed certificate and the folders of an instance\n" +
			"that runs without privileges. Ports are the standard port plus --port-base.\n" +
			"Nothing that exists is changed.",
		Args: exactArguments("DIR"),
		RunE: func(_ *cobra.Command, args []string) error {
			o.dir = args[0]
			file, err := initialise(o)
			if err != nil {
				return err
			}
			fmt.Fprintf(env.stdout, "%s written; start with: toastmaster serve -c %s\n", file, file)
			return nil
		},
	}
	cmd.Flags().IntVar(&o.portBase, "port-base", 2000, "added to each standard port")
	cmd.Flags().StringVar(&o.hostname, "hostname", defaultHostname(), "name of this mail host")
	cmd.Flags().StringVar(&o.host, "listen", "127.0.0.1", "address to listen on")
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

// initialise writes an instance below o.dir and returns its configuration
// file.
func initialise(o initOptions) (string, error) {
	file := filepath.Join(o.dir, "toastmaster.toml")
	if err := checkInit(o); err != nil {
		return "", err
	}
	text := initialText(o)
	// The file must be one that serve accepts; a mistake here is ours.
	if _, err := configs.Parse(file, []byte(text)); err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Join(o.dir, "tls"), 0o700); err != nil {
		return "", err
	}
	pair := tlsconf.Pair{Cert: filepath.Join(o.dir, "tls", "cert.pem"), Key: filepath.Join(o.dir, "tls", "key.pem")}
	if err := tlsconf.SelfSigned(pair, o.hostname, time.Now()); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return "", err
	}
	_, err = f.WriteString(text)
	return file, errors.Join(err, f.Close())
}

// highestPort is that of ManageSieve, the highest standard port we count from.
const highestPort = 4190

func checkInit(o initOptions) error {
	if _, err := addr.ParseDomain(o.hostname); err != nil {
		return usageError("--hostname %s: %w", o.hostname, err)
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
	smtpd := [][2]string{{"listen", listen(25)}, {"submission_listen", listen(587)}, {"submissions_listen", listen(465)}}
	if o.postmaster != "" {
		smtpd = append(smtpd, [2]string{"postmaster", strconv.Quote(o.postmaster)})
	}
	var b strings.Builder
	b.WriteString("# Written by `toastmaster init`. `toastmaster config explain NAME` explains a\n" +
		"# parameter; everything that is not here has its default.\n")
	for _, s := range []struct {
		section string
		rows    [][2]string
	}{
		{"main", [][2]string{{"hostname", strconv.Quote(o.hostname)}, {"data_dir", `"."`}}},
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
