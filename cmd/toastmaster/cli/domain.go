package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"toastmaster/admin/client"
	"toastmaster/admin/model"
)

func newDomainCommand(env *Environment) *cobra.Command {
	cmd, f := adminGroup(env, "domain", "Add, change and list hosted domains")
	cmd.AddCommand(domainAdd(f), domainSet(f), domainList(f), domainShow(f), domainRemove(f))
	return cmd
}

// domainFlags are the settings of a domain.
func domainFlags(cmd *cobra.Command, c *model.DomainChange) {
	fs := cmd.Flags()
	fs.Var(switchValue{&c.Enabled}, "enabled", "whether it takes mail and lets people log in")
	fs.Var(countValue{&c.MaxMailboxes}, "max-mailboxes", "how many mailboxes it may have, 0 is unlimited")
	fs.Var(countValue{&c.MaxAliases}, "max-aliases", "how many aliases it may have, 0 is unlimited")
	fs.Var(sizeValue{&c.DefaultQuotaBytes}, "default-quota", "quota of a new mailbox (500M, 2GiB), 0 is unlimited")
	fs.Var(countValue{&c.DefaultQuotaMessages}, "default-quota-messages", "messages of a new mailbox, 0 is unlimited")
}

func domainAdd(f *adminFlags) *cobra.Command {
	in := model.NewDomain{}
	o := fromFlags{}
	cmd := &cobra.Command{
		Use:   "add NAME | add --from FILE",
		Short: "Add a domain, or many",
		Long: "FILE has a domain a line, and behind it the domain that it stands for, if it does. What\n" +
			"exists is left alone, what is refused is named with its line, and the rest is added with\n" +
			"the settings of the options.",
		Args: o.args(exactArguments("NAME")),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.file != "" {
				if in.AliasOf != "" {
					return wrongUsage(cmd, "--alias-of and --from: FILE says it, behind the domain")
				}
				return domainsFrom(cmd.Context(), f, o, in.DomainChange)
			}
			in.Name = args[0]
			return f.withClient(func(c *client.Client) error {
				d, err := c.AddDomain(cmd.Context(), in)
				if err != nil {
					return err
				}
				if !strings.Contains(d.Name, ".") {
					f.warn([]string{"the domain " + d.Name + " has no dot: nobody else can send mail to it; was another name meant?"})
				}
				return f.done(d, "domain %s added", d.Name)
			})
		},
	}
	cmd.Flags().StringVar(&in.AliasOf, "alias-of", "", "make it stand for this hosted `DOMAIN`")
	domainFlags(cmd, &in.DomainChange)
	o.register(cmd)
	return cmd
}

func domainSet(f *adminFlags) *cobra.Command {
	in := model.DomainChange{}
	cmd := &cobra.Command{
		Use:   "set NAME",
		Short: "Change a domain",
		Args:  exactArguments("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if in == (model.DomainChange{}) {
				return wrongUsage(cmd, "%s: nothing to change", commandName(cmd))
			}
			return f.withClient(func(c *client.Client) error {
				d, err := c.SetDomain(cmd.Context(), args[0], in)
				if err != nil {
					return err
				}
				return f.done(d, "domain %s changed", d.Name)
			})
		},
	}
	domainFlags(cmd, &in)
	return cmd
}

func domainList(f *adminFlags) *cobra.Command {
	filter := model.Filter{}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List domains",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.withClient(func(c *client.Client) error {
				l := f.newListing("DOMAIN", "ALIAS OF", "ENABLED", "MAX MAILBOXES", "MAX ALIASES", "DEFAULT QUOTA")
				err := client.Each(cmd.Context(), c.Domains, filter, func(d model.Domain) error {
					return l.add(d, d.Name, orDash(d.AliasOf), yesNo(d.Enabled), formatLimit(d.MaxMailboxes),
						formatLimit(d.MaxAliases), formatQuota(d.DefaultQuotaBytes))
				})
				if err != nil {
					return err
				}
				return l.close()
			})
		},
	}
	cmd.Flags().StringVar(&filter.Contains, "contains", "", "only names with this `PART`")
	cmd.Flags().StringVar(&filter.Domain, "alias-of", "", "only those that stand for this `DOMAIN`")
	return cmd
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func domainShow(f *adminFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "show NAME",
		Short: "Show a domain",
		Args:  exactArguments("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.withClient(func(c *client.Client) error {
				d, err := c.Domain(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				return f.printOne(d, [][2]string{
					{"domain", d.Name}, {"alias of", orDash(d.AliasOf)}, {"enabled", yesNo(d.Enabled)},
					{"max mailboxes", formatLimit(d.MaxMailboxes)}, {"max aliases", formatLimit(d.MaxAliases)},
					{"default quota", formatQuota(d.DefaultQuotaBytes)}, {"default max messages", formatLimit(d.DefaultQuotaMessages)},
					{"added", timeText(d.Created)}, {"changed", timeText(d.Updated)},
				})
			})
		},
	}
}

func domainRemove(f *adminFlags) *cobra.Command {
	var all, purge, background bool
	cmd := &cobra.Command{
		Use:   "remove NAME",
		Short: "Remove a domain",
		Long: "Removes the domain. With --purge it is disabled at once, and a job removes one\n" +
			"mailbox after the other with its mail, and the domain at last; the job goes on when\n" +
			"this command is interrupted (`toastmaster job`).",
		Args: exactArguments("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if purge && !all {
				return wrongUsage(cmd, "--purge needs --all")
			}
			if background && !purge {
				return wrongUsage(cmd, "--background needs --purge")
			}
			return f.withClient(func(c *client.Client) error {
				if purge {
					j, err := c.PurgeDomain(cmd.Context(), args[0])
					if err != nil {
						return err
					}
					return f.follow(cmd.Context(), c, j, background, func(j model.Job) error {
						return f.done(j, "domain %s removed, with %s", args[0], mailboxes(int(j.Done)))
					})
				}
				if err := c.RemoveDomain(cmd.Context(), args[0], all); err != nil {
					return err
				}
				return f.done(map[string]string{"removed": args[0]}, "domain %s removed", args[0])
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "with all its mailboxes, aliases and relocated addresses")
	cmd.Flags().BoolVar(&purge, "purge", false, "with all their mail, for ever; needs --all")
	backgroundFlag(cmd, &background)
	return cmd
}
