package cli

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"toastmaster/internal/run"
)

// newMasterServicesCommand is what `postconf -M` is for Postfix.
func newMasterServicesCommand(env *Environment) *cobra.Command {
	var asJSON, params bool
	cmd := &cobra.Command{
		Use: "services", Short: "List the services with their roles and limits, as master.cf has them", Args: noArguments,
		Long: "A line for each service, listener, command of [[spawn]] and transport. MAXPROC is how much it does at once:\n" +
			"connections, deliveries, commands; a connection is a goroutine and no process. CLIENT is how much of that is for\n" +
			"one client, of a transport for one destination. WAKEUP is how often it looks by itself, MAXUSE how much one connection\n" +
			"may ask, MAXIDLE how long it may be silent. \"-\" is a column that has no meaning there. With --params the\n" +
			"parameters in the place of their values. STATE is that of the running instance, for root and the user of the role.\n" +
			"Exit code 0: done; 2: wrong usage.",
		RunE: func(*cobra.Command, []string) error {
			c, err := env.Config()
			if err != nil {
				return err
			}
			all := run.Services(c)
			if asJSON {
				return printJSON(env.Stdout, all)
			}
			l := (&adminFlags{env: env}).newListing("SERVICE", "ROLE", "STATE", "SESSIONS", "MAXPROC", "CLIENT", "WAKEUP", "MAXUSE", "MAXIDLE", "LISTEN")
			for _, s := range all {
				row := []string{s.Service, string(s.Role), orDash(s.State), strconv.Itoa(s.Sessions)}
				for _, limit := range []run.Limit{s.Process, s.Client, s.Wakeup, s.MaxUse, s.MaxIdle} {
					if params {
						limit.Value = limit.Param
					}
					row = append(row, orDash(limit.Value))
				}
				if err := l.add(s, append(row, orDash(strings.Join(s.Listen, " ")))...); err != nil {
					return err
				}
			}
			return l.close()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&params, "params", false, "print the parameters, not their values")
	return cmd
}
