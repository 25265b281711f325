package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"toastmaster/configs"
	"toastmaster/internal/clock"
	"toastmaster/internal/run"
)

func newServeCommand(env *Environment) *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run all services in one process",
		Long: "Runs until SIGTERM or SIGINT, which drain: listeners close, sessions finish their\n" +
			"command. SIGHUP reads certificates again and opens the log file again; it checks the\n" +
			"configuration and names in the log which changed parameters need a restart.",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := env.Config()
			if err != nil {
				return lastWords(env, err)
			}
			return lastWords(env, serve(cmd.Context(), env, c, nil))
		},
	}
}

// serve runs an instance until ctx ends.
func serve(ctx context.Context, env *Environment, c *configs.Config, onReady func(context.Context) error) error {
	return run.Serve(ctx, run.Options{Config: c, Version: env.Version, Stderr: env.Stderr, Getenv: env.Getenv, OnReady: onReady})
}

// lastWords prints what ended the service. When standard error is the log and its
// reader has stalled, what is to be said is just that, and nobody is there to hear
// it: a print that waits would keep the process from ending.
func lastWords(env *Environment, err error) error {
	if err != nil {
		run.Say(clock.System{}, env.Stderr, fmt.Sprintln("toastmaster:", err))
	}
	return said(err)
}
