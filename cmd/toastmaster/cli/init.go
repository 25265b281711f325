package cli

import (
	"fmt"

	"toastmaster/internal/run/initial"
	"toastmaster/internal/run/parts"

	"github.com/spf13/cobra"
)

func newInitCommand(env *Environment) *cobra.Command {
	o := initial.Options{}
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
			"The database is a file of SQLite in DIR; --database names another file, sqlite:PATH, or\n" +
			"a PostgreSQL database, postgres://user:password@host:port/name, which is there and\n" +
			"empty. Its password goes to DIR/pgpass (mode 0600) and into no other file.\n\n" +
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
				return initParts(cmd, env, o.Parts, asJSON)
			}
			o.Dir = args[0]
			c, err := initial.Make(cmd.Context(), o)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(env.Stdout, map[string]string{"config": c.File, "postmaster": c.SMTPD.Postmaster})
			}
			fmt.Fprintf(env.Stdout, "%s written; start with: toastmaster serve -c %s\n", c.File, c.File)
			fmt.Fprintf(env.Stdout, "mail for postmaster goes to %s\n", c.SMTPD.Postmaster)
			if o.Postmaster != "" {
				return nil
			}
			_, err = fmt.Fprintf(env.Stdout, "nobody can read it yet: toastmaster -c %s mailbox set %s --password\n", c.File, c.SMTPD.Postmaster)
			return err
		},
	}
	cmd.Flags().IntVar(&o.PortBase, "port-base", 2000, "added to each standard port")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().StringVar(&o.Hostname, "hostname", initial.DefaultHostname(), "`NAME` of this mail host")
	cmd.Flags().StringVar(&o.Host, "listen", initial.Loopback, "`IP` address to listen on; :: is all of both families, 0.0.0.0 all of IPv4")
	cmd.Flags().StringVar(&o.User, "user", "", "`USER` that serve becomes when root starts it; the files are made as that user (default the owner of DIR, if root runs this)")
	cmd.Flags().StringVar(&o.LMTPHost, "lmtp-listen", initial.Loopback, "`IP` address to listen on for LMTP, which has no log-in; lmtpd.trusted_networks says who is served")
	cmd.Flags().StringVar(&o.Database, "database", "", "`URL` of the database: sqlite:PATH or postgres://... (default a file in DIR)")
	cmd.Flags().StringSliceVar(&o.Parts.Fresh, "new", nil, "make this `PART` anew, which is missing, beside those that are there")
	cmd.Flags().StringSliceVar(&o.Parts.Adopt, "adopt", nil, "give this `PART` the id of the instance, whatever it has now")
	cmd.Flags().StringVar(&o.Postmaster, "postmaster", "", "`ADDRESS` that gets the mail for postmaster (default a new mailbox)")
	return cmd
}

// initParts makes the parts that a configuration names. Its other flags are for
// a configuration that is to be written.
func initParts(cmd *cobra.Command, env *Environment, o parts.Options, asJSON bool) error {
	for _, flag := range []string{"port-base", "hostname", "listen", "lmtp-listen", "postmaster", "user", "database"} {
		if f := cmd.Flags().Lookup(flag); f != nil && f.Changed {
			return wrongUsage(cmd, "--%s needs DIR, where a configuration is written", flag)
		}
	}
	c, err := env.Config()
	if err != nil {
		return err
	}
	id, changed, err := parts.Make(cmd.Context(), c, o)
	if err != nil {
		return err
	}
	names := []string{}
	for _, p := range changed {
		names = append(names, p.Name)
	}
	if asJSON {
		return printJSON(env.Stdout, map[string]any{"instance": id, "changed": names})
	}
	for _, p := range changed {
		fmt.Fprintf(env.Stdout, "%s, %s, is of instance %s\n", p.What, p.Path, id)
	}
	if len(changed) == 0 {
		fmt.Fprintf(env.Stdout, "all parts of instance %s are there\n", id)
	}
	if c.Main.Instance == "" {
		_, err = fmt.Fprintf(env.Stdout, "main.instance = %q in %s lets no start take another one\n", string(id), c.File)
	}
	return err
}
