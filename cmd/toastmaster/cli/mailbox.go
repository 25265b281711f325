package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"toastmaster/admin/client"
	"toastmaster/admin/model"
)

func newMailboxCommand(env *Environment) *cobra.Command {
	cmd, f := adminGroup(env, "mailbox", "Add, change and list mailboxes")
	cmd.AddCommand(mailboxAdd(f), mailboxSet(f), mailboxList(f), mailboxShow(f), mailboxStatus(f), mailboxRemove(f), mailboxExport(f), mailboxImport(f))
	return cmd
}

// secretFlags say where a password comes from. It never comes from the command
// line, which every user of the machine can read.
type secretFlags struct {
	stdin, hash, none, ask bool
}

func (s *secretFlags) register(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.BoolVar(&s.stdin, "password-stdin", false, "read the password from standard input (first line)")
	fs.BoolVar(&s.hash, "hash-stdin", false, "read a hash, {SCHEME}data or crypt's $6$..., from standard input instead")
	fs.BoolVar(&s.none, "no-password", false, "nobody can log in")
}

// read puts the password or hash into c.
func (s *secretFlags) read(env *Environment, address string, c *model.MailboxChange) error {
	switch {
	case s.stdin && s.hash, s.none && (s.stdin || s.hash):
		return usageError("--password-stdin, --hash-stdin and --no-password exclude each other")
	case s.none:
		empty := ""
		c.PasswordHash = &empty
		return nil
	case s.stdin, s.hash:
		line, err := readLine(env.Stdin)
		if err != nil {
			return err
		}
		c.Password = &line
		if s.hash {
			c.Password, c.PasswordHash = nil, &line
		}
		return nil
	case s.ask:
		p, err := env.askPassword("Password for " + address)
		if err != nil {
			return err
		}
		c.Password = &p
	}
	return nil
}

func mailboxFlags(cmd *cobra.Command, c *model.MailboxChange) {
	fs := cmd.Flags()
	fs.Var(switchValue{&c.Enabled}, "enabled", "whether it takes mail and lets its owner log in")
	fs.Var(sizeValue{&c.QuotaBytes}, "quota", "most mail it holds (500M, 2GiB), 0 is unlimited")
	fs.Var(countValue{&c.QuotaMessages}, "quota-messages", "most messages it holds, 0 is unlimited")
	fs.Var(textValue{&c.Home}, "home", "folder of its mail in the store, with %d for its domain and %n for its local part (default store.home); mail is not moved")
}

