package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"toastmaster/admin/client"
	"toastmaster/admin/model"
	"toastmaster/directory/password"
)

// bulkChunk is how many mailboxes are sent at once: enough that the
// transaction's sync is shared by many, few enough that the bar moves.
const bulkChunk = 500

// bulkError is a line that could not be added.
type bulkError struct {
	Line    int    `json:"line"`
	Address string `json:"address"`
	Error   string `json:"error"`
}

// bulkReport is the outcome of an addition from a file.
type bulkReport struct {
	Added  int         `json:"added"`
	Exists int         `json:"exists"`
	Failed int         `json:"failed"`
	Errors []bulkError `json:"errors"`
}

// mailboxAddFrom adds the mailboxes of a file.
func mailboxAddFrom(ctx context.Context, f *adminFlags, name string, settings model.NewMailbox, passwords string) error {
	in, size, err := openBulk(f.env, name)
	if err != nil {
		return &usage{err}
	}
	defer in.Close()
	b := &bulk{
		name: name, env: f.env, report: bulkReport{Errors: []bulkError{}}, json: f.json, settings: settings, passwords: passwords,
		progress: newProgress(f.env.stderr, size),
	}
	err = f.withClient(func(c *client.Client) error { return b.run(ctx, c, in) })
	b.progress.end()
	if err != nil {
		// What was added stays; say how much, because the same command goes on.
		return fmt.Errorf("%s: stopped after %d added, %d existing: %w", name, b.report.Added, b.report.Exists, err)
	}
	return b.finish()
}

// openBulk opens the file; size is 0 when it is not known.
func openBulk(env *environment, name string) (io.ReadCloser, int64, error) {
	if name == "-" {
		return io.NopCloser(env.stdin), 0, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	return file, info.Size(), nil
}

// bulk is an addition under way.
type bulk struct {
	name string
	env  *environment
	json bool
	// settings are those of the options, for all.
	settings model.NewMailbox
	// passwords is one of passwordsAuto and the others.
	passwords string
	report    bulkReport
	progress  *progress

	boxes []model.NewMailbox
	lines []int
}

func (b *bulk) run(ctx context.Context, c *client.Client, in io.Reader) error {
	in, err := skipBOM(in)
	if err != nil {
		return err
	}
	r := csv.NewReader(in)
	r.FieldsPerRecord = -1
	r.Comment = '#'
	r.ReuseRecord = true
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return b.send(ctx, c, r.InputOffset())
		}
		var syntax *csv.ParseError
		if errors.As(err, &syntax) {
			b.refuse(syntax.StartLine, "", syntax.Err.Error())
			continue
		}
		if err != nil {
			return err
		}
		line, _ := r.FieldPos(0)
		box, err := bulkMailbox(record, b.passwords)
		if err != nil {
			b.refuse(line, record[0], err.Error())
			continue
		}
		box.KeepMail, box.Home = b.settings.KeepMail, b.settings.Home
		b.boxes, b.lines = append(b.boxes, box), append(b.lines, line)
		if len(b.boxes) == bulkChunk {
			if err := b.send(ctx, c, r.InputOffset()); err != nil {
				return err
			}
		}
	}
}

