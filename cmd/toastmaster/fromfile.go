package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"toastmaster/admin/client"
	"toastmaster/admin/model"
)

// fromChunk is how many lines are sent at once: they are one transaction.
const fromChunk = 2000

// maxLogicalLine bounds a line with those that continue it.
const maxLogicalLine = 1 << 20

// fromFlags are those of a command that adds what a file names.
type fromFlags struct {
	file string
	dry  bool
}

func (o *fromFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.file, "from", "", "add what `FILE` names, - is standard input")
	cmd.Flags().BoolVar(&o.dry, "dry-run", false, "with --from: change nothing, and say what would be done")
}

// args wants either --from or what plain wants.
func (o *fromFlags) args(plain cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case o.file != "" && len(args) > 0:
			return wrongUsage(cmd, "%s: --from and arguments: one of them says what to add", commandName(cmd))
		case o.dry && o.file == "":
			return wrongUsage(cmd, "--dry-run needs --from")
		case o.file != "":
			return nil
		}
		return plain(cmd, args)
	}
}

// fromKind is how the lines of one kind are read and sent.
type fromKind[T any] struct {
	one, many string
	// parse reads the words of a line, at least one.
	parse func(words []string) (T, error)
	send  func(*client.Client, context.Context, []T, bool) (model.BulkResponse, error)
}

// fromRun is an addition from a file under way.
type fromRun[T any] struct {
	f      *adminFlags
	o      fromFlags
	k      fromKind[T]
	report bulkReport
	meter  *meter

	things []T
	lines  []int
}

// addFrom adds what a file names. Words are apart by blanks, tabs and commas; what
// is behind # at the beginning of a line is a remark, and a line that begins with a
// blank goes on with the one before, as in Postfix's tables. A line that is refused
// is named, and the others are added.
func addFrom[T any](ctx context.Context, f *adminFlags, o fromFlags, k fromKind[T]) error {
	in, size, err := openBulk(f.env, o.file)
	if err != nil {
		return &usage{err}
	}
	defer in.Close()
	r := &fromRun[T]{f: f, o: o, k: k, report: bulkReport{Errors: []bulkError{}}, meter: newMeter(f.env, f.json)}
	err = f.withClient(func(c *client.Client) error {
		err := eachLogicalLine(in, func(line int, words []string, offset int64) error {
			r.add(line, words)
			if len(r.things) < fromChunk {
				return nil
			}
			defer func() { r.meter.show(r.text(), offset, size) }()
			return r.send(ctx, c)
		})
		if err == nil {
			err = r.send(ctx, c)
		}
		return err
	})
	r.meter.end()
	if err != nil {
		// What was added stays; say how much, because the same command goes on.
		return fmt.Errorf("%s: stopped after %s: %w; run it again to go on", o.file, r.text(), err)
	}
	return r.finish()
}

// eachLogicalLine calls f with the words of each line and the number where it
// begins. offset is how far the file was read.
func eachLogicalLine(in io.Reader, f func(line int, words []string, offset int64) error) error {
	in, err := skipBOM(in)
	if err != nil {
		return err
	}
	s := bufio.NewScanner(in)
	s.Buffer(nil, maxLogicalLine)
	var words []string
	begin, number, offset := 0, 0, int64(0)
	flush := func() error {
		if len(words) == 0 {
			return nil
		}
		w := words
		words = nil
		return f(begin, w, offset)
	}
	for s.Scan() {
		text := s.Text()
		number++
		goesOn := text != "" && (text[0] == ' ' || text[0] == '\t')
		if trimmed := strings.TrimSpace(text); trimmed == "" || trimmed[0] == '#' {
			offset += int64(len(text)) + 1
			continue
		}
		if !goesOn {
			if err := flush(); err != nil {
				return err
			}
			begin = number
		}
		offset += int64(len(text)) + 1
		words = append(words, strings.FieldsFunc(strings.Clone(text), func(r rune) bool { return r == ' ' || r == '\t' || r == ',' || r == '\r' })...)
		if len(words) > maxWords {
			return fmt.Errorf("line %d has more than %d words", begin, maxWords)
		}
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("line %d: %w", number+1, err)
	}
	return flush()
}

