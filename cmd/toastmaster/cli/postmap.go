package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/tables"
	"toastmaster/internal/clock"
	"toastmaster/internal/header"
	"toastmaster/internal/msglog"
	"toastmaster/internal/printable"
	"toastmaster/internal/run/parts"
)

// newPostmapCommand has the command line of Postfix's postmap(1).
func newPostmapCommand(env *Environment) *cobra.Command {
	return &cobra.Command{
		Use:   "postmap [-bfhsv] [-q KEY] [TYPE:]ARGUMENT...",
		Short: "Ask lookup tables, or look for mistakes in them",
		Long: "Asks lookup tables as Postfix's postmap(1) does: -q KEY prints the text of the first table that\n" +
			"has the key, -q - reads keys from standard input and prints those found with their texts, -s lists\n" +
			"all. Without either it looks for mistakes in the tables: there is nothing to compile. -f does not\n" +
			"fold keys; -h and -b make keys of the header fields or the body lines of a message on standard\n" +
			"input. A table without TYPE is one of type hash. Names of files begin in the working directory.\n" +
			"Exit code 0: found, or no mistake; 1: else.",
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && args[0] == "--help" {
				return cmd.Help()
			}
			if code := Postmap(cmd.Context(), env, args); code != 0 {
				return said(fmt.Errorf("exit code %d", code))
			}
			return nil
		},
	}
}

const postmapUsage = "usage: postmap [-bfhsv] [-c config_file] [-q key] [file_type:]file_name"

// postmap is one call of the program.
type postmap struct {
	env *Environment

	// The command line. queries says that there is a query.
	query         string
	queries, list bool
	keepCase      bool
	headers, body bool

	set     *tables.Set
	tables  tables.Maps
	closers []func() error
	stdin   *bufio.Reader
	stdout  *bufio.Writer
	// found says that a key was; headersOver that the present one is of the body.
	found, headersOver bool
}

// Postmap is the program when it is called as postmap. The exit code is Postfix's: 0 for
// found, 1 for everything else.
func Postmap(ctx context.Context, env *Environment, args []string) int {
	p := &postmap{env: env, stdin: bufio.NewReader(env.Stdin), stdout: bufio.NewWriter(env.Stdout)}
	err := p.run(ctx, args)
	err = errors.Join(err, p.stdout.Flush())
	if p.set != nil {
		err = errors.Join(err, p.set.Close())
	}
	for _, f := range p.closers {
		err = errors.Join(err, f())
	}
	if err != nil {
		fmt.Fprintln(env.Stderr, "postmap: fatal:", printable.UTF8(err.Error(), '\n', '\t'))
	}
	if err != nil || (p.queries && !p.found) {
		return 1
	}
	return 0
}

// noUpdates is why what changes a table is refused.
const noUpdates = "tables are text files, which are read again when they change: edit the file"

