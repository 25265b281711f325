package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"toastmaster/admin/model"
	"toastmaster/configs"
	"toastmaster/internal/printable"
)

// Run runs a subcommand and returns the exit code.
func Run(ctx context.Context, env *Environment, args []string) int {
	root := newRootCommand(env)
	root.SetArgs(args)
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	err := root.ExecuteContext(ctx)
	var p *printed
	if err != nil && !errors.As(err, &p) {
		fmt.Fprintln(env.Stderr, "toastmaster:", printable.UTF8(err.Error(), '\n', '\t'))
	}
	return exitCode(err)
}

func newRootCommand(env *Environment) *cobra.Command {
	root := &cobra.Command{
		Use:   "toastmaster",
		Short: "A hosted virtual-domain mail service",
		Long: "A hosted virtual-domain mail service: SMTP, submission, LMTP, IMAP, POP3, a queue and a\n" +
			"directory in one program. `init` makes an instance, `serve` runs it, the other commands ask\n" +
			"the one that runs, by its socket or with --api from elsewhere.\n\n" +
			"The configuration is toastmaster.toml(5): -c FILE, else the one that TOASTMASTER_CONFIG names,\n" +
			"else /etc/toastmaster/toastmaster.toml. TOASTMASTER_TOKEN is the token for --api.\n\n" +
			"Exit code 0: done; 1: it failed, or the answer is no; 2: wrong usage, or a mistake in the\n" +
			"configuration, which no second try mends.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArguments,
		Version:       env.Version,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetVersionTemplate("toastmaster {{.Version}}\n")
	root.PersistentFlags().StringVarP(&env.ConfigFile, "config", "c", env.ConfigFile,
		"configuration `FILE` (default TOASTMASTER_CONFIG, then /etc/toastmaster/toastmaster.toml)")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return wrongUsage(cmd, "%w", err) })
	root.AddCommand(
		newInitCommand(env), newServeCommand(env), newMasterCommand(env), newRoleCommand(env), newDemoCommand(env), newConfigCommand(env),
		newDomainCommand(env), newMailboxCommand(env), newAliasCommand(env), newRelocatedCommand(env),
		newQueueCommand(env), newStatusCommand(env), newReloadCommand(env), newStopCommand(env), newTokenCommand(env), newCheckCommand(env), newWhoCommand(env), newKickCommand(env), newJobCommand(env), newBackupCommand(env), newRestoreCommand(env), newPostmapCommand(env), newPostqueueCommand(env), newPostsuperCommand(env), newPostcatCommand(env), newQshapeCommand(env),
		newVersionCommand(env), newManCommand(env),
	)
	nameInErrors(root)
	return root
}

// nameInErrors makes every command below cmd say which thing the server's answer is
// about: its first argument, where the answer does not name it.
func nameInErrors(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		nameInErrors(sub)
	}
	run := cmd.RunE
	if run == nil {
		return
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		err := run(cmd, args)
		if err == nil || len(args) == 0 || strings.Contains(err.Error(), args[0]) {
			return err
		}
		switch model.KindOf(err) {
		case model.NotFound, model.Exists, model.Invalid, model.InUse, model.OverLimit:
			return fmt.Errorf("%s: %w", args[0], err)
		}
		return err
	}
}

// commandName is how a command is called in a message that begins with
// "toastmaster:".
func commandName(cmd *cobra.Command) string {
	return strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" ")
}

// wrongUsage is a mistake in cmd's line, with where to read more.
func wrongUsage(cmd *cobra.Command, format string, args ...any) error {
	return usageError("%w, see `%s --help`", fmt.Errorf(format, args...), cmd.CommandPath())
}

// noArguments is cobra.NoArgs with our class of error.
func noArguments(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case cmd.HasSubCommands():
		var names []string
		for _, sub := range cmd.Commands() {
			names = append(names, sub.Name())
		}
		if near := configs.NearestName(args[0], names); near != "" && len(args[0]) > 2 {
			return wrongUsage(cmd, "unknown command %q (did you mean %s?)", args[0], near)
		}
		return wrongUsage(cmd, "unknown command %q", args[0])
	}
	return unexpected(cmd, args[0])
}

func unexpected(cmd *cobra.Command, arg string) error {
	return wrongUsage(cmd, "%s: unexpected argument %q", commandName(cmd), arg)
}

// exactArguments is cobra.ExactArgs with our class of error.
func exactArguments(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return wrongUsage(cmd, "%s needs %s", commandName(cmd), strings.Join(names[len(args):], " and "))
		case len(args) > len(names):
			return unexpected(cmd, args[len(names)])
		}
		return nil
	}
}
