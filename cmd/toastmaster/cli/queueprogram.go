package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"toastmaster/admin/client"
	"toastmaster/internal/printable"
)

// queueProgram is one call of a program of Postfix that works on the queue. It asks the
// instance by its socket, or the files when none runs, so it is for root and for the user of the service.
type queueProgram struct {
	env    *Environment
	name   string
	flags  *pflag.FlagSet
	config *string
	stdin  *bufio.Reader
	stdout *bufio.Writer
}

func newQueueProgram(env *Environment, name string) *queueProgram {
	p := &queueProgram{
		env: env, name: name, flags: pflag.NewFlagSet(name, pflag.ContinueOnError),
		stdin: bufio.NewReader(env.Stdin), stdout: bufio.NewWriter(env.Stdout),
	}
	p.flags.SetOutput(io.Discard)
	p.flags.SortFlags = false
	p.config = p.flags.StringP("config", "c", "", "")
	p.flags.CountP("verbose", "v", "") // all is logged, by the service
	return p
}

// end writes what is left, and an error as Postfix's programs do. The exit code is fatal
// after an error.
func (p *queueProgram) end(err error, fatal int) int {
	if flushed := p.stdout.Flush(); err == nil {
		err = flushed
	}
	if err == nil {
		return 0
	}
	fmt.Fprintf(p.env.Stderr, "%s: fatal: %s\n", p.name, printable.UTF8(err.Error(), '\n', '\t'))
	return fatal
}

func (p *queueProgram) warn(format string, args ...any) {
	fmt.Fprintf(p.env.Stderr, "%s: warning: %s\n", p.name, printable.UTF8(fmt.Sprintf(format, args...)))
}

// withClient runs do with a connection to the instance.
func (p *queueProgram) withClient(do func(*client.Client) error) error {
	return p.admin().withClient(do)
}

func (p *queueProgram) admin() *adminFlags {
	if *p.config != "" {
		p.env.ConfigFile = *p.config
	}
	return &adminFlags{env: p.env}
}

// withQueue runs do with the queue of the instance, or with its files when none runs.
func (p *queueProgram) withQueue(ctx context.Context, a access, do func(mailQueue) error) error {
	return p.admin().withQueue(ctx, a, func() { p.warn("%s", systemDown) }, do)
}

// systemDown is Postfix's word for it that no service was asked.
const systemDown = "Mail system is down -- accessing queue directly"

// help is --help, which Postfix's programs do not have.
func (p *queueProgram) help(usage string) error {
	_, err := fmt.Fprintln(p.stdout, programHelp(p.name, usage))
	return err
}

func programHelp(name, usage string) string {
	return fmt.Sprintf("%s\n`toastmaster %s --help` and `man %[2]s` have the meaning", usage, name)
}

// fatalf is an error in Postfix's words, which may begin with a capital.
func fatalf(format string, args ...any) error { return fmt.Errorf(format, args...) }

// validQueueID says that a text may be a queue ID, here or of Postfix.
func validQueueID(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	return !slices.ContainsFunc([]byte(id), func(c byte) bool {
		return (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
	})
}

// newQueueProgramCommand makes the subcommand that has the command line of a program.
func newQueueProgramCommand(env *Environment, use, short, long string, run func(context.Context, *Environment, []string) int) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Long: long,
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && args[0] == "--help" {
				return cmd.Help()
			}
			if code := run(cmd.Context(), env, args); code != 0 {
				return said(fmt.Errorf("exit code %d", code))
			}
			return nil
		},
	}
}
