package cli

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
	"toastmaster/internal/run/usage"
)

// fromChunk is how many lines are sent at once, the most that the API takes: they are
// one transaction, which is synced once. A dry run knows nothing of those before it.
const fromChunk = 5000

// maxLogicalLine bounds a line with those that continue it. It is no parameter: no
// alias has so many targets; it is for a file that is no list.
const maxLogicalLine = 1 << 20

// fromFlags are those of a command that adds what a file names.
type fromFlags struct {
	file string
	dry  bool
}

func (o *fromFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.file, "from", "", "add what `FILE` names, - is standard input")
	cmd.Flags().BoolVar(&o.dry, "dry-run", false, "with --from: change nothing, and say what would be done; each 5000 lines are tried for themselves")
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

// fromKind is how the things of one kind are read and sent.
type fromKind[T any] struct {
	one, many string
	// chunk is how many are sent at once.
	chunk int
	// each calls add with what a file names, in its order.
	each func(in io.Reader, add func(fromEntry[T]) error) error
	send func(*client.Client, context.Context, []T, bool) (model.BulkResponse, error)
}

// fromEntry is what a file has at a line: a thing, or why that is none. what is how
// the file calls it, offset how far the file was read.
type fromEntry[T any] struct {
	line   int
	what   string
	thing  T
	err    error
	offset int64
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
	// tried is what a dry run would have added in the transactions before.
	tried map[string]bool
}

// addFrom adds what a file names. A line that is refused is named, and the others
// are added.
func addFrom[T any](ctx context.Context, f *adminFlags, o fromFlags, k fromKind[T]) error {
	file, size, err := openBulk(f.env, o.file)
	if err != nil {
		return usage.New(err)
	}
	defer file.Close()
	if o.dry {
		k.chunk = fromChunk
	}
	r := &fromRun[T]{f: f, o: o, k: k, tried: map[string]bool{}, report: bulkReport{Errors: []bulkError{}}, meter: newMeter(f.env, f.json)}
	err = f.withClient(func(c *client.Client) error {
		in, err := skipBOM(file)
		if err != nil {
			return err
		}
		err = k.each(in, func(e fromEntry[T]) error {
			if r.add(e); len(r.things) < k.chunk {
				return nil
			}
			defer func() { r.meter.show(r.text(), e.offset, size) }()
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

// eachOfWords makes fromKind.each of what reads the words of a line, at least one.
// Words are apart by the octets of apart; what is behind # at the beginning of
// a line is a remark, and a line that begins with a blank goes on with the one
// before, as in Postfix's tables.
func eachOfWords[T any](apart string, parse func(words []string) (T, error)) func(io.Reader, func(fromEntry[T]) error) error {
	return func(in io.Reader, add func(fromEntry[T]) error) error {
		return eachLogicalLine(in, apart, func(line int, words []string, offset int64) error {
			thing, err := parse(words)
			return add(fromEntry[T]{line, words[0], thing, err, offset})
		})
	}
}

// The octets between words: of names and addresses, and of a text for people.
const (
	blanks          = " \t\r"
	blanksAndCommas = blanks + ","
)

// eachLogicalLine calls f with the words of each line and the number where it
// begins. offset is how far the file was read.
func eachLogicalLine(in io.Reader, apart string, f func(line int, words []string, offset int64) error) error {
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
		words = append(words, strings.FieldsFunc(strings.Clone(text), func(r rune) bool { return strings.ContainsRune(apart, r) })...)
		if len(words) > maxWords {
			return fmt.Errorf("line %d has more than %d words", begin, maxWords)
		}
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("line %d: %w", number+1, err)
	}
	return flush()
}

// maxWords bounds a line with those that continue it. It is no parameter: no
// alias has so many targets (admin/model.MaxTargets).
const maxWords = 100000

func (r *fromRun[T]) add(e fromEntry[T]) {
	if e.err != nil {
		r.refuse(e.line, e.what, e.err.Error())
		return
	}
	r.things, r.lines = append(r.things, e.thing), append(r.lines, e.line)
}

func (r *fromRun[T]) refuse(line int, what, text string) {
	r.report.Failed++
	r.report.Errors = append(r.report.Errors, bulkError{line, what, text})
	if !r.f.json {
		r.meter.end()
		fmt.Fprintf(r.f.env.Stderr, "%s:%d: %s: %s\n", r.o.file, line, orDash(what), text)
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
		switch {
		case one.Result == model.BulkFailed:
			r.refuse(r.lines[i], one.Address, one.Error)
		case one.Result == model.BulkAdded && r.o.dry && r.tried[one.Address]:
			r.report.Added--
			r.report.Exists++
		case one.Result == model.BulkAdded && r.o.dry:
			r.tried[one.Address] = true
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
		one: "alias", many: "aliases", chunk: fromChunk, send: (*client.Client).AddAliases,
		each: eachOfWords(blanksAndCommas, func(words []string) (model.NewAlias, error) {
			if len(words) < 2 {
				return model.NewAlias{}, errors.New("no target")
			}
			return model.NewAlias{Address: words[0], AliasChange: model.AliasChange{Targets: once(words[1:])}}, nil
		}),
	})
}

// once leaves out a target that is there again, as Postfix does: its files have them.
func once(targets []string) []string {
	seen := make(map[string]bool, len(targets))
	return slices.DeleteFunc(targets, func(t string) bool {
		key := strings.ToLower(t)
		again := seen[key]
		seen[key] = true
		return again
	})
}

func relocatedFrom(ctx context.Context, f *adminFlags, o fromFlags) error {
	return addFrom(ctx, f, o, fromKind[model.NewRelocated]{
		one: "relocated address", many: "relocated addresses", chunk: fromChunk, send: (*client.Client).AddRelocations,
		each: eachOfWords(blanks, func(words []string) (model.NewRelocated, error) {
			if len(words) < 2 {
				return model.NewRelocated{}, errors.New("no new place")
			}
			return model.NewRelocated{Address: words[0], RelocatedChange: model.RelocatedChange{MovedTo: strings.Join(words[1:], " ")}}, nil
		}),
	})
}

func domainsFrom(ctx context.Context, f *adminFlags, o fromFlags, settings model.DomainChange) error {
	return addFrom(ctx, f, o, fromKind[model.NewDomain]{
		one: "domain", many: "domains", chunk: fromChunk, send: (*client.Client).AddDomains,
		each: eachOfWords(blanksAndCommas, func(words []string) (model.NewDomain, error) {
			in := model.NewDomain{Name: words[0], DomainChange: settings}
			switch len(words) {
			case 1:
			case 2:
				in.AliasOf, in.DomainChange = words[1], model.DomainChange{Enabled: settings.Enabled}
			default:
				return in, fmt.Errorf("%d words instead of DOMAIN [DOMAIN-IT-STANDS-FOR]", len(words))
			}
			return in, nil
		}),
	})
}
