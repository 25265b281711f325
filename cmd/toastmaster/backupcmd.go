package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"toastmaster/configs"
	"toastmaster/directory/sql"
	"toastmaster/internal/backup"
)

func newBackupCommand(env *environment) *cobra.Command {
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
			c, err := env.config()
			if err != nil {
				return err
			}
			result, err := makeBackup(cmd.Context(), env, c, args[0], full, quiet || asJSON)
			if errors.Is(err, context.Canceled) {
				return fmt.Errorf("interrupted: there is no new backup; run it again to go on with what was copied")
			}
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(env.stdout, result)
			}
			_, err = fmt.Fprintf(env.stdout, "%s: %s, %s in the queue, %s in %s, of which %s in %s are new; took %s\n",
				result.Path, counted(result.Accounts, "account", "accounts"), messages(result.Queued),
				formatOctets(result.Bytes), counted(int(result.Files), "file", "files"),
				formatOctets(result.NewBytes), counted(int(result.NewFiles), "file", "files"), result.Duration)
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

func newBackupList(env *environment) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list DIR",
		Short: "List the backups in DIR, oldest first",
		Args:  exactArguments("DIR"),
		RunE: func(_ *cobra.Command, args []string) error {
			names, err := backup.List(args[0])
			if err != nil {
				return err
			}
			all := []listedBackup{}
			for _, name := range names {
				l := listedBackup{Path: filepath.Join(args[0], name)}
				if b, err := backup.Read(l.Path); err != nil {
					l.Error = err.Error()
				} else {
					total := b.Total()
					l.Began, l.Hostname, l.Version = b.Fact(factBegan), b.Fact(factHostname), b.Fact(factVersion)
					l.Files, l.Bytes = total.Files, total.Bytes
				}
				all = append(all, l)
			}
			if asJSON {
				return printJSON(env.stdout, all)
			}
			w := newTable(env.stdout)
			fmt.Fprintln(w, "BACKUP\tHOST\tFILES\tSIZE\t")
			for _, l := range all {
				fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\n", l.Path, orDash(l.Hostname), l.Files, formatOctets(l.Bytes), l.Error)
			}
			return w.Flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// verified is what `toastmaster backup verify` prints.
type verified struct {
	Path     string           `json:"path"`
	Files    int64            `json:"files"`
	Bytes    int64            `json:"bytes"`
	Problems []backup.Problem `json:"problems"`
}

func newBackupVerify(env *environment) *cobra.Command {
	var asJSON, quiet bool
	cmd := &cobra.Command{
		Use:   "verify DIR",
		Short: "Read every file of a backup and compare it with its checksum",
		Long: "DIR is one backup, or a folder of backups, of which the newest is read. Exit code 1\n" +
			"when something is missing, altered or too much; each such file is named.",
		Args: exactArguments("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := backup.Find(args[0])
			if err != nil {
				return err
			}
			v, err := verifyBackup(cmd.Context(), env, b, quiet || asJSON, asJSON)
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(env.stdout, v)
			} else if len(v.Problems) == 0 {
				_, err = fmt.Fprintf(env.stdout, "%s is whole: %s, %s\n", v.Path, counted(int(v.Files), "file", "files"), formatOctets(v.Bytes))
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

func verifyBackup(ctx context.Context, env *environment, b *backup.Backup, quiet, silent bool) (verified, error) {
	v := verified{Path: b.Path(), Problems: []backup.Problem{}}
	total := b.Total()
	m := newMeter(env, quiet)
	defer m.end()
	problem := func(p backup.Problem) {
		v.Problems = append(v.Problems, p)
		if !silent {
			m.end()
			fmt.Fprintf(env.stderr, "%s: %s\n", p.Path, p.What)
		}
	}
	err := b.Verify(ctx, problem, func(c backup.Count) {
		v.Files += c.Files
		v.Bytes += c.Bytes
		m.show(fmt.Sprintf("%s of %s read", formatOctets(v.Bytes), formatOctets(total.Bytes)), v.Bytes, total.Bytes)
	})
	if err != nil || len(v.Problems) > 0 {
		return v, err
	}
	// The octets are those that were written; are they a database?
	if err := checkDatabaseCopy(ctx, b); err != nil {
		problem(backup.Problem{Path: b.File(directorySection, directoryFile), What: err.Error()})
	}
	return v, nil
}

// checkDatabaseCopy looks into a copy of the copy: SQLite may write beside it.
func checkDatabaseCopy(ctx context.Context, b *backup.Backup) error {
	dir, err := os.MkdirTemp("", "toastmaster-verify-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	entries, err := b.Entries(directorySection)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Path == directoryFile {
			file := filepath.Join(dir, directoryFile)
			if err := b.ExtractFile(directorySection, e, file); err != nil {
				return err
			}
			return sql.CheckFile(ctx, file, configs.Default().Directory)
		}
	}
	return errors.New("there is no database in it")
}
