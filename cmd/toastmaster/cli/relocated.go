package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"toastmaster/admin/client"
	"toastmaster/admin/model"
)

func newRelocatedCommand(env *Environment) *cobra.Command {
	cmd, f := adminGroup(env, "relocated", "Add, change and list addresses whose owners have moved")
	cmd.Long = "Mail to a relocated address is refused with 551 5.1.6 and the new address, or a\ntext for people."
	cmd.AddCommand(relocatedAdd(f), relocatedSet(f), relocatedList(f), relocatedShow(f), relocatedRemove(f))
	return cmd
}

func relocatedAdd(f *adminFlags) *cobra.Command {
	o := fromFlags{}
	cmd := &cobra.Command{
		Use:   "add ADDRESS NEW-PLACE | add --from FILE",
		Short: "Add a relocated address, or many",
		Long: "FILE has an address and its new place a line, as Postfix's relocated(5). What exists\n" +
			"is left alone, what is refused is named with its line, and the rest is added.",
		Args: o.args(addressAndMore("NEW-PLACE")),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.file != "" {
				return relocatedFrom(cmd.Context(), f, o)
			}
			return f.withClient(func(c *client.Client) error {
				in := model.NewRelocated{Address: args[0], RelocatedChange: model.RelocatedChange{MovedTo: strings.Join(args[1:], " ")}}
				r, err := c.AddRelocated(cmd.Context(), in)
				if err != nil {
					return err
				}
				return f.done(r, "relocated address %s added: %s", r.Address, r.MovedTo)
			})
		},
	}
	o.register(cmd)
	return cmd
}

func relocatedSet(f *adminFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "set ADDRESS NEW-PLACE",
		Short: "Change where it moved to",
		Args:  addressAndMore("NEW-PLACE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.withClient(func(c *client.Client) error {
				r, err := c.SetRelocated(cmd.Context(), args[0], model.RelocatedChange{MovedTo: strings.Join(args[1:], " ")})
				if err != nil {
					return err
				}
				return f.done(r, "relocated address %s changed: %s", r.Address, r.MovedTo)
			})
		},
	}
}

func relocatedList(f *adminFlags) *cobra.Command {
	filter := model.Filter{}
	cmd := &cobra.Command{
		Use:   "list [DOMAIN]",
		Short: "List relocated addresses, all or those of a domain",
		Args:  domainArgument(&filter),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.withClient(func(c *client.Client) error {
				l := f.newListing("ADDRESS", "MOVED TO")
				err := client.Each(cmd.Context(), c.RelocatedList, filter, func(r model.Relocated) error {
					return l.add(r, r.Address, r.MovedTo)
				})
				if err != nil {
					return err
				}
				return l.close()
			})
		},
	}
	addressFilterFlags(cmd, &filter)
	return cmd
}

func relocatedShow(f *adminFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "show ADDRESS",
		Short: "Show a relocated address",
		Args:  exactArguments("ADDRESS"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.withClient(func(c *client.Client) error {
				r, err := c.Relocated(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				return f.printOne(r, [][2]string{
					{"relocated", r.Address}, {"moved to", r.MovedTo}, {"added", timeText(r.Created)}, {"changed", timeText(r.Updated)},
				})
			})
		},
	}
}

func relocatedRemove(f *adminFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "remove ADDRESS",
		Short: "Remove a relocated address",
		Args:  exactArguments("ADDRESS"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.withClient(func(c *client.Client) error {
				if err := c.RemoveRelocated(cmd.Context(), args[0]); err != nil {
					return err
				}
				return f.done(map[string]string{"removed": args[0]}, "relocated address %s removed", args[0])
			})
		},
	}
}
