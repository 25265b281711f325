package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"toastmaster/admin/client"
	"toastmaster/admin/model"
)

func newCheckCommand(env *Environment) *cobra.Command {
	cmd, f := adminGroup(env, "check", "Say what would happen to mail for addresses")
	cmd.Use = "check ADDRESS..."
	cmd.Long = "Asks what SMTP and delivery would decide about each address now: with its extension and\n" +
		"aliases, with smtpd.postmaster where that stands in, whether the mailbox has room, and by\n" +
		"which transport mail for another host leaves. An address without a domain, as postmaster, is\n" +
		"this host's. What restrictions say besides, of client and sender, is not asked. Exit code 0:\n" +
		"a client that may relay may send to all of them; 1: not to one."
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return wrongUsage(cmd, "check needs ADDRESS")
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return f.withClient(func(c *client.Client) error {
			l := f.newListing("ADDRESS", "VERDICT", "GOES TO")
			refused := 0
			for _, address := range args {
				d, err := c.Check(cmd.Context(), address)
				if err != nil {
					return fmt.Errorf("%s: %w", address, err)
				}
				if !d.Taken {
					refused++
				}
				if err := l.add(d, d.Address, d.Verdict, goesTo(d)); err != nil {
					return err
				}
			}
			if err := l.close(); err != nil || refused == 0 {
				return err
			}
			return fmt.Errorf("%s refused now", counted(refused, "address is", "addresses are"))
		})
	}
	return cmd
}

// goesTo is where the mail goes, or what the client hears.
func goesTo(d model.Decision) string {
	switch {
	case d.Reply != "" && len(d.Addresses) > 0:
		return fmt.Sprintf("%s (it is an alias, and mail for none of these is taken: %s)", d.Reply, strings.Join(d.Addresses, ", "))
	case d.Reply != "":
		return d.Reply
	case len(d.Addresses) > 0:
		return strings.Join(d.Addresses, ", ")
	case d.Mailbox != "":
		return d.Mailbox
	case d.Transport != "":
		return fmt.Sprintf("by transport %s: %s", d.Transport, d.Nexthop)
	}
	return "another host"
}
