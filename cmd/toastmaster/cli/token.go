package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"toastmaster/admin/client"
	"toastmaster/admin/model"
)

func newTokenCommand(env *Environment) *cobra.Command {
	cmd, f := adminGroup(env, "token", "Make and revoke tokens for the admin API")
	cmd.AddCommand(tokenCreate(f), tokenList(f), tokenRevoke(f))
	return cmd
}

func tokenCreate(f *adminFlags) *cobra.Command {
	in := model.NewToken{}
	var valid time.Duration
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a token and print its secret, this once",
		Args:  exactArguments("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			in.Name = args[0]
			if valid < 0 {
				return usageError("--valid must not be negative")
			}
			if valid > 0 {
				expires := time.Now().Add(valid)
				in.Expires = &expires
			}
			return f.withClient(func(c *client.Client) error {
				t, err := c.AddToken(cmd.Context(), in)
				if err != nil {
					return err
				}
				if !f.json {
					// Apart from the secret, so that $(...) gets that alone.
					fmt.Fprintf(f.env.Stderr, "token %s made; its secret is shown this once:\n", t.Name)
				}
				return f.done(t, "%s", t.Secret)
			})
		},
	}
	cmd.Flags().StringVar(&in.Role, "role", "superadmin", "what it may do; there is superadmin alone: resellers and owners of domains come with a later version")
	cmd.Flags().DurationVar(&valid, "valid", 0, "how long it is valid (720h), 0 is for ever")
	return cmd
}

func tokenList(f *adminFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List tokens",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.withClient(func(c *client.Client) error {
				tokens, err := c.Tokens(cmd.Context())
				if err != nil {
					return err
				}
				l := f.newListing("NAME", "ROLE", "MADE", "EXPIRES", "LAST USED")
				for _, t := range tokens {
					if err := l.add(t, t.Name, t.Role, timeText(t.Created), optionalTime(t.Expires), optionalTime(t.LastUsed)); err != nil {
						return err
					}
				}
				return l.close()
			})
		},
	}
}

func optionalTime(t *time.Time) string {
	if t == nil {
		return "never"
	}
	return timeText(*t)
}

func tokenRevoke(f *adminFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "revoke NAME",
		Short: "Revoke a token",
		Args:  exactArguments("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.withClient(func(c *client.Client) error {
				if err := c.RemoveToken(cmd.Context(), args[0]); err != nil {
					return err
				}
				return f.done(map[string]string{"revoked": args[0]}, "token %s revoked", args[0])
			})
		},
	}
}
