package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"toastmaster/admin/model"
	"toastmaster/internal/printable"
)

// exitUnavailable (EX_UNAVAILABLE of sysexits.h) is the answer to an option of Postfix that
// means nothing here.
const exitUnavailable = 69

// errNotHere is that an option of Postfix has no meaning.
var errNotHere = errors.New("not done here")

const postcatUsage = "usage: postcat [-b (body text)] [-c config_file] [-d (decimal record type)] [-e (envelope records)] [-h (header text)] [-v] -q queue_id..."

// newPostcatCommand has the command line of Postfix's postcat(1).
func newPostcatCommand(env *Environment) *cobra.Command {
	return newQueueProgramCommand(env, "postcat [-bdeh] -q ID...", "Print queued mail with its envelope, as Postfix's postcat does",
		"Prints queued messages as Postfix's postcat(1) does: -e the envelope, -h the header, -b the body;\n"+
			"without them all three. -d puts the number before each line that its record has in a queue file of\n"+
			"Postfix. Lines end as text does here, `queue cat` prints the octets. -c FILE names the configuration.\n"+
			"Called as postcat the exit code is 0; 1 for what fails; 69 for what is not there: files (without\n"+
			"-q), offsets (-o, -s) and the order of records (-r).", Postcat)
}

// Postcat is the program when it is called as postcat.
func Postcat(ctx context.Context, env *Environment, args []string) int {
	p := newQueueProgram(env, "postcat")
	err := p.postcat(ctx, args)
	fatal := 1
	if errors.Is(err, errNotHere) {
		fatal = exitUnavailable
	}
	return p.end(err, fatal)
}

func (p *queueProgram) postcat(ctx context.Context, args []string) error {
	c := catalogue{w: p.stdout}
	p.flags.BoolVarP(&c.body, "body", "b", false, "")
	p.flags.BoolVarP(&c.types, "decimal", "d", false, "")
	p.flags.BoolVarP(&c.envelope, "envelope", "e", false, "")
	p.flags.BoolVarP(&c.header, "header", "h", false, "")
	queue := p.flags.BoolP("queue", "q", false, "")
	p.flags.BoolP("offsets", "o", false, "")
	p.flags.BoolP("raw", "r", false, "")
	p.flags.StringP("skip", "s", "", "")
	if err := p.flags.Parse(args); errors.Is(err, pflag.ErrHelp) {
		return p.help(postcatUsage)
	} else if err != nil {
		return fmt.Errorf("%w; %s", err, postcatUsage)
	}
	for _, letter := range []string{"o", "r", "s"} {
		if p.flags.ShorthandLookup(letter).Changed {
			return fmt.Errorf("option -%s: %w: files of the queue have no records of Postfix", letter, errNotHere)
		}
	}
	switch {
	case !*queue:
		return fmt.Errorf("files are %w: name queued messages, -q queue_id", errNotHere)
	case p.flags.NArg() == 0:
		return fatalf("%s", postcatUsage)
	}
	if !c.body && !c.envelope && !c.header {
		c.body, c.envelope, c.header = true, true, true
	}
	for _, id := range p.flags.Args() {
		if !validQueueID(id) {
			return fmt.Errorf("bad mail queue ID: %s", id)
		}
	}
	return p.admin().withQueue(ctx, readsQueue, func() {}, func(q mailQueue) error {
		for _, id := range p.flags.Args() {
			if err := p.catMessage(ctx, q, c, id); err != nil {
				return err
			}
		}
		return nil
	})
}

func (p *queueProgram) catMessage(ctx context.Context, cl mailQueue, c catalogue, id string) error {
	m, err := cl.Queued(ctx, id)
	if model.KindOf(err) == model.NotFound {
		return fmt.Errorf("open queue file %s: No such file or directory", id)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", id, err)
	}
	content, err := cl.QueuedContent(ctx, id)
	if err != nil {
		return fmt.Errorf("%s: %w", id, err)
	}
	defer content.Close()
	if m.Damaged {
		p.warn("%s: the content is damaged: not what was accepted", id)
	}
	if err := c.print(m, content); err != nil {
		return fmt.Errorf("%s: %w", id, err)
	}
	return nil
}

// The types of Postfix's records, of which -d tells.
const (
	recordSize      = 'C'
	recordTime      = 'T'
	recordAttribute = 'A'
	recordSender    = 'S'
	recordRecipient = 'R'
	recordMessage   = 'M'
	recordLine      = 'N'
	recordExtracted = 'X'
	recordEnd       = 'E'
)

// catalogue prints a message as records of Postfix.
type catalogue struct {
	w                             io.Writer
	body, envelope, header, types bool
}

func (c catalogue) record(kind rune, format string, args ...any) {
	c.number(kind)
	fmt.Fprintf(c.w, format+"\n", args...)
}

func (c catalogue) number(kind rune) {
	if c.types {
		fmt.Fprintf(c.w, "%3d ", kind)
	}
}

// print writes the parts that were asked for. Errors of the writer come when it is flushed.
func (c catalogue) print(m model.QueuedMessage, content io.Reader) error {
	name := m.Place + "/" + m.ID
	if c.envelope {
		fmt.Fprintf(c.w, "*** ENVELOPE RECORDS %s ***\n", name)
		c.record(recordSize, "message_size: %15d %15d %15d %15d %15d %15d", m.Size, 0, len(m.Recipients), 0, m.Size, 0)
		c.record(recordTime, "message_arrival_time: %s", m.Arrived.Local().Format("Mon Jan _2 15:04:05 2006"))
		for _, a := range m.Actions {
			c.record(recordAttribute, "named_attribute: action=%s", printable.UTF8(a))
		}
		c.record(recordSender, "sender: %s", printable.UTF8(m.Sender))
		for _, r := range m.Recipients {
			c.record(recordRecipient, "recipient: %s", printable.UTF8(r.Address))
		}
		c.record(recordMessage, "*** MESSAGE CONTENTS %s ***", name)
	}
	if c.body || c.header {
		if err := c.content(content); err != nil {
			return err
		}
	}
	if c.envelope {
		c.record(recordExtracted, "*** HEADER EXTRACTED %s ***", name)
		c.record(recordEnd, "*** MESSAGE FILE END %s ***", name)
	}
	return nil
}

// content writes the header, which ends before the first line that is none of it, and the
// body. A line may be longer than memory.
func (c catalogue) content(r io.Reader) error {
	lines := bufio.NewReaderSize(r, 64<<10)
	inHeader, fields, within := true, 0, false
	for {
		piece, more, err := lines.ReadLine()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if !within && inHeader {
			inHeader = beginsField(string(piece)) || fields > 0 && len(piece) > 0 && (piece[0] == ' ' || piece[0] == '\t')
			fields++
		}
		if inHeader && c.header || !inHeader && c.body {
			if !within {
				c.number(recordLine)
			}
			if !more {
				piece = append(piece[:len(piece):len(piece)], '\n')
			}
			if _, err := c.w.Write(piece); err != nil {
				return err
			}
		}
		within = more
	}
}

// beginsField says that a line begins a header field: a name, perhaps blanks, a colon.
func beginsField(line string) bool {
	name, _, found := strings.Cut(line, ":")
	name = strings.TrimRight(name, " \t")
	return found && name != "" && !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' })
}
