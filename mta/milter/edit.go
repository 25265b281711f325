package milter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/header"
	"toastmaster/internal/milter"
)

// field is one of a header that is being changed: a part of the message, or a text with its line end.
type field struct {
	name     string // in lower case
	from, to int64
	text     string
}

func (f field) old() bool { return f.text == "" }

// maxFields bounds the fields of a header that is changed. It is no parameter: whoever sends more wants to do harm.
const maxFields = 100_000

// editor changes the header of a message.
type editor struct {
	w      *changes
	check  func(ctx context.Context, text string) (string, error)
	of     envelope.Content
	fields []field
	own    string // our field
	// body is where the body begins, with the empty line before it.
	body int64
}

// content carries out the changes of header and body.
func (w *changes) content(ctx context.Context, d *envelope.Draft) error {
	e := editor{w: w, check: d.Field, own: d.Own, of: envelope.Joined(d.Prefix, d.Content)}
	if err := e.read(); err != nil {
		return err
	}
	for _, c := range w.fields {
		if ctx.Err() != nil {
			return dsn.Wrap(dsn.MailSystem, "Temporary failure while changing the message", context.Cause(ctx))
		}
		if err := e.change(ctx, c); err != nil {
			return err
		}
	}
	return e.write(d)
}

// read finds the fields.
func (e *editor) read() error {
	scanner := header.NewScanner(e.of)
	var line header.Line
	for {
		if err := scanner.Next(&line); err != nil {
			return dsn.Wrap(dsn.MailSystem, "Temporary failure while reading the message", err)
		}
		switch line.Kind {
		case header.Folded, header.Rest:
			if n := len(e.fields); n > 0 {
				e.fields[n-1].to = line.To
			}
			continue
		case header.Field:
			if len(e.fields) == maxFields {
				return dsn.New(dsn.BadContent, "The header has too many fields")
			}
			e.fields = append(e.fields, field{name: strings.ToLower(string(line.Name)), from: line.From, to: line.To})
			continue
		}
		e.body = line.From
		return nil
	}
}

// change carries out one change.
func (e *editor) change(ctx context.Context, c fieldChange) error {
	at := len(e.fields)
	switch c.what {
	case milter.InsertHeader:
		at = min(c.index, at)
	case milter.ChangeHeader:
		found, err := e.find(strings.ToLower(c.name), max(c.index, 1))
		if err != nil {
			return err
		}
		if found < 0 && c.value == "" {
			return nil
		}
		if found >= 0 {
			e.fields = slices.Delete(e.fields, found, found+1)
			at = found
		}
		if c.value == "" {
			return nil
		}
	}
	text := e.text(c.name, c.value)
	if e.check != nil {
		var err error
		if text, err = e.check(ctx, strings.TrimSuffix(text, "\n")); err != nil || text == "" {
			return err
		}
	}
	e.fields = slices.Insert(e.fields, at, field{name: strings.ToLower(c.name), text: text})
	return nil
}

// find is the place of the n-th field of a name, -1 for none. Our own is not counted, which filters do not see.
func (e *editor) find(name string, n int) (int, error) {
	ours := false
	for i, f := range e.fields {
		if f.name != name {
			continue
		}
		if !ours && f.old() && f.to-f.from == int64(len(e.own)) {
			var text strings.Builder
			if err := e.copy(&text, f.from, f.to); err != nil {
				return -1, err
			}
			if ours = text.String() == e.own; ours {
				continue
			}
		}
		if n--; n == 0 {
			return i, nil
		}
	}
	return -1, nil
}

// text is a field as it stands in a message. A line of its value cannot begin another field.
func (e *editor) text(name, value string) string {
	value = strings.TrimRight(strings.ReplaceAll(value, "\r\n", "\n"), "\r\n")
	lines := strings.Split(value, "\n")
	for i, l := range lines {
		if i > 0 && !strings.HasPrefix(l, " ") && !strings.HasPrefix(l, "\t") {
			lines[i] = "\t" + l
		}
	}
	space := " "
	if e.w.spaced {
		space = ""
	}
	return name + ":" + space + strings.Join(lines, "\n") + "\n"
}

// maxHead is how much header stays in memory beside a content, in octets. It is no parameter: a larger one goes to the spool with
// the content.
const maxHead = 256 << 10

// write makes the draft of what there is. What has not changed behind the last change is not copied, when it lies in memory or
// the change stands before all of it.
func (e *editor) write(d *envelope.Draft) error {
	kept, from := len(e.fields), e.body // the fields that stay where they are
	for kept > 0 && e.fields[kept-1].old() && e.fields[kept-1].to == from {
		kept--
		from = e.fields[kept].from
	}
	if e.w.body != nil {
		kept, from = len(e.fields), e.of.Size()
	}
	size := int64(0)
	for _, f := range e.fields[:kept] {
		size += int64(len(f.text)) + f.to - f.from
	}
	_, memory := d.Content.Bytes()
	inside := from - int64(len(d.Prefix)) // how much of the content is not needed
	if size <= maxHead && (e.w.body != nil || inside <= 0 || memory) {
		return e.short(d, kept, from, inside)
	}
	return e.long(d, kept, from)
}

// head writes the first n fields.
func (e *editor) head(to io.Writer, n int) error {
	for _, f := range e.fields[:n] {
		if !f.old() {
			if _, err := io.WriteString(to, f.text); err != nil {
				return err
			}
			continue
		}
		if err := e.copy(to, f.from, f.to); err != nil {
			return err
		}
	}
	return nil
}

func (e *editor) copy(to io.Writer, from, end int64) error {
	n, err := io.Copy(to, io.NewSectionReader(e.of, from, end-from))
	if err == nil && n < end-from {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// short makes another prefix.
func (e *editor) short(d *envelope.Draft, kept int, from, inside int64) error {
	var head strings.Builder
	if err := e.head(&head, kept); err != nil {
		return err
	}
	switch {
	case e.w.body != nil:
		head.WriteByte('\n')
		old := d.Content
		d.Prefix, d.Content, e.w.body = []byte(head.String()), e.w.body, nil
		return old.Close()
	case inside <= 0:
		d.Prefix = append([]byte(head.String()), d.Prefix[from:]...)
	default:
		d.Prefix, d.Content = []byte(head.String()), envelope.Tail(d.Content, inside)
	}
	return nil
}

// long copies the message.
func (e *editor) long(d *envelope.Draft, kept int, from int64) error {
	out := e.w.f.o.Spool.New()
	err := e.head(out, kept)
	switch {
	case err != nil:
	case e.w.body != nil:
		_, err = io.WriteString(out, "\n")
		if err == nil {
			_, err = io.Copy(out, io.NewSectionReader(e.w.body, 0, e.w.body.Size()))
		}
	default:
		err = e.copy(out, from, e.of.Size())
	}
	if err != nil {
		return errors.Join(fmt.Errorf("changing the message: %w", err), out.Close())
	}
	old := d.Content
	d.Prefix, d.Content = nil, out
	return old.Close()
}