func mailboxAdd(f *adminFlags) *cobra.Command {
	in := model.NewMailbox{}
	secret := secretFlags{ask: true}
	o := fromFlags{}
	passwords := passwordsAuto
	cmd := &cobra.Command{
		Use:   "add ADDRESS | add --from FILE",
		Short: "Add a mailbox, or many",
		Long: `Asks for the password at a terminal; a script gives it with --password-stdin.

With --from, reads one "address,password[,quota]" a line (CSV: a password with a
comma or quotes is quoted) from FILE, or from standard input for "-". A password
that begins with {SCHEME}, or with crypt(3)'s $1$, $5$, $6$, $2y$ or $argon2id$, is
a hash and kept as it is, as in Dovecot's passwd-file and /etc/shadow. One that
begins so and cannot be read fails with its reason, so that no hash becomes a
password. --passwords plain takes all as they are, --passwords hash takes hashes
only; the old crypt of 13 characters has no sign and is not supported. Mailboxes
that exist are left alone and counted, so that an interrupted addition can be
repeated. The options --enabled, --quota, --quota-messages and --home are for all
lines that say nothing else.

Where mail of an earlier mailbox lies that was removed without --purge, the
addition is refused: --keep-mail shows that mail again, ` + "`mailbox remove --purge`" + `
deletes it.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if o.file != "" && (secret.stdin || secret.hash || secret.none) {
				return wrongUsage(cmd, "%s: with --from, the file has the passwords", commandName(cmd))
			}
			return o.args(exactArguments("ADDRESS"))(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.file != "" {
				return mailboxesFrom(cmd.Context(), f, o, in, passwords)
			}
			in.Address = args[0]
			if err := secret.read(f.env, in.Address, &in.MailboxChange); err != nil {
				return err
			}
			return f.withClient(func(c *client.Client) error {
				m, err := c.AddMailbox(cmd.Context(), in)
				if err != nil {
					return err
				}
				note := ""
				if m.Alias {
					note = " (mail goes to the alias of the same address)"
				}
				if m.Warning != "" {
					note += " with the mail of the earlier mailbox"
				}
				return f.done(m, "mailbox %s added%s", m.Address, note)
			})
		},
	}
	secret.register(cmd)
	mailboxFlags(cmd, &in.MailboxChange)
	cmd.Flags().BoolVar(&in.KeepMail, "keep-mail", false, "take over the mail of an earlier mailbox of this address")
	cmd.Flags().Var(choiceValue{&passwords, []string{passwordsAuto, passwordsPlain, passwordsHash}, "KIND"}, "passwords", "what the passwords of --from are: auto, plain or hash")
	o.register(cmd)
	return cmd
}

func mailboxSet(f *adminFlags) *cobra.Command {
	in := model.MailboxChange{}
	secret := secretFlags{}
	cmd := &cobra.Command{
		Use:   "set ADDRESS",
		Short: "Change a mailbox",
		Args:  exactArguments("ADDRESS"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if in == (model.MailboxChange{}) && secret == (secretFlags{}) {
				return wrongUsage(cmd, "%s: nothing to change", commandName(cmd))
			}
			if err := secret.read(f.env, args[0], &in); err != nil {
				return err
			}
			return f.withClient(func(c *client.Client) error {
				m, err := c.SetMailbox(cmd.Context(), args[0], in)
				if err != nil {
					return err
				}
				return f.done(m, "mailbox %s changed", m.Address)
			})
		},
	}
	secret.register(cmd)
	cmd.Flags().BoolVar(&secret.ask, "password", false, "ask for a new password")
	mailboxFlags(cmd, &in)
	return cmd
}

func mailboxList(f *adminFlags) *cobra.Command {
	filter := model.Filter{}
	cmd := &cobra.Command{
		Use:   "list [DOMAIN]",
		Short: "List mailboxes, all or those of a domain",
		Args:  domainArgument(&filter),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.withClient(func(c *client.Client) error {
				l := f.newListing("ADDRESS", "ENABLED", "PASSWORD", "QUOTA", "MAX MESSAGES")
				err := client.Each(cmd.Context(), c.Mailboxes, filter, func(m model.Mailbox) error {
					return l.add(m, m.Address, yesNo(m.Enabled), yesNo(m.HasPassword), formatQuota(m.QuotaBytes), formatLimit(m.QuotaMessages))
				})
				if err != nil {
					return err
				}
				return l.close()
			})
		},
	}
	addressFilterFlags(cmd, &filter)
	cmd.Flags().Var(switchValue{&filter.Enabled}, "enabled", "only those that are enabled, or disabled")
	return cmd
}

// domainArgument takes the domain of a listing as an argument, too.
func domainArgument(filter *model.Filter) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return nil
		case len(args) > 1:
			return unexpected(cmd, args[1])
		case filter.Domain != "":
			return wrongUsage(cmd, "%s: DOMAIN and --domain exclude each other", commandName(cmd))
		case strings.Contains(args[0], "@"):
			return wrongUsage(cmd, "%s: %q is an address; DOMAIN lists a domain, `show` shows an address", commandName(cmd), args[0])
		}
		filter.Domain = args[0]
		return nil
	}
}

// addressFilterFlags are those of every listing of addresses.
func addressFilterFlags(cmd *cobra.Command, filter *model.Filter) {
	cmd.Flags().StringVar(&filter.Domain, "domain", "", "only of this `DOMAIN`")
	cmd.Flags().StringVar(&filter.Contains, "contains", "", "only addresses with this `PART`")
}

func mailboxShow(f *adminFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "show ADDRESS",
		Short: "Show a mailbox",
		Args:  exactArguments("ADDRESS"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.withClient(func(c *client.Client) error {
				m, err := c.Mailbox(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				alias := "no"
				if m.Alias {
					alias = "yes, mail goes to it: see `alias show`"
				}
				return f.printOne(m, [][2]string{
					{"mailbox", m.Address}, {"alias", alias}, {"home", m.Home}, {"enabled", yesNo(m.Enabled)}, {"password", yesNo(m.HasPassword)},
					{"quota", formatQuota(m.QuotaBytes)}, {"max messages", formatLimit(m.QuotaMessages)},
					{"added", timeText(m.Created)}, {"changed", timeText(m.Updated)},
				})
			})
		},
	}
}

func mailboxRemove(f *adminFlags) *cobra.Command {
	var purge, background bool
	var from string
	cmd := &cobra.Command{
		Use:   "remove ADDRESS... | remove --from FILE",
		Short: "Remove mailboxes",
		Long: "Removes the mailbox. Its mail stays in the store, until --purge is\n" +
			"given; `mailbox add --keep-mail` shows it again. With --purge the mail of a\n" +
			"mailbox that was removed before goes, too; for more than one mailbox that is a job\n" +
			"(`toastmaster job`). FILE has an address a line, - is standard input.",
		Args: func(cmd *cobra.Command, args []string) error {
			if (from == "") == (len(args) == 0) {
				return wrongUsage(cmd, "%s needs ADDRESS, or --from", commandName(cmd))
			}
			if background && !purge {
				return wrongUsage(cmd, "--background needs --purge")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			addresses := args
			if from != "" {
				var err error
				if addresses, err = addressLines(f.env, from); err != nil {
					return err
				}
			}
			return f.withClient(func(c *client.Client) error {
				switch {
				case len(addresses) == 1 && !background:
					return removeMailbox(cmd.Context(), f, c, addresses[0], purge)
				case purge:
					j, err := c.PurgeMailboxes(cmd.Context(), addresses)
					if err != nil {
						return err
					}
					return f.follow(cmd.Context(), c, j, background, func(j model.Job) error {
						return f.done(j, "%s removed with their mail, %d were not there", mailboxes(int(j.Done)), j.Unchanged)
					})
				}
				return removeMailboxes(cmd.Context(), f, c, addresses)
			})
		},
	}
	cmd.Flags().BoolVar(&purge, "purge", false, "with all their mail, for ever")
	cmd.Flags().StringVar(&from, "from", "", "those that are named in `FILE`")
	backgroundFlag(cmd, &background)
	return cmd
}

func removeMailbox(ctx context.Context, f *adminFlags, c *client.Client, address string, purge bool) error {
	removed, err := c.RemoveMailbox(ctx, address, purge)
	if err != nil {
		return err
	}
	f.warn(removed.Warnings)
	if removed.MailOnly {
		return f.done(removed, "mail of the earlier mailbox %s removed", address)
	}
	return f.done(removed, "mailbox %s removed", address)
}

// removeMailboxes goes on after a failure and fails at the end.
func removeMailboxes(ctx context.Context, f *adminFlags, c *client.Client, addresses []string) error {
	m := newMeter(f.env, f.json)
	defer m.end()
	done, failed := 0, 0
	for i, address := range addresses {
		removed, err := c.RemoveMailbox(ctx, address, false)
		if ctx.Err() != nil {
			return fmt.Errorf("interrupted: %s removed, %d are left", mailboxes(done), len(addresses)-i)
		}
		if err != nil {
			failed++
			m.end()
			fmt.Fprintf(f.env.Stderr, "%s: %v\n", address, err)
			continue
		}
		done++
		f.warn(removed.Warnings)
		m.show(mailboxes(done)+" removed", int64(i), int64(len(addresses)))
	}
	m.end()
	if err := f.done(map[string]int{"removed": done, "failed": failed}, "%s removed", mailboxes(done)); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%s not removed", mailboxes(failed))
	}
	return nil
}

// addressLines reads an address a line; empty lines and those that begin with # are
// passed over.
func addressLines(env *Environment, name string) ([]string, error) {
	text, err := readNamed(env, name)
	if err != nil {
		return nil, err
	}
	var out []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			out = append(out, line)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s names no address", name)
	}
	return out, nil
}

// readNamed reads a file, "-" is standard input.
func readNamed(env *Environment, name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(env.Stdin)
	}
	return os.ReadFile(name)
}
