package main

import (
	"context"
	"fmt"

	"toastmaster/cmd/toastmaster/cli"
	"toastmaster/cmd/toastmaster/sendmail"
)

// personalities are the programs that the binary acts as when it is called by
// their name (symbolic links that `make install` lays).
var personalities = []struct {
	name string
	run  func(ctx context.Context, env *cli.Environment, args []string) int
}{
	{"sendmail", sendmail.Run},
	{"mailq", sendmail.Mailq},
	{"newaliases", sendmail.Newaliases},
	{"postsuper", notYet("postsuper", "queue")},
	{"postqueue", cli.Postqueue},
	{"postmap", cli.Postmap},
	{"postcat", notYet("postcat", "queue cat")},
}

// notYet is a program of Postfix that comes later. Help with exit code 0 would
// tell a script that its work was done.
func notYet(name, instead string) func(context.Context, *cli.Environment, []string) int {
	return func(_ context.Context, env *cli.Environment, _ []string) int {
		fmt.Fprintf(env.Stderr, "%s: not there yet, use `toastmaster %s`\n", name, instead)
		return sendmail.ExUnavailable
	}
}
