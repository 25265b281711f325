package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"toastmaster/admin/client"
	"toastmaster/configs"
	"toastmaster/internal/mbox"
	"toastmaster/internal/printable"
	"toastmaster/internal/run/transfer"
)

// transferFlags are those of both directions.
type transferFlags struct {
	form  string
	quiet bool
}

func (f *transferFlags) register(cmd *cobra.Command, forms []string) {
	cmd.Flags().Var(choiceValue{&f.form, forms, "FORM"}, "format", "one of "+strings.Join(forms, ", "))
	cmd.Flags().BoolVarP(&f.quiet, "quiet", "q", false, "show no progress")
}

// progress shows on a terminal, in one line, how far it is and how fast.
func (f *transferFlags) progress(env *Environment, asJSON bool) (*meter, transfer.Progress) {
	_, terminal := isTerminal(env.Stderr)
	m := newMeter(env, f.quiet || asJSON || !terminal)
	begun := m.clock.Now()
	return m, func(count int, octets, done, total int64) {
		text := fmt.Sprintf("%s, %s", messages(count), configs.FormatSize(octets))
		if passed := m.clock.Now().Sub(begun).Seconds(); passed > 1 {
			text += fmt.Sprintf(", %.0f/s", float64(count)/passed)
		}
		m.show(text, done, total)
	}
}

func mailboxExport(f *adminFlags) *cobra.Command {
	flags := transferFlags{form: string(transfer.Auto)}
	o := transfer.ExportOptions{}
	var since string
	cmd := &cobra.Command{
		Use:   "export ADDRESS DIR|FILE|-",
		Short: "Write the mail of a mailbox to a Maildir or an mbox",
		Long: "Writes all folders with flags, keywords, dates and subscriptions, while the service runs\n" +
			"and mail arrives. DIR becomes a Maildir (Maildir++, as Dovecot, Courier and mutt read it),\n" +
			"with the UIDs for Dovecot. A FILE whose name ends with .mbox, and -, which is standard\n" +
			"output, become one mbox (mboxrd), in which each message says its folder.\n\n" +
			"Interrupted, or done before, the same command goes on: what is there is not written again,\n" +
			"flags in a Maildir are brought up to date, what has left the mailbox stays. When the command\n" +
			"ends well, all is on disk. Exit code 1 when a message could not be read; each is named.\n\n" +
			"DIR is new, or an earlier export of the same mailbox. Nobody else may be able to\n" +
			"write to it or to a folder above it: give it away (chown -R) afterwards.",
		Example: "  toastmaster mailbox export alice@example.org /srv/alice\n  toastmaster mailbox export alice@example.org - --folder Sent | gzip > sent.mbox.gz",
		Args:    exactArguments("ADDRESS", "DIR|FILE|-"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Address, o.To, o.Out, o.Form = args[0], args[1], f.env.Stdout, transfer.Form(flags.form)
			if o.Form == transfer.Auto {
				o.Form = transfer.Maildir
				if o.To == "-" || strings.HasSuffix(o.To, ".mbox") {
					o.Form = transfer.Mbox
				}
			}
			if o.To == "-" && (o.Form != transfer.Mbox || f.json) {
				return wrongUsage(cmd, "standard output takes an mbox, and no JSON besides")
			}
			if since != "" {
				var err error
				if o.Since, err = parseDay(since); err != nil {
					return wrongUsage(cmd, "--since %s: %v", since, err)
				}
			}
			return f.withClient(func(c *client.Client) error {
				// As it is stored.
				m, err := c.Mailbox(cmd.Context(), o.Address)
				if err != nil {
					return err
				}
				o.Client, o.Address = c, m.Address
				meter, progress := flags.progress(f.env, f.json)
				o.Progress = progress
				r, err := transfer.Export(cmd.Context(), o)
				meter.end()
				return f.moved(r, err, "exported", o.To)
			})
		},
	}
	flags.register(cmd, []string{string(transfer.Auto), string(transfer.Maildir), string(transfer.Mbox)})
	cmd.Flags().StringVar(&o.Folder, "folder", "", "only this `NAME`")
	cmd.Flags().StringVar(&since, "since", "", "only messages that arrived at or after `DATE`: 2026-11-26, or with a time as in RFC 3339")
	return cmd
}

func parseDay(s string) (time.Time, error) {
	if t, err := time.ParseInLocation(time.DateOnly, s, time.Local); err == nil {
		return t, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, errors.New("no date like 2026-11-26 or 2026-11-26T18:00:00Z")
	}
	return t, nil
}

