package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"toastmaster/configs"
	"toastmaster/internal/run/backup"
)

func newRestoreCommand(env *Environment) *cobra.Command {
	var o backup.RestoreOptions
	var quiet bool
	cmd := &cobra.Command{
		Use:   "restore BACKUP",
		Short: "Bring a backup back to where it came from, or to another place",
		Long: "BACKUP is what `toastmaster backup` has made, or a folder of backups, of which the\n" +
			"newest is taken. Every file is compared with its checksum.\n\n" +
			"Without --to and -c everything goes where it came from, the configuration and its\n" +
			"keys too. With --to DIR it goes below DIR, if the configuration names no place\n" +
			"outside of its own folder. With -c FILE, a configuration that exists, data goes to\n" +
			"the places that it names, and configuration and keys are not restored.\n\n" +
			"Nothing that exists is overwritten: an instance that runs, a database, a queue or a\n" +
			"store with something in it is refused. A restore that was interrupted is done again\n" +
			"with the same command; until it has ended, serve refuses to start.",
		Example: "  toastmaster restore /srv/backup\n  toastmaster restore /srv/backup/2026-11-26T180000Z --to /tmp/look",
		Args:    exactArguments("BACKUP"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.From = args[0]
			if o.To != "" && env.ConfigFile != "" {
				return wrongUsage(cmd, "--to and -c: one of them says where")
			}
			err := restore(cmd.Context(), env, o, quiet)
			if errors.Is(err, context.Canceled) {
				return errors.New("interrupted: the instance is not whole and cannot be started; run the same command again to go on")
			}
			return err
		},
	}
	cmd.Flags().StringVar(&o.To, "to", "", "restore below this `DIR`")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "show no progress")
	return cmd
}

func restore(ctx context.Context, env *Environment, o backup.RestoreOptions, quiet bool) error {
	if env.ConfigFile != "" {
		var err error
		if o.Config, err = env.Config(); err != nil {
			return err
		}
	}
	m := newMeter(env, quiet)
	defer m.end()
	o.Progress = m.show
	done, err := backup.Restore(ctx, o)
	if err != nil {
		return err
	}
	m.end()
	b := done.Backup
	total := b.Total()
	fmt.Fprintf(env.Stdout, "restored %s of %s: %s accounts, %s in the queue, %s in %s\n", b.Path(), b.Fact(backup.FactBegan),
		b.Fact(backup.FactAccounts), b.Fact(backup.FactQueued), configs.FormatSize(total.Bytes), counted(int(total.Files), "file", "files"))
	_, err = fmt.Fprintf(env.Stdout, "start with: toastmaster serve -c %s\n", done.Config)
	return err
}
