package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"toastmaster/admin/client"
	"toastmaster/admin/model"
	"toastmaster/configs"
	"toastmaster/internal/clock"
	"toastmaster/internal/identity"
	"toastmaster/internal/run"
	"toastmaster/internal/run/initial"
	"toastmaster/internal/run/usage"
)

// demoDomain and demoUsers are what a demo instance hosts.
const demoDomain = "example.test"

func demoUsers() []string { return []string{"alice", "bob"} }

func newDemoCommand(env *Environment) *cobra.Command {
	o := demoOptions()
	cmd := &cobra.Command{
		Use:   "demo DIR",
		Short: "Serve a demo instance below DIR on 127.0.0.1",
		Long: "On first use creates an instance (see init) with the domain " + demoDomain + " and the\n" +
			"mailboxes alice and bob, then serves it and prints how to use it.",
		Args: exactArguments("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Dir = args[0]
			env.ConfigFile = filepath.Join(o.Dir, "toastmaster.toml")
			if _, err := os.Stat(env.ConfigFile); errors.Is(err, fs.ErrNotExist) {
				if _, err := initial.Make(cmd.Context(), o); err != nil {
					return err
				}
			} else if cmd.Flags().Changed("port-base") {
				if err := moveDemo(env.ConfigFile, o); err != nil {
					return err
				}
			}
			c, err := env.Config()
			if err != nil {
				return err
			}
			err = serve(cmd.Context(), env, c, func(ctx context.Context) error { return welcome(ctx, env, c) })
			if errors.Is(err, syscall.EADDRINUSE) {
				err = fmt.Errorf("%w; `make run PORT_BASE=N` or `demo --port-base N` (now %d) takes other ports", err, portBase(c))
			}
			return lastWords(env, err)
		},
	}
	cmd.Flags().IntVar(&o.PortBase, "port-base", 2000, "added to each standard port; stays for the next use")
	return cmd
}

// portBase is what a demo's ports were made with.
func portBase(c *configs.Config) int {
	_, port, err := net.SplitHostPort(tcp(c.SMTPD.Listen))
	n, numErr := strconv.Atoi(port)
	if err != nil || numErr != nil {
		return 0
	}
	return n - 25
}

// moveDemo gives a demo instance other ports, if its configuration still is
// the one that the first use wrote.
func moveDemo(file string, o initial.Options) error {
	if err := initial.Check(o); err != nil {
		return err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	c, err := configs.Parse(file, text)
	if err != nil {
		return usage.New(err)
	}
	o.Instance = identity.ID(c.Main.Instance)
	before := o
	before.PortBase = portBase(c)
	switch {
	case before.PortBase == o.PortBase:
		return nil
	case string(text) != initial.Text(before):
		return usageError("--port-base %d: %s was changed by somebody; the ports are in it", o.PortBase, file)
	}
	return os.WriteFile(file, []byte(initial.Text(o)), 0o640)
}

// demoOptions make an instance where RCPT TO:<postmaster> works too.
func demoOptions() initial.Options {
	return initial.Options{Hostname: "localhost", Host: initial.Loopback, Postmaster: demoUsers()[0] + "@" + demoDomain}
}

// welcome makes the demo data if it is missing and says how to use it.
func welcome(ctx context.Context, env *Environment, c *configs.Config) error {
	passwords, err := demoPasswords(filepath.Join(c.Dir(), "demo-passwords"))
	if err != nil {
		return err
	}
	api := client.NewUnix(c.Path(c.Admin.Socket))
	defer api.Close()
	if err := createDemo(ctx, api, passwords); err != nil {
		return err
	}
	run.Say(clock.System{}, env.Stdout, demoText(c, passwords))
	return nil
}

// createDemo adds what is missing of the demo data.
func createDemo(ctx context.Context, api *client.Client, passwords map[string]string) error {
	_, err := api.AddDomain(ctx, model.NewDomain{Name: demoDomain})
	if err != nil && !isExists(err) {
		return err
	}
	for _, u := range demoUsers() {
		secret := passwords[u]
		box := model.NewMailbox{Address: u + "@" + demoDomain, MailboxChange: model.MailboxChange{Password: &secret}}
		if _, err := api.AddMailbox(ctx, box); err != nil && !isExists(err) {
			return err
		}
	}
	return nil
}

func isExists(err error) bool {
	var e *model.Error
	return errors.As(err, &e) && e.Kind == model.Exists
}

// demoPasswords reads or makes the file "user password" per line, readable by
// the caller only.
func demoPasswords(file string) (map[string]string, error) {
	passwords := map[string]string{}
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		if name, secret, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			passwords[name] = secret
		}
	}
	var b strings.Builder
	for _, u := range demoUsers() {
		if passwords[u] == "" {
			passwords[u] = strings.ToLower(rand.Text()[:12])
		}
		fmt.Fprintf(&b, "%s %s\n", u, passwords[u])
	}
	if b.String() == string(text) {
		return passwords, nil
	}
	return passwords, os.WriteFile(file, []byte(b.String()), 0o600)
}

// tcp is the first TCP address of a list of listeners.
func tcp(listeners []string) string {
	for _, l := range listeners {
		if _, _, err := net.SplitHostPort(l); err == nil && !strings.HasPrefix(l, "unix:") {
			return l
		}
	}
	return ""
}

// demoText is what a person reads after `make run`.
func demoText(c *configs.Config, passwords map[string]string) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("")
	line("Toastmaster serves %s (certificate: self-signed)", demoDomain)
	line("")
	line("  SMTP         %s", tcp(c.SMTPD.Listen))
	line("  submission   %s, with TLS %s", tcp(c.SMTPD.SubmissionListen), tcp(c.SMTPD.SubmissionsListen))
	line("  LMTP         %s", tcp(c.LMTPD.Listen))
	line("  IMAP         %s, with TLS %s", tcp(c.IMAPD.Listen), tcp(c.IMAPD.ListenTLS))
	line("  POP3         %s, with TLS %s", tcp(c.POP3D.Listen), tcp(c.POP3D.ListenTLS))
	line("  admin        https://%s/ and http://%s/", tcp(c.Admin.ListenTLS), tcp(c.Admin.Listen))
	line("")
	for _, u := range demoUsers() {
		line("  %s@%s   password %s", u, demoDomain, passwords[u])
	}
	line("")
	line("Send a message:")
	line(`  printf 'From: bob@%[1]s\nTo: alice@%[1]s\nSubject: toast\n\nHello Alice\n' | curl -sS smtp://%[2]s/localhost --mail-from bob@%[1]s --mail-rcpt alice@%[1]s -T - --crlf`,
		demoDomain, tcp(c.SMTPD.Listen))
	line("Read it:")
	line("  curl -sS 'imap://%s/INBOX;MAILINDEX=*' -u alice@%s:%s", tcp(c.IMAPD.Listen), demoDomain, passwords["alice"])
	line("")
	line("Administration: bin/toastmaster -c %s domain list   (and mailbox, alias, relocated, queue)", c.File)
	line("Stop with Ctrl-C.")
	return b.String()
}
