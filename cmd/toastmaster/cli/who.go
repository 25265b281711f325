package cli

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"toastmaster/admin/client"
	"toastmaster/admin/model"
	"toastmaster/configs"
)

func newWhoCommand(env *Environment) *cobra.Command {
	cmd, f := adminGroup(env, "who", "List the sessions that are logged in")
	cmd.Use = "who [ADDRESS]"
	cmd.Long = "Lists IMAP, POP3 and SMTP sessions that are logged in, of all mailboxes or of one. The\n" +
		"session is that of the log (session=); `toastmaster kick` ends it."
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			return unexpected(cmd, args[1])
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return f.withClient(func(c *client.Client) error {
			mailbox := ""
			if len(args) == 1 {
				mailbox = args[0]
			}
			all, err := c.Sessions(cmd.Context(), mailbox)
			if err != nil {
				return err
			}
			l := f.newListing("MAILBOX", "SERVICE", "CLIENT", "TLS", "SINCE", "SESSION")
			for _, s := range all {
				if err := l.add(s, s.Mailbox, s.Service, orDash(s.Client), yesNo(s.TLS), timeText(s.Since), s.ID); err != nil {
					return err
				}
			}
			return l.close()
		})
	}
	return cmd
}

func newKickCommand(env *Environment) *cobra.Command {
	cmd, f := adminGroup(env, "kick", "End sessions that are logged in")
	var session string
	cmd.Use = "kick ADDRESS | kick --session ID"
	cmd.Long = "Ends all sessions of a mailbox, or one. Who was logged in may log in again: to prevent\n" +
		"that, `mailbox set ADDRESS --enabled no`, which ends the sessions, too. Exit code 0: they\n" +
		"have ended, or the mailbox has none; 1: there is no such mailbox or session."
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if (session == "") != (len(args) == 1) {
			return wrongUsage(cmd, "kick needs ADDRESS, or --session")
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return f.withClient(func(c *client.Client) error {
			k := model.Kick{ID: session}
			if len(args) == 1 {
				k.Mailbox = args[0]
			}
			n, err := c.Kick(cmd.Context(), k)
			switch {
			case err != nil && session != "":
				return fmt.Errorf("%s: %w", session, err)
			case err != nil:
				return err
			case n == 0:
				return f.done(model.Kicked{}, "%s has no session that is logged in", k.Mailbox)
			}
			return f.done(model.Kicked{Ended: n}, "%s ended", counted(n, "session", "sessions"))
		})
	}
	cmd.Flags().StringVar(&session, "session", "", "the session with this `ID`, as `who` and the log name it")
	return cmd
}

func mailboxStatus(f *adminFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "status ADDRESS",
		Short: "Show what a mailbox holds, its last log-ins and its sessions",
		Args:  exactArguments("ADDRESS"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.withClient(func(c *client.Client) error {
				m, err := c.MailboxStatus(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				rows := [][2]string{
					{"mailbox", m.Address}, {"enabled", yesNo(m.Enabled)}, {"home", m.Home},
					{"used", usedText(configs.FormatSize(m.UsedBytes), m.UsedBytes, m.QuotaBytes, formatQuota(m.QuotaBytes))},
					{"messages", usedText(strconv.FormatInt(m.UsedMessages, 10), m.UsedMessages, m.QuotaMessages, formatLimit(m.QuotaMessages))},
				}
				for _, l := range m.Logins {
					rows = append(rows, [2]string{"last log-in", fmt.Sprintf("%s by %s from %s", timeText(l.At), l.Service, orDash(l.Client))})
				}
				if len(m.Logins) == 0 {
					rows = append(rows, [2]string{"last log-in", "none that is known"})
				}
				for _, s := range m.Sessions {
					rows = append(rows, [2]string{"session", fmt.Sprintf("%s %s from %s since %s", s.ID, s.Service, orDash(s.Client), timeText(s.Since))})
				}
				return f.printOne(m, rows)
			})
		},
	}
}

// usedText is what is used, and of what.
func usedText(used string, n, limit int64, limitText string) string {
	if limit == 0 {
		return used + ", no limit"
	}
	return fmt.Sprintf("%s of %s, %d %%", used, limitText, n*100/limit)
}
