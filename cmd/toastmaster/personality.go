package main

import (
	"context"

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
	{"postsuper", cli.Postsuper},
	{"postqueue", cli.Postqueue},
	{"postmap", cli.Postmap},
	{"postcat", cli.Postcat},
	{"qshape", cli.Qshape},
}
