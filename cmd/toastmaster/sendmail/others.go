package sendmail

import (
	"context"
	"fmt"

	"toastmaster/cmd/toastmaster/cli"
)

// Mailq is `toastmaster queue list`.
func Mailq(ctx context.Context, env *cli.Environment, args []string) int {
	return cli.Run(ctx, env, append([]string{"queue", "list"}, args...))
}

// Newaliases does nothing and says so with success: aliases are live the
// moment they are set, there is no file to rebuild. Package scripts call it.
func Newaliases(_ context.Context, env *cli.Environment, _ []string) int {
	fmt.Fprintln(env.Stdout, "newaliases: nothing to do: aliases are in the database and are live as soon as `toastmaster alias add` has set them; /etc/aliases is not read")
	return 0
}