func mailboxImport(f *adminFlags) *cobra.Command {
	flags := transferFlags{form: string(transfer.Auto)}
	o := transfer.ImportOptions{}
	cmd := &cobra.Command{
		Use:   "import ADDRESS DIR|FILE",
		Short: "Bring mail of a Maildir or an mbox into a mailbox",
		Long: "Brings in all folders of a Maildir (Maildir++, or folders in one another), or the messages of\n" +
			"an mbox, with flags, keywords, dates and subscriptions, while the service runs: who is logged\n" +
			"in sees them arrive. Folders are made as they are needed. The source is not changed.\n\n" +
			"Interrupted, or done before, the same command goes on: a message that its folder has had is\n" +
			"not brought in again, also when its owner has moved or deleted it since, as long as\n" +
			"store.expunge_memory. A message that cannot be read or stored is left out and named, and the\n" +
			"exit code is 1 then.\n\n" +
			"An mbox of mutt or Dovecot says where its messages end; for one that says nothing, mboxrd is\n" +
			"assumed, and --format mboxo, mboxcl or mboxcl2 says otherwise. A deleted message that\n" +
			"Thunderbird still has in its file comes with \\Deleted.",
		Example: "  toastmaster mailbox import alice@example.org /home/alice/Maildir\n  toastmaster mailbox import alice@example.org old.mbox --into Archive/2019",
		Args:    exactArguments("ADDRESS", "DIR|FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Address, o.From, o.Temp = args[0], args[1], os.TempDir()
			if k := slices.Index(mbox.Formats(), flags.form); k > 0 {
				o.Form, o.Quoting = transfer.Mbox, mbox.Format(k)
			} else {
				o.Form = transfer.Form(flags.form)
			}
			return f.withClient(func(c *client.Client) error {
				m, err := c.Mailbox(cmd.Context(), o.Address)
				if err != nil {
					return err
				}
				o.Client, o.Address = c, m.Address
				meter, progress := flags.progress(f.env, f.json)
				o.Progress = progress
				r, err := transfer.Import(cmd.Context(), o)
				meter.end()
				what := "imported"
				if o.DryRun {
					what = "would be imported"
				}
				return f.moved(r, err, what, o.From)
			})
		},
	}
	forms := append([]string{string(transfer.Auto), string(transfer.Maildir), string(transfer.Mbox)}, mbox.Formats()[1:]...)
	flags.register(cmd, forms)
	cmd.Flags().StringVar(&o.Into, "into", "", "into this `FOLDER` and folders below it")
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "change nothing, say what would be done")
	cmd.Flags().BoolVar(&o.OverQuota, "over-quota", false, "also what exceeds the quota")
	return cmd
}

// moved says what was done, also when it was not all.
func (f *adminFlags) moved(r *transfer.Result, err error, what, where string) error {
	if errors.Is(err, context.Canceled) {
		err = errors.New("interrupted: run it again to go on")
	}
	if f.json {
		out := struct {
			*transfer.Result
			Error string `json:"error,omitempty"`
		}{Result: r}
		if err != nil {
			out.Error = err.Error()
		}
		if failed := printJSON(f.env.Stdout, out); failed != nil {
			return errors.Join(err, failed)
		}
	} else {
		f.warn(r.Warnings)
		for _, one := range r.Failed {
			fmt.Fprintf(f.env.Stderr, "%s: %s\n", printable.UTF8(one.What), printable.UTF8(one.Error))
		}
		if r.MoreFailed > 0 {
			fmt.Fprintf(f.env.Stderr, "and %d more\n", r.MoreFailed)
		}
		if err != nil && r.Done == 0 && r.There == 0 && r.AllFailed() == 0 {
			return fmt.Errorf("%s: %w", r.Address, err) // before it began: there is nothing to say but why
		}
		line := fmt.Sprintf("%s of %s %s, %s; %d were there already: %s\n", messages(r.Done), r.Address, what, configs.FormatSize(r.Bytes), r.There, where)
		out := f.env.Stdout
		if where == "-" || err != nil {
			out = f.env.Stderr
		}
		if _, failed := fmt.Fprint(out, line); failed != nil {
			return errors.Join(err, failed)
		}
	}
	if err == nil && r.AllFailed() > 0 {
		err = fmt.Errorf("%s left out", counted(r.AllFailed(), "thing was", "things were"))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", r.Address, err)
	}
	return nil
}
