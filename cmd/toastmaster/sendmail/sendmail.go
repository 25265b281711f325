package sendmail

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"toastmaster/cmd/toastmaster/cli"
	"toastmaster/internal/maildrop"
	"toastmaster/internal/printable"
)

// Exit codes of sysexits.h that callers of sendmail rely on.
const (
	ExOK          = 0
	ExUsage       = 64
	ExDataErr     = 65
	ExNoUser      = 67
	ExUnavailable = 69
	ExTempFail    = 75
	ExNoPerm      = 77
	ExConfig      = 78
)

// Run reads a message and hands it to the service of this host, speaks SMTP in its place, or acts on the
// queue. When nobody takes the message, and it cannot be left for the service either, the exit code is EX_TEMPFAIL and the
// caller keeps it.
func Run(ctx context.Context, env *cli.Environment, args []string) int {
	opts, err := parseSendmail(env, args, env.Stderr)
	if err != nil {
		return fail(env, ExUsage, err)
	}
	switch opts.mode {
	case modeNothing:
		return ExOK
	case modeAliases:
		return rebuildAliases(ctx, env, opts.aliases)
	case modeDaemon:
		return fail(env, ExUsage, errors.New("-bd: the service is started by `toastmaster serve` or `toastmaster master`, by systemd as a rule"))
	case modeMailq:
		return runQueue(ctx, env, "postqueue", "-p")
	case modeFlush:
		return runQueue(ctx, env, "postqueue", "-f")
	}
	switch {
	case opts.flushID != "":
		return runQueue(ctx, env, "postqueue", "-i", opts.flushID)
	case opts.flushSite != "":
		return runQueue(ctx, env, "postqueue", "-s", opts.flushSite)
	}
	system, err := findMailSystem(env)
	if err != nil {
		return fail(env, ExConfig, err)
	}
	if opts.mode == modeSession {
		if err := system.session(ctx, env); err != nil {
			return fail(env, codeOf(err), err)
		}
		return ExOK
	}
	l, err := opts.read(env.Stdin, env.Getenv, system.limit)
	if err == nil {
		_, err = system.submit(ctx, l)
	}
	if err != nil {
		return fail(env, codeOf(err), err)
	}
	if l.said.Trace != maildrop.TraceNone {
		to := l.said.Sender
		if l.said.Own {
			to = callerName()
		}
		fmt.Fprintf(env.Stdout, "Mail Delivery Status Report will be mailed to <%s>.\n", printable.UTF8(to))
	}
	return ExOK
}

// fail says why, in one line as Postfix's programs do.
func fail(env *cli.Environment, code int, err error) int {
	fmt.Fprintf(env.Stderr, "sendmail: fatal: %s\n", printable.UTF8(err.Error(), '\t'))
	return code
}

// badMessage is a message or a command line that nobody can submit.
type badMessage struct{ error }

func (e *badMessage) Unwrap() error { return e.error }

// codeOf is the exit code for the outcome of a submission.
func codeOf(err error) int {
	var refused *refusal
	switch {
	case err == nil:
		return ExOK
	case errors.As(err, new(*badMessage)):
		return ExUsage
	case errors.Is(err, errTooLarge):
		return ExUnavailable
	case errors.As(err, new(*readError)):
		return ExDataErr
	case !errors.As(err, &refused) || refused.status.Temporary():
		return ExTempFail
	case refused.status.Subject() == 7: // security or policy (RFC 3463 section 3.8)
		return ExNoPerm
	case refused.status.Subject() == 1: // addressing (RFC 3463 section 3.2)
		return ExNoUser
	}
	return ExUnavailable
}

// runQueue is a command about the queue with the exit codes of sysexits.h. Who may not use the administration's socket
// asks by that of pickup.
func runQueue(ctx context.Context, env *cli.Environment, command ...string) int {
	c, err := env.Config()
	if err != nil && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, fs.ErrNotExist) {
		return fail(env, ExConfig, err)
	}
	if err != nil || unix.Access(c.Path(c.Admin.Socket), unix.W_OK) == unix.EACCES {
		for _, dir := range folders(env, c) {
			socket := maildrop.SocketIn(dir)
			if unix.Access(socket, unix.W_OK) == nil {
				env.Socket = socket
				break
			}
		}
	}
	switch {
	case env.Socket == "" && errors.Is(err, fs.ErrPermission):
		return fail(env, ExNoPerm, fmt.Errorf("the queue is for who may read the configuration, or enter pickup.directory: %w", err))
	case env.Socket == "" && err != nil:
		return fail(env, ExConfig, err)
	}
	switch cli.Run(ctx, env, command) {
	case 0:
		return ExOK
	case 2:
		return ExConfig
	}
	return ExUnavailable
}

// callerName is the name of the user who calls.
func callerName() string {
	u, err := userByID(os.Getuid())
	if err != nil {
		return "unknown"
	}
	return u
}