// skipBOM takes away the mark that some spreadsheets begin UTF-8 with: no eye
// sees it, and it would become a part of the first address.
func skipBOM(in io.Reader) (io.Reader, error) {
	const bom = "\ufeff"
	r := bufio.NewReader(in)
	begin, err := r.Peek(len(bom))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if string(begin) == bom {
		if _, err := r.Discard(len(bom)); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// What the passwords of a file are. With auto each says by its beginning whether
// it is a hash, and what only looks like one is refused.
const (
	passwordsAuto  = "auto"
	passwordsPlain = "plain"
	passwordsHash  = "hash"
)

// isHash says what a field is.
func isHash(secret, passwords string) (bool, error) {
	switch passwords {
	case passwordsPlain:
		return false, nil
	case passwordsHash:
		hash, err := password.Recognise(secret)
		if err == nil && !hash {
			err = errors.New("it begins with no {SCHEME} and no $method$, so it is no hash")
		}
		return true, err
	}
	hash, err := password.Recognise(secret)
	if err != nil {
		err = fmt.Errorf("%w; --passwords plain takes it for the password itself", err)
	}
	return hash, err
}

// bulkMailbox reads "address,password[,quota]".
func bulkMailbox(record []string, passwords string) (model.NewMailbox, error) {
	if len(record) < 2 || len(record) > 3 {
		return model.NewMailbox{}, fmt.Errorf("%s instead of address,password[,quota]", counted(len(record), "field", "fields"))
	}
	box := model.NewMailbox{Address: strings.Clone(strings.TrimSpace(record[0]))}
	secret := strings.Clone(record[1])
	hash, err := isHash(secret, passwords)
	if err != nil {
		return box, fmt.Errorf("password: %w", err)
	}
	if hash {
		box.PasswordHash = &secret
	} else {
		box.Password = &secret
	}
	if len(record) == 3 && strings.TrimSpace(record[2]) != "" {
		n, err := parseOctets(record[2])
		if err != nil {
			return box, err
		}
		box.QuotaBytes = &n
	}
	return box, nil
}

func (b *bulk) refuse(line int, address, text string) {
	b.report.Failed++
	b.report.Errors = append(b.report.Errors, bulkError{line, address, text})
	if !b.json {
		b.progress.clear()
		fmt.Fprintf(b.env.stderr, "%s:%d: %s: %s\n", b.name, line, orDash(address), text)
	}
}

// send adds what was gathered. offset is how far the file has been read.
func (b *bulk) send(ctx context.Context, c *client.Client, offset int64) error {
	if len(b.boxes) > 0 {
		res, err := c.AddMailboxes(ctx, b.boxes)
		if err != nil {
			return err
		}
		if len(res.Results) != len(b.boxes) {
			return fmt.Errorf("the server answered for %d of %d mailboxes", len(res.Results), len(b.boxes))
		}
		b.report.Added += res.Added
		b.report.Exists += res.Exists
		for i, r := range res.Results {
			if r.Result == model.BulkFailed {
				b.refuse(b.lines[i], r.Address, r.Error)
			}
		}
		b.boxes, b.lines = b.boxes[:0], b.lines[:0]
	}
	b.progress.show(offset, b.report)
	return nil
}

// finish prints the outcome. A failed line makes the command fail.
func (b *bulk) finish() error {
	slices.SortFunc(b.report.Errors, func(x, y bulkError) int { return x.Line - y.Line })
	if b.json {
		if err := printJSON(b.env.stdout, b.report); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(b.env.stdout, "%s added, %d existed, %d failed\n", mailboxes(b.report.Added), b.report.Exists, b.report.Failed)
	}
	if b.report.Failed > 0 {
		return fmt.Errorf("%s: %s not added", b.name, counted(b.report.Failed, "line", "lines"))
	}
	return nil
}

// progress shows how far an addition is: a bar on a terminal, otherwise a line
// every few seconds.
type progress struct {
	w        io.Writer
	bar      bool
	size     int64
	start    time.Time
	lastLine time.Time
}

const (
	barWidth     = 30
	lineInterval = 2 * time.Second
	clearLine    = "\r\x1b[K"
)

func newProgress(w io.Writer, size int64) *progress {
	_, bar := isTerminal(w)
	now := time.Now()
	return &progress{w: w, bar: bar, size: size, start: now, lastLine: now}
}

func (p *progress) show(offset int64, r bulkReport) {
	done := r.Added + r.Exists + r.Failed
	now := time.Now()
	rate := float64(done) / max(now.Sub(p.start).Seconds(), 0.001)
	switch {
	case p.bar:
		fmt.Fprint(p.w, clearLine+p.text(offset, done, rate))
	case now.Sub(p.lastLine) >= lineInterval:
		p.lastLine = now
		fmt.Fprintf(p.w, "%d added, %d existed, %d failed, %.0f/s\n", r.Added, r.Exists, r.Failed, rate)
	}
}

// text is the bar: share of the file, count, rate and time left.
func (p *progress) text(offset int64, done int, rate float64) string {
	if p.size == 0 {
		return fmt.Sprintf("%s, %.0f/s", mailboxes(done), rate)
	}
	share := min(float64(offset)/float64(p.size), 1)
	full := int(share * barWidth)
	left := time.Duration(0)
	if share > 0 {
		left = time.Duration(float64(time.Since(p.start)) * (1 - share) / share).Round(time.Second)
	}
	return fmt.Sprintf("[%s%s] %3.0f %%  %s, %.0f/s, %s left",
		strings.Repeat("#", full), strings.Repeat(".", barWidth-full), share*100, mailboxes(done), rate, left)
}

// clear removes the bar, so that a message can be written.
func (p *progress) clear() {
	if p.bar {
		fmt.Fprint(p.w, clearLine)
	}
}

// end leaves the bar where it is.
func (p *progress) end() {
	if p.bar {
		fmt.Fprintln(p.w)
	}
}
