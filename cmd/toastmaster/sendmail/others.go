package sendmail

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"toastmaster/cmd/toastmaster/cli"
	"toastmaster/configs"
	"toastmaster/directory/tables"
	"toastmaster/internal/clock"
	"toastmaster/internal/msglog"
	"toastmaster/internal/printable"
)

// Mailq lists the queue. Without arguments it is sendmail -bp; with those of `toastmaster queue list` it is that.
func Mailq(ctx context.Context, env *cli.Environment, args []string) int {
	if len(args) == 0 {
		return runQueue(ctx, env, "postqueue", "-p")
	}
	switch cli.Run(ctx, env, append([]string{"queue", "list"}, args...)) {
	case 0:
		return ExOK
	case 1:
		return ExUnavailable
	}
	return ExUsage
}

// Newaliases is sendmail -bi.
func Newaliases(ctx context.Context, env *cli.Environment, args []string) int {
	opts, err := parseSendmail(env, append([]string{"-bi"}, args...), env.Stderr)
	if err != nil {
		return fail(env, ExUsage, err)
	}
	return rebuildAliases(ctx, env, opts.aliases)
}

// rebuildAliases rebuilds nothing: aliases in the directory are live the moment they are set, and tables of aliases(5) are
// read from their text when that changes. It reads these, so that a mistake is seen now, as postalias would. file is that of -oA.
func rebuildAliases(ctx context.Context, env *cli.Environment, file string) int {
	c, err := env.Config()
	switch {
	case err != nil && file == "" && (errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist)):
		c = configs.Default() // scripts of packages call it before there is anything
	case err != nil:
		return fail(env, ExConfig, err)
	}
	names := c.Local.AliasTables()
	if file != "" {
		if kind, rest, ok := strings.Cut(file, ":"); ok {
			file = rest
			_ = kind // each kind is read from its text
		}
		names = []string{"aliases:" + file}
	}
	set := tables.NewSet(tables.Options{Params: c.Lookup, Dir: c.Dir(), Clock: clock.System{}, Log: msglog.Discard()})
	defer set.Close()
	code := ExOK
	for _, name := range names {
		if _, err := set.Open(ctx, name); err != nil {
			fmt.Fprintf(env.Stderr, "sendmail: warning: %s\n", printable.UTF8(err.Error(), '\t'))
			code = ExDataErr
		}
	}
	if len(names) == 0 {
		fmt.Fprintln(env.Stdout, "newaliases: nothing to do: aliases are in the database and are live as soon as `toastmaster alias add` has set them; /etc/aliases is read where local.alias_maps says so")
	}
	return code
}
