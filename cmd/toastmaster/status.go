package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"toastmaster/admin/client"
	"toastmaster/admin/model"
)

// newStatusCommand is what supervisors ask: exit code 1 unless all runs.
func newStatusCommand(env *environment) *cobra.Command {
	cmd, f := adminGroup(env, "status", "Say whether all services run")
	cmd.Long = "Lists the services of the running instance. Exit code 0 means that all of them run,\n" +
		"1 that one does not, or that there is no answer."
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return f.withClient(func(c *client.Client) error {
			s, err := c.Status(cmd.Context())
			if err != nil {
				return err
			}
			return errors.Join(f.printStatus(s), notRunning(s.Services))
		})
	}
	return cmd
}

func (f *adminFlags) printStatus(s model.Status) error {
	if f.json {
		return printJSON(f.env.stdout, s)
	}
	l := f.newListing("SERVICE", "STATE", "SESSIONS", "UPTIME", "LISTENERS")
	for _, v := range s.Services {
		uptime := time.Duration(v.UptimeSeconds) * time.Second
		if err := l.add(v, v.Name, v.State, strconv.Itoa(v.Sessions), uptime.String(), orDash(strings.Join(v.Listeners, " "))); err != nil {
			return err
		}
	}
	return l.close()
}

// notRunning is the first service that does not run, as /healthz has it.
func notRunning(services []model.Service) error {
	for _, v := range services {
		switch {
		case v.State == "running":
		case v.Error != "":
			return fmt.Errorf("%s: %s: %s", v.Name, v.State, v.Error)
		default:
			return fmt.Errorf("%s: %s", v.Name, v.State)
		}
	}
	return nil
}
