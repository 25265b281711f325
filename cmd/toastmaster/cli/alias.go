package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"toastmaster/admin/client"
	"toastmaster/admin/model"
)

func newAliasCommand(env *Environment) *cobra.Command {
	cmd, f := adminGroup(env, "alias", "Add, change and list aliases")
	cmd.Long = "An alias is an address that is replaced by its targets, which may be anywhere.\n" +
		"@DOMAIN is the domain's catch-all.\n\n" +
		"An alias may stand beside a mailbox of the same address. Mail goes to the targets;\n" +
		"the mailbox gets a copy when the address is one of them, and nothing otherwise:\n\n" +
		"  toastmaster alias add alice@example.test alice@example.test bob@example.org"
	cmd.AddCommand(aliasAdd(f), aliasSet(f), aliasList(f), aliasShow(f), aliasRemove(f))
	return cmd
}

// addressAndMore wants an address and at least one thing behind it.
func addressAndMore(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < 2 {
			return wrongUsage(cmd, "%s needs ADDRESS and %s", commandName(cmd), what)
		}
		return nil
	}
}

func aliasAdd(f *adminFlags) *cobra.Command {
	o := fromFlags{}
	cmd := &cobra.Command{
		Use:   "add ADDRESS TARGET... | add --from FILE",
		Short: "Add an alias, or many",
		Long: "FILE has an alias a line: the address, then its targets, with blanks or commas\n" +
			"between them, as in Postfix's virtual(5). What exists is left alone, what is refused is\n" +
			"named with its line, and the rest is added; so it can be done again.",
		Args: o.args(addressAndMore("TARGET")),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.file != "" {
				return aliasesFrom(cmd.Context(), f, o)
			}
			return f.withClient(func(c *client.Client) error {
				in := model.NewAlias{Address: args[0], AliasChange: model.AliasChange{Targets: args[1:]}}
				a, err := c.AddAlias(cmd.Context(), in)
				if err != nil {
					return err
				}
				f.warn(a.Warnings)
				return f.done(a, "alias %s added: %s%s", a.Address, strings.Join(a.Targets, ", "), besideNote(a))
			})
		},
	}
	o.register(cmd)
	return cmd
}

func aliasSet(f *adminFlags) *cobra.Command {
	var add, remove []string
	cmd := &cobra.Command{
		Use:   "set ADDRESS [TARGET...]",
		Short: "Replace the targets of an alias, or add and remove some",
		Args: func(cmd *cobra.Command, args []string) error {
			change := len(add)+len(remove) > 0
			if len(args) == 0 || change != (len(args) == 1) {
				return wrongUsage(cmd, "%s needs ADDRESS and either new TARGETs or --add and --remove", commandName(cmd))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.withClient(func(c *client.Client) error {
				targets := args[1:]
				if len(targets) == 0 {
					a, err := c.Alias(cmd.Context(), args[0])
					if err != nil {
						return err
					}
					targets = changeTargets(a.Targets, add, remove)
				}
				a, err := c.SetAlias(cmd.Context(), args[0], model.AliasChange{Targets: targets})
				if err != nil {
					return err
				}
				f.warn(a.Warnings)
				return f.done(a, "alias %s changed: %s%s", a.Address, strings.Join(a.Targets, ", "), besideNote(a))
			})
		},
	}
	cmd.Flags().StringArrayVar(&add, "add", nil, "add this `TARGET` (may be repeated)")
	cmd.Flags().StringArrayVar(&remove, "remove", nil, "remove this `TARGET` (may be repeated)")
	return cmd
}

// besideText says what an alias means for the mailbox of the same address. The
// address in an alias domain is the same, but cannot be told from here.
func besideText(a model.Alias) string {
	if slices.ContainsFunc(a.Targets, func(t string) bool { return strings.EqualFold(t, a.Address) }) {
		return "keeps a copy"
	}
	return "gets no mail, because the address is not among the targets"
}

// besideNote is besideText behind a confirmation, "" without a mailbox.
func besideNote(a model.Alias) string {
	if !a.Mailbox {
		return ""
	}
	return " (the mailbox " + a.Address + " " + besideText(a) + ")"
}

// changeTargets adds what is not there and removes what is, whatever the case.
func changeTargets(targets, add, remove []string) []string {
	same := func(s string) func(string) bool {
		return func(t string) bool { return strings.EqualFold(s, t) }
	}
	out := slices.DeleteFunc(slices.Clone(targets), func(t string) bool { return slices.ContainsFunc(remove, same(t)) })
	for _, a := range add {
		if !slices.ContainsFunc(out, same(a)) {
			out = append(out, a)
		}
	}
	return out
}

func aliasList(f *adminFlags) *cobra.Command {
	filter := model.Filter{}
	cmd := &cobra.Command{
		Use:   "list [DOMAIN]",
		Short: "List aliases, all or those of a domain",
		Args:  domainArgument(&filter),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.withClient(func(c *client.Client) error {
				l := f.newListing("ADDRESS", "TARGETS")
				err := client.Each(cmd.Context(), c.Aliases, filter, func(a model.Alias) error {
					return l.add(a, a.Address, strings.Join(a.Targets, ", "))
				})
				if err != nil {
					return err
				}
				return l.close()
			})
		},
	}
	addressFilterFlags(cmd, &filter)
	cmd.Flags().StringVar(&filter.Target, "target", "", "only those with this target `ADDRESS`")
	return cmd
}

func aliasShow(f *adminFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "show ADDRESS",
		Short: "Show an alias",
		Args:  exactArguments("ADDRESS"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.withClient(func(c *client.Client) error {
				a, err := c.Alias(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				rows := [][2]string{{"alias", a.Address}}
				for _, t := range a.Targets {
					rows = append(rows, [2]string{"target", t})
				}
				if a.Mailbox {
					rows = append(rows, [2]string{"mailbox", besideText(a)})
				}
				return f.printOne(a, append(rows, [2]string{"added", timeText(a.Created)}, [2]string{"changed", timeText(a.Updated)}))
			})
		},
	}
}

func aliasRemove(f *adminFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "remove ADDRESS",
		Short: "Remove an alias",
		Args:  exactArguments("ADDRESS"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.withClient(func(c *client.Client) error {
				if err := c.RemoveAlias(cmd.Context(), args[0]); err != nil {
					return err
				}
				return f.done(map[string]string{"removed": args[0]}, "alias %s removed", args[0])
			})
		},
	}
}
