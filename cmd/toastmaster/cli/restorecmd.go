package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"toastmaster/admin/client"
	"toastmaster/admin/model"
	"toastmaster/configs"
	"toastmaster/internal/run/backup"
)

func newRestoreCommand(env *Environment) *cobra.Command {
	var o backup.RestoreOptions
	var one backup.MailboxOptions
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
			"with the same command; until it has ended, serve refuses to start.\n\n" +
			"With --mailbox only the mail of one mailbox is restored, while the service runs, into\n" +
			"its folder Restored and folders below it, one for each that it had: with flags, keywords\n" +
			"and dates, and without \\Deleted. What the mailbox has is left alone, a message that is in\n" +
			"its folder there already is not added again, quotas are not asked. A mailbox that was\n" +
			"removed is added first. With --to DIR besides, the mail goes to DIR as it was, a Maildir\n" +
			"to look at, and no service is needed.",
		Example: "  toastmaster restore /srv/backup\n  toastmaster restore /srv/backup/2026-11-26T180000Z --to /tmp/look\n  toastmaster restore /srv/backup --mailbox alice@example.org",
		Args:    exactArguments("BACKUP"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.From = args[0]
			switch {
			case one.OldHome != "" && one.Address == "":
				return wrongUsage(cmd, "--home needs --mailbox")
			case one.Address != "":
				one.From, one.To = o.From, o.To
				return restoreMailbox(cmd.Context(), env, one, quiet)
			}
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
	cmd.Flags().StringVar(&one.Address, "mailbox", "", "restore only the mail of this `ADDRESS`, into its folder Restored")
	cmd.Flags().StringVar(&one.OldHome, "home", "", "with --mailbox: the `FOLDER` below mail/ that it had in the backup (default as now, or DOMAIN/NAME)")
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
	if c, err := configs.Load(done.Config); err == nil && len(c.Master.RoleUsers) > 0 {
		if err := setPermissions(ctx, env, c, false); err != nil {
			return err
		}
		_, err := fmt.Fprintf(env.Stdout, "start with: toastmaster master -c %s\n", done.Config)
		return err
	}
	_, err = fmt.Fprintf(env.Stdout, "start with: toastmaster serve -c %s\n", done.Config)
	return err
}

// restoreMailbox restores one mailbox: where it lies now, the instance that runs says.
func restoreMailbox(ctx context.Context, env *Environment, o backup.MailboxOptions, quiet bool) error {
	if o.To == "" {
		f := &adminFlags{env: env}
		err := f.withClient(func(c *client.Client) error {
			m, err := c.Mailbox(ctx, o.Address)
			o.Address, o.Home = cmp.Or(m.Address, o.Address), m.Home
			return err
		})
		if err != nil {
			return fmt.Errorf("%s: %w", o.Address, err)
		}
		c, err := env.Config()
		if err != nil {
			return err
		}
		o.Store = c.Path(c.Store.Path)
	} else {
		a, err := model.ParseAddress(o.Address, false)
		if err != nil {
			return usageError("--mailbox: %w", err)
		}
		o.Home = model.Home(a)
	}
	o.OldHome = cmp.Or(o.OldHome, o.Home)
	meter := newMeter(env, quiet)
	defer meter.end()
	o.Progress = meter.show
	done, err := backup.RestoreMailbox(ctx, o)
	meter.end()
	if errors.Is(err, context.Canceled) {
		err = errors.New("interrupted")
	}
	switch {
	case err != nil && done.Restored > 0:
		return fmt.Errorf("%s: %s restored: %w; run it again to go on", o.Address, messages(done.Restored), err)
	case err != nil:
		return fmt.Errorf("%s: %w", o.Address, err)
	case o.To != "":
		_, err = fmt.Fprintf(env.Stdout, "mail of %s as it was at %s: %s, a Maildir\n", o.Address, done.Backup.Fact(backup.FactBegan), o.To)
	default:
		_, err = fmt.Fprintf(env.Stdout, "%s of %s restored into the folder Restored and those below it, from %s of %s; %d were there already\n",
			messages(done.Restored), o.Address, done.Backup.Path(), done.Backup.Fact(backup.FactBegan), done.There)
	}
	return err
}