// maxWords bounds a line with those that continue it.
const maxWords = 100000

func (r *fromRun[T]) add(line int, words []string) {
	thing, err := r.k.parse(words)
	if err != nil {
		r.refuse(line, words[0], err.Error())
		return
	}
	r.things, r.lines = append(r.things, thing), append(r.lines, line)
}

func (r *fromRun[T]) refuse(line int, what, text string) {
	r.report.Failed++
	r.report.Errors = append(r.report.Errors, bulkError{line, what, text})
	if !r.f.json {
		r.meter.end()
		fmt.Fprintf(r.f.env.stderr, "%s:%d: %s: %s\n", r.o.file, line, what, text)
	}
}

func (r *fromRun[T]) send(ctx context.Context, c *client.Client) error {
	if len(r.things) == 0 {
		return nil
	}
	res, err := r.k.send(c, ctx, r.things, r.o.dry)
	if err != nil {
		return err
	}
	if len(res.Results) != len(r.things) {
		return fmt.Errorf("the server answered for %d of %d", len(res.Results), len(r.things))
	}
	r.report.Added += res.Added
	r.report.Exists += res.Exists
	for i, one := range res.Results {
		if one.Result == model.BulkFailed {
			r.refuse(r.lines[i], one.Address, one.Error)
		}
	}
	r.things, r.lines = r.things[:0], r.lines[:0]
	return nil
}

func (r *fromRun[T]) text() string {
	would := "added"
	if r.o.dry {
		would = "would be added"
	}
	return fmt.Sprintf("%s %s, %d existed, %d failed", counted(r.report.Added, r.k.one, r.k.many), would, r.report.Exists, r.report.Failed)
}

// finish prints the outcome. A failed line makes the command fail.
func (r *fromRun[T]) finish() error {
	slices.SortFunc(r.report.Errors, func(x, y bulkError) int { return x.Line - y.Line })
	if err := r.f.done(r.report, "%s", r.text()); err != nil {
		return err
	}
	if r.report.Failed > 0 {
		return fmt.Errorf("%s: %s not added", r.o.file, counted(r.report.Failed, "line", "lines"))
	}
	return nil
}

func aliasesFrom(ctx context.Context, f *adminFlags, o fromFlags) error {
	return addFrom(ctx, f, o, fromKind[model.NewAlias]{
		one: "alias", many: "aliases", send: (*client.Client).AddAliases,
		parse: func(words []string) (model.NewAlias, error) {
			if len(words) < 2 {
				return model.NewAlias{}, errors.New("no target")
			}
			return model.NewAlias{Address: words[0], AliasChange: model.AliasChange{Targets: words[1:]}}, nil
		},
	})
}

func relocatedFrom(ctx context.Context, f *adminFlags, o fromFlags) error {
	return addFrom(ctx, f, o, fromKind[model.NewRelocated]{
		one: "relocated address", many: "relocated addresses", send: (*client.Client).AddRelocations,
		parse: func(words []string) (model.NewRelocated, error) {
			if len(words) < 2 {
				return model.NewRelocated{}, errors.New("no new place")
			}
			return model.NewRelocated{Address: words[0], RelocatedChange: model.RelocatedChange{MovedTo: strings.Join(words[1:], " ")}}, nil
		},
	})
}

func domainsFrom(ctx context.Context, f *adminFlags, o fromFlags, settings model.DomainChange) error {
	return addFrom(ctx, f, o, fromKind[model.NewDomain]{
		one: "domain", many: "domains", send: (*client.Client).AddDomains,
		parse: func(words []string) (model.NewDomain, error) {
			in := model.NewDomain{Name: words[0], DomainChange: settings}
			switch len(words) {
			case 1:
			case 2:
				in.AliasOf, in.DomainChange = words[1], model.DomainChange{Enabled: settings.Enabled}
			default:
				return in, fmt.Errorf("%d words instead of DOMAIN [DOMAIN-IT-STANDS-FOR]", len(words))
			}
			return in, nil
		},
	})
}
