package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

// runCommand runs a subcommand and returns the exit code.
func runCommand(ctx context.Context, env *environment, args []string) int {
	root := newRootCommand(env)
	root.SetArgs(args)
	root.SetIn(env.stdin)
	root.SetOut(env.stdout)
	root.SetErr(env.stderr)
	err := root.ExecuteContext(ctx)
	if err != nil {
		fmt.Fprintln(env.stderr, "toastmaster:", err)
	}
	return exitCode(err)
}

func newRootCommand(env *environment) *cobra.Command {
	root := &cobra.Command{
		Use:           "toastmaster",
		Short:         "A hosted virtual-domain mail service",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArguments,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.PersistentFlags().StringVarP(&env.configFile, "config", "c", "",
		"configuration file (default TOASTMASTER_CONFIG, then /etc/toastmaster/toastmaster.toml)")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usage{err} })
	root.AddCommand(
		newInitCommand(env), newServeCommand(env), newDemoCommand(env), newConfigCommand(env),
		newDomainCommand(env), newMailboxCommand(env), newAliasCommand(env), newRelocatedCommand(env),
		newQueueCommand(env), newTokenCommand(env), newVersionCommand(env),
	)
	return root
}

// noArguments is cobra.NoArgs with our class of error.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError("unknown command %q, see `%s --help`", args[0], cmd.CommandPath())
	}
	return nil
}

// exactArguments is cobra.ExactArgs with our class of error.
func exactArguments(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != len(names) {
			return usageError("%s needs %d arguments: %v", cmd.CommandPath(), len(names), names)
		}
		return nil
	}
}
