package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"toastmaster/configs"
	"toastmaster/internal/run/check"
	"toastmaster/internal/run/usage"
)

// paramChange is what config set did.
type paramChange struct {
	File  string `json:"file"`
	Param string `json:"param"`
	Old   string `json:"old"`
	New   string `json:"new"`
	// Needs is "restart" or "reload", or "nothing" when the value was that already.
	Needs string `json:"needs"`
}

func newConfigSetCommand(env *Environment) *cobra.Command {
	var toDefault, asJSON bool
	cmd := &cobra.Command{
		Use:   "set PARAM VALUE... | set PARAM --default",
		Short: "Change a parameter in the configuration file",
		Long: "Writes the parameter into the file, at its place and with all comments kept, if what\n" +
			"comes out is a configuration without mistakes. A list is one VALUE for each entry.\n" +
			"--default removes it. The file is replaced as a whole, or not at all. Exit code 0: it\n" +
			"is written, or was so; 1: the file cannot be written, or another change is under way;\n" +
			"2: wrong usage, or a mistake, and the file is as it was.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 || toDefault == (len(args) > 1) {
				return wrongUsage(cmd, "%s needs PARAM, and VALUE or --default", commandName(cmd))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			change, err := setParam(env.File(), args[0], args[1:])
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(env.Stdout, change)
			}
			if change.Needs == "nothing" {
				_, err = fmt.Fprintf(env.Stdout, "%s is %s already\n", change.Param, change.New)
				return err
			}
			when := "it counts from the next start (restart)"
			if change.Needs == "reload" {
				when = "it counts from the next reload"
			}
			_, err = fmt.Fprintf(env.Stdout, "%s: %s, was %s; %s\n", change.Param, change.New, change.Old, when)
			return err
		},
	}
	cmd.Flags().BoolVar(&toDefault, "default", false, "remove it from the file, which gives it its default")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	// A value may begin with "-".
	cmd.Flags().SetInterspersed(true)
	return cmd
}

// setParam changes the file under a lock, so that two changes at once are not
// one.
func setParam(file, name string, values []string) (change paramChange, err error) {
	real, err := filepath.EvalSymlinks(file)
	if err != nil {
		return change, usage.New(&configs.Error{File: file, Err: err})
	}
	f, err := os.Open(real)
	if err != nil {
		return change, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return change, fmt.Errorf("%s: another change is under way: %w", file, err)
	}
	info, err := f.Stat()
	if err != nil {
		return change, err
	}
	if now, err := os.Stat(real); err != nil || !os.SameFile(info, now) {
		return change, errors.Join(err, fmt.Errorf("%s was changed at the same moment; repeat it", file))
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return change, err
	}
	after, c, err := configs.Set(file, text, name, values)
	if err != nil {
		return change, usage.New(err)
	}
	// What the file names may be wrong already; only this parameter's is new.
	var mistake *configs.Error
	if err := check.Files(c, nil); errors.As(err, &mistake) && mistake.Param == name {
		return change, usage.New(err)
	}
	change = paramChange{File: file, Param: name, Old: valueIn(file, text, name), New: value(c, name), Needs: "restart"}
	if configs.TakenUp(name) {
		change.Needs = "reload"
	}
	if change.Old == change.New {
		change.Needs = "nothing"
	}
	if string(after) == string(text) {
		return change, nil
	}
	return change, replaceFile(real, info, after)
}

func value(c *configs.Config, name string) string {
	for _, p := range c.Bound() {
		if p.Name == name {
			return p.Value()
		}
	}
	return ""
}

// valueIn is what a text says of a parameter, its default when the text has a
// mistake, which this change may mend.
func valueIn(file string, text []byte, name string) string {
	c, err := configs.Parse(file, text)
	if err != nil {
		c = configs.Default()
	}
	return value(c, name)
}

// replaceFile puts a new file with the mode and the owner of the old one in its
// place.
func replaceFile(name string, old os.FileInfo, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // of no effect once it has its name
	_, err = f.Write(text)
	if err == nil {
		err = f.Chmod(old.Mode().Perm())
	}
	if st, ok := old.Sys().(*syscall.Stat_t); ok && err == nil && (int(st.Uid) != os.Geteuid() || int(st.Gid) != os.Getegid()) {
		err = f.Chown(int(st.Uid), int(st.Gid))
	}
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
