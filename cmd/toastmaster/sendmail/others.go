package sendmail

import (
	"context"
	"fmt"

	"toastmaster/cmd/toastmaster/cli"
)

// Mailq is `toastmaster queue list` with the exit codes of sysexits.h.
func Mailq(ctx context.Context, env *cli.Environment, args []string) int {
	switch cli.Run(ctx, env, append([]string{"queue", "list"}, args...)) {
	case 0:
		return ExOK
	case 1:
		return ExUnavailable
	}
	if len(args) == 0 {
		return ExConfig
	}
	return ExUsage
}

// Newaliases does nothing and says so with success: aliases are live the
// moment they are set, there is no file to rebuild. Package scripts call it.
func Newaliases(_ context.Context, env *cli.Environment, _ []string) int {
	fmt.Fprintln(env.Stdout, "newaliases: nothing to do: aliases are in the database and are live as soon as `toastmaster alias add` has set them; /etc/aliases is not read")
	return 0
}