func (p *postmap) run(ctx context.Context, args []string) error {
	f := pflag.NewFlagSet("postmap", pflag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVarP(&p.query, "query", "q", "", "")
	f.BoolVarP(&p.list, "sequence", "s", false, "")
	f.BoolVarP(&p.keepCase, "no-fold", "f", false, "")
	f.BoolVarP(&p.headers, "header", "h", false, "")
	f.BoolVarP(&p.body, "body", "b", false, "")
	file := f.StringP("config", "c", "", "")
	refused := map[string]string{
		"d": noUpdates, "i": noUpdates, "F": "values that are names of files are not done",
		"m": "MIME parts of a message are not looked into: -h has its own header, -b its body",
	}
	for letter := range refused {
		if letter == "d" {
			f.StringP("delete", letter, "", "")
			continue
		}
		f.BoolP("refused-"+letter, letter, false, "")
	}
	// They say how a database is made, or how much is logged; none is, and all is.
	for _, letter := range []string{"n", "N", "o", "p", "r", "u", "U", "v", "w"} {
		f.CountP("nothing-"+letter, letter, "")
	}
	if err := f.Parse(args); errors.Is(err, pflag.ErrHelp) {
		_, err := fmt.Fprintln(p.stdout, programHelp("postmap", postmapUsage))
		p.found = true
		return err
	} else if err != nil {
		return fmt.Errorf("%w; %s", err, postmapUsage)
	}
	for letter, why := range refused {
		if flag := f.ShorthandLookup(letter); flag.Changed {
			return fmt.Errorf("option -%s: %s", letter, why)
		}
	}
	p.queries = f.Changed("query")
	switch {
	case len(f.Args()) == 0:
		return errors.New("no table is named; " + postmapUsage)
	case p.queries && p.list:
		return errors.New("specify either -q or -s")
	case (p.headers || p.body) && p.query != "-":
		return errors.New("specify -b and -h only with \"-q -\"")
	}
	if *file != "" {
		p.env.ConfigFile = *file
	}
	if err := p.open(ctx, f.Args()); err != nil {
		return err
	}
	switch {
	case p.list:
		return p.all()
	case p.query == "-":
		return p.keys(ctx)
	case p.queries:
		return p.ask(ctx, p.query, "")
	}
	return nil
}

// open opens the tables with the limits of the configuration, where there is one.
func (p *postmap) open(ctx context.Context, names []string) error {
	c, err := p.env.Config()
	if err != nil {
		missing := errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)
		if p.env.ConfigFile != "" || !missing {
			return err
		}
		c = configs.Default()
	}
	o := tables.Options{
		Params: c.Lookup, KeepCase: p.keepCase, Clock: clock.System{},
		Log: msglog.New(warnings{p.env.Stderr}),
	}
	if slices.ContainsFunc(names, func(n string) bool { return strings.Contains(n, "directory:") }) {
		if err != nil {
			return err
		}
		answers, closeAnswers, err := parts.Answers(c)
		if err != nil {
			return err
		}
		p.closers = append(p.closers, closeAnswers)
		o.Directory = directory.New(answers, c.Main.RecipientDelimiter)
	}
	p.set = tables.NewSet(o)
	for i, n := range names {
		if !strings.Contains(n, ":") {
			names[i] = "hash:" + n
		}
	}
	p.tables, _, err = p.set.OpenAll(ctx, names)
	return err
}

// warnings writes the warnings of tables as Postfix's programs do.
type warnings struct{ w io.Writer }

func (warnings) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }

func (h warnings) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "cause" {
			text = a.Value.String()
		}
		return true
	})
	_, err := fmt.Fprintln(h.w, "postmap: warning:", printable.UTF8(text, '\t'))
	return err
}

func (h warnings) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h warnings) WithGroup(string) slog.Handler      { return h }

// ask prints what the first table has that has the key, behind what before says.
func (p *postmap) ask(ctx context.Context, key, before string) error {
	text, err := p.tables.Lookup(ctx, key)
	switch {
	case directory.OutcomeOf(err) == directory.NotFound:
		return nil
	case err != nil:
		return err
	}
	p.found = true
	_, err = fmt.Fprintf(p.stdout, "%s%s\n", before, text)
	return err
}

// keys asks for each line of standard input, or for what -h and -b make of a message.
func (p *postmap) keys(ctx context.Context) error {
	key, message := "", p.headers || p.body
	ask := func() error {
		wanted := !message || !p.headersOver && p.headers || p.headersOver && p.body
		if key == "" || !wanted {
			return nil
		}
		return p.ask(ctx, key, key+"\t")
	}
	for {
		line, err := p.stdin.ReadString('\n')
		line = strings.TrimSuffix(line, "\n")
		if err != nil && (err != io.EOF || line == "") {
			if err == io.EOF {
				err = nil
			}
			return errors.Join(ask(), err)
		}
		if message && !p.headersOver && key != "" && (strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t")) {
			key += "\n" + line
			continue
		}
		if err := ask(); err != nil {
			return err
		}
		if message && !p.headersOver {
			_, _, ok := header.Cut([]byte(line))
			p.headersOver = !ok
		}
		key = line
	}
}

// all lists what is in the tables.
func (p *postmap) all() error {
	for _, t := range p.tables {
		l, ok := t.(tables.Lister)
		if !ok || !tables.CanList(t) {
			return fmt.Errorf("table %s: sequence operation is not supported", tables.Name(t))
		}
		l.List(func(key, text string) bool {
			_, err := fmt.Fprintf(p.stdout, "%s\t%s\n", key, text)
			return err == nil
		})
	}
	return nil
}
