package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"toastmaster/configs"
	archive "toastmaster/internal/backup"
	"toastmaster/internal/run/backup"
)

func newBackupCommand(env *Environment) *cobra.Command {
	var full, quiet, asJSON bool
	cmd := &cobra.Command{
		Use:   "backup DIR",
		Short: "Copy the whole instance to a folder below DIR, while it runs or not",
		Long: "Makes DIR/TIME with the configuration, its keys, the database, the queue and all\n" +
			"mail, each consistent with the others. DIR is a folder for backups only, on another\n" +
			"disk if possible. What an earlier backup in it has unchanged is a hard link and costs\n" +
			"no room; each one is whole, and any of them can be removed with rm -rf.\n\n" +
			"Interrupted, it leaves no backup; run again, it goes on with what was copied.\n" +
			"It needs the rights of root or of the user that the service runs as.\n\n" +
			"`toastmaster restore` brings a backup back.",
		Example: "  toastmaster backup /srv/backup\n  toastmaster backup verify /srv/backup",
		Args:    exactArguments("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := env.Config()
			if err != nil {
				return err
			}
			m := newMeter(env, quiet || asJSON)
			defer m.end()
			result, err := backup.Make(cmd.Context(), backup.Options{Config: c, Version: env.Version, Dir: args[0], Full: full, Progress: m.show})
			m.end()
			if errors.Is(err, context.Canceled) {
				return fmt.Errorf("interrupted: there is no new backup; run it again to go on with what was copied")
			}
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(env.Stdout, result)
			}
			_, err = fmt.Fprintf(env.Stdout, "%s: %s, %s in the queue, %s in %s, of which %s in %s are new; took %s\n",
				result.Path, counted(result.Accounts, "account", "accounts"), messages(result.Queued),
				configs.FormatSize(result.Bytes), counted(int(result.Files), "file", "files"),
				configs.FormatSize(result.NewBytes), counted(int(result.NewFiles), "file", "files"), result.Duration)
			return err
		},
	}
	cmd.Flags().BoolVar(&full, "full", false, "copy everything, link to no earlier backup")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "show no progress")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.AddCommand(newBackupList(env), newBackupVerify(env))
	return cmd
}

// listedBackup is a line of `toastmaster backup list`.
type listedBackup struct {
	Path     string `json:"path"`
	Began    string `json:"began"`
	Hostname string `json:"hostname"`
	Version  string `json:"version"`
	Files    int64  `json:"files"`
	Bytes    int64  `json:"bytes"`
	Error    string `json:"error,omitempty"`
}

func newBackupList(env *Environment) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list DIR",
		Short: "List the backups in DIR, oldest first",
		Args:  exactArguments("DIR"),
		RunE: func(_ *cobra.Command, args []string) error {
			names, err := archive.List(args[0])
			if err != nil {
				return err
			}
			all := []listedBackup{}
			for _, name := range names {
				l := listedBackup{Path: filepath.Join(args[0], name)}
				if b, err := archive.Read(l.Path); err != nil {
					l.Error = err.Error()
				} else {
					total := b.Total()
					l.Began, l.Hostname, l.Version = b.Fact(backup.FactBegan), b.Fact(backup.FactHostname), b.Fact(backup.FactVersion)
					l.Files, l.Bytes = total.Files, total.Bytes
				}
				all = append(all, l)
			}
			if asJSON {
				return printJSON(env.Stdout, all)
			}
			w := newTable(env.Stdout)
			fmt.Fprintln(w, "BACKUP\tHOST\tFILES\tSIZE\t")
			for _, l := range all {
				writeRow(w, l.Path, orDash(l.Hostname), strconv.FormatInt(l.Files, 10), configs.FormatSize(l.Bytes), l.Error)
			}
			return w.Flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newBackupVerify(env *Environment) *cobra.Command {
	var asJSON, quiet bool
	cmd := &cobra.Command{
		Use:   "verify DIR",
		Short: "Read every file of a backup and compare it with its checksum",
		Long: "DIR is one backup, or a folder of backups, of which the newest is read. Exit code 1\n" +
			"when something is missing, altered or too much; each such file is named.",
		Args: exactArguments("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := archive.Find(args[0])
			if err != nil {
				return err
			}
			m := newMeter(env, quiet || asJSON)
			defer m.end()
			v, err := backup.Verify(cmd.Context(), b, m.show, func(p archive.Problem) {
				if !asJSON {
					m.end()
					fmt.Fprintf(env.Stderr, "%s: %s\n", p.Path, p.What)
				}
			})
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(env.Stdout, v)
			} else if len(v.Problems) == 0 {
				_, err = fmt.Fprintf(env.Stdout, "%s is whole: %s, %s\n", v.Path, counted(int(v.Files), "file", "files"), configs.FormatSize(v.Bytes))
			}
			if err == nil && len(v.Problems) > 0 {
				err = fmt.Errorf("%s is damaged: %s", v.Path, counted(len(v.Problems), "problem", "problems"))
			}
			return err
		},
	}
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "show no progress")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
