package main

import (
	"context"
	"fmt"
)

// personalities are the programs that the binary acts as when it is called by
// their name (symbolic links that `make install` lays).
var personalities = []struct {
	name string
	run  func(ctx context.Context, env *environment, args []string) int
}{
	{"sendmail", runSendmail},
	{"mailq", runMailq},
	{"newaliases", runNewaliases},
	{"postsuper", notYet("postsuper", "queue")},
	{"postqueue", notYet("postqueue", "queue")},
	{"postcat", notYet("postcat", "queue cat")},
}

// notYet is a program of Postfix that comes later. Help with exit code 0 would
// tell a script that its work was done.
func notYet(name, instead string) func(context.Context, *environment, []string) int {
	return func(_ context.Context, env *environment, _ []string) int {
		fmt.Fprintf(env.stderr, "%s: not there yet, use `toastmaster %s`\n", name, instead)
		return exUnavailable
	}
}

// runMailq is `toastmaster queue list`.
func runMailq(ctx context.Context, env *environment, args []string) int {
	return runCommand(ctx, env, append([]string{"queue", "list"}, args...))
}

// runNewaliases does nothing and says so with success: aliases are live the
// moment they are set, there is no file to rebuild. Package scripts call it.
func runNewaliases(_ context.Context, env *environment, _ []string) int {
	fmt.Fprintln(env.stdout, "newaliases: nothing to do: aliases are in the database and are live as soon as `toastmaster alias add` has set them; /etc/aliases is not read")
	return 0
}
