package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"toastmaster/admin/client"
	"toastmaster/admin/model"
	"toastmaster/internal/service"
)

// newStatusCommand is what monitoring asks: exit code 1 unless all runs. With --alive
// it is what a supervisor asks who starts again what has ended.
func newStatusCommand(env *Environment) *cobra.Command {
	cmd, f := adminGroup(env, "status", "Say whether all services run")
	alive := false
	cmd.Long = "Lists the services of the running instance. Exit code 0 means that all of them run,\n" +
		"1 that one does not, or that there is no answer. A service is unavailable while its\n" +
		"files are not in their place, and degraded while mail goes on without it (the log) or\n" +
		"new mail is refused because the disk is as good as full (queue, store): a restart\n" +
		"helps neither, so with --alive the exit code is 0 then, and while services\n" +
		"start or stop. That is for whoever starts the service again when it is 1: the health\n" +
		"check of a container."
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return f.withClient(func(c *client.Client) error {
			s, err := c.Status(cmd.Context())
			if err != nil {
				return err
			}
			return errors.Join(f.printStatus(s), notRunning(s.Services, alive))
		})
	}
	cmd.Flags().BoolVar(&alive, "alive", false, "fail only where a restart would help: no answer, or a service that has ended")
	return cmd
}

func (f *adminFlags) printStatus(s model.Status) error {
	if f.json {
		return printJSON(f.env.Stdout, s)
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

// notRunning is the first service that does not run, as /healthz has it; with alive
// the first that has ended.
func notRunning(services []model.Service, alive bool) error {
	for _, v := range services {
		ended := v.State == string(service.Failed) || v.State == string(service.Stopped)
		switch {
		case v.State == string(service.Running), alive && !ended:
		case v.Error != "":
			return fmt.Errorf("%s: %s: %s", v.Name, v.State, v.Error)
		default:
			return fmt.Errorf("%s: %s", v.Name, v.State)
		}
	}
	return nil
}
