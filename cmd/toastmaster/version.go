package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func newVersionCommand(env *environment) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArguments,
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				return printJSON(env.stdout, map[string]string{"version": version(), "go": runtime.Version()})
			}
			_, err := fmt.Fprintln(env.stdout, "toastmaster", version())
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// release is what `git describe` said when the Makefile built the program, "" for
// a build without it.
var release string

// version is the tag that the program was built from, with the commits since then.
// A plain `go build` has what the toolchain recorded, "(devel)" without git.
func version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "unknown"
	}
	return info.Main.Version
}
