package contentcheck

import (
	"bufio"
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/header"
	"toastmaster/internal/mime"
)

// Class says by which parameter something is looked up.
type Class uint8

// The classes.
const (
	// Header is a field of the message itself, but for those of MIME: header_checks.
	Header Class = iota
	// MIME is a field that says what a message or a part is, and any field of a part: mime_header_checks.
	MIME
	// Nested is a field of a message within the message, but for those of MIME: nested_header_checks.
	Nested
	// Body is a line of what is no header: body_checks.
	Body
	// Classes is how many there are.
	Classes
)

// Found is what is looked up: a field, or a line of the body.
type Found struct {
	Text     string
	IsField  bool
	From, To int64 // where it stands, with its line end
	// End is its line end, "" for a piece of a line.
	End string
}

// Limits bound what is looked up.
type Limits struct {
	// Field is how much of a field, Line how long a line may be before it comes in pieces, in octets.
	Field, Line int64
	// Body is how much of each body, 0 for all.
	Body int64
}

// Walk is the way over a content. It is used once.
type Walk struct {
	Content envelope.Content
	Limits
	// Bodies says that the lines of bodies are looked at, too.
	Bodies bool
	// Look is shown each field and line in their order; over ends the walk. Its error does, too.
	Look func(ctx context.Context, c Class, f Found) (over bool, err error)

	over bool
	// resets are where a part ends: a closing boundary behind it counts anew.
	resets []int64
	line   []byte // memory of a line
}

// unread is why a content could not be looked at.
func unread(err error) error {
	return dsn.Wrap(dsn.MailSystem, "Temporary failure while reading the message", err)
}

// look shows something that has a text.
func (w *Walk) look(ctx context.Context, c Class, f Found) (err error) {
	if f.Text != "" {
		w.over, err = w.Look(ctx, c, f)
	}
	return err
}

// Message walks over the header of each part, and, as body, what stands between them.
func (w *Walk) Message(ctx context.Context) error {
	message, err := mime.Limits{MaxFields: -1}.Scan(envelope.Reader(w.Content))
	if err != nil {
		return unread(err)
	}
	parts := message.Parts
	for _, p := range parts[1:] {
		w.resets = append(w.resets, p.End)
	}
	slices.Sort(w.resets)
	at := int64(0)
	for n, p := range parts {
		if err := w.body(ctx, at, p.Start); err != nil {
			return err
		}
		class := Header
		switch {
		case n == 0:
		case parts[p.Parent].Kind == mime.Rfc822:
			class = Nested
		default:
			class = MIME
		}
		if at, err = w.Fields(ctx, p.Start, p.Body, class); err != nil {
			return err
		}
		if err := w.body(ctx, at, p.Body); err != nil {
			return err
		}
		at = p.Body
	}
	return w.body(ctx, at, w.Content.Size())
}

// Fields walks over the fields in [from,to) until a line is none, and says where that is.
func (w *Walk) Fields(ctx context.Context, from, to int64, class Class) (end int64, err error) {
	scanner := header.NewScanner(section{w.Content, from, to})
	var l header.Line
	f := Found{IsField: true, End: "\n"}
	name := ""
	w.line = w.line[:0]
	for !w.over {
		if err := scanner.Next(&l); err != nil {
			return 0, unread(err)
		}
		if l.Kind == header.Folded || l.Kind == header.Rest {
			if l.Kind == header.Folded {
				w.line = append(w.line, '\n')
			}
			w.append(l.Text)
			f.To = from + l.To
			continue
		}
		c := class
		if mimeField(name) {
			c = MIME
		}
		f.Text = string(w.line[:min(int64(len(w.line)), w.Field)])
		if err := w.look(ctx, c, f); err != nil {
			return 0, err
		}
		if l.Kind != header.Field {
			return from + l.From, nil
		}
		// Space before the colon is not looked at, as in Postfix.
		_, rest, _ := header.Cut(l.Text)
		name = string(l.Name)
		w.line = append(append(w.line[:0], l.Name...), ':')
		w.append(rest)
		f.From, f.To = from+l.From, from+l.To
	}
	return to, nil
}

// append appends as much of a line, without its end, as fits.
func (w *Walk) append(text []byte) {
	text = withoutEnd(text)
	w.line = append(w.line, text[:min(int64(len(text)), max(w.Field-int64(len(w.line)), 0))]...)
}

func withoutEnd(text []byte) []byte {
	if n := len(text); n > 0 && text[n-1] == '\n' {
		return text[:n-1]
	}
	return text
}

// mimeField says that a field is one of MIME, and not of a message: those that Postfix takes
// for such.
func mimeField(name string) bool {
	switch strings.ToLower(name) {
	case "content-description", "content-disposition", "content-id", "content-transfer-encoding", "content-type", "mime-version":
		return true
	}
	return false
}

// readAhead is how much of a body in a file is read at once, in octets.
const readAhead = 64 << 10

// eachLines is after how many lines without a look at the tables the context is looked at.
const eachLines = 1024

// body shows the lines in [from,to), long ones in pieces. What is behind Limits.Body,
// counted from the last header or closing boundary, is passed over.
func (w *Walk) body(ctx context.Context, from, to int64) error {
	if w.over || from >= to || !w.Bodies {
		return nil
	}
	lines := bufio.NewReaderSize(struct{ io.Reader }{bufio.NewReaderSize(io.NewSectionReader(w.Content, from, to-from), readAhead)}, int(w.Line))
	start := from // where counting began
	for n := 0; from < to && !w.over; n++ {
		if n%eachLines == 0 && ctx.Err() != nil {
			return dsn.Wrap(dsn.MailSystem, "Temporary failure while checking the content", ctx.Err())
		}
		text, err := lines.ReadSlice('\n')
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
			return unread(err)
		}
		if len(text) == 0 {
			return unread(io.ErrUnexpectedEOF)
		}
		f := Found{From: from, To: from + int64(len(text))}
		for len(w.resets) > 0 && w.resets[0] <= from {
			w.resets = w.resets[1:]
			if f.To < to || to == w.Content.Size() { // else it is a boundary that begins a part
				start = from
			}
		}
		from = f.To
		if w.Body > 0 && f.From-start >= w.Body {
			continue
		}
		plain := withoutEnd(text)
		f.Text, f.End = string(plain), string(text[len(plain):])
		if err := w.look(ctx, Body, f); err != nil {
			return err
		}
	}
	return nil
}

// section is a part of a content. It does not own it.
type section struct {
	envelope.Content
	from, to int64
}

func (s section) Size() int64 { return s.to - s.from }

func (s section) Close() error { return nil }

func (s section) ReadAt(p []byte, off int64) (int, error) {
	return io.NewSectionReader(s.Content, s.from, s.to-s.from).ReadAt(p, off)
}

func (s section) Bytes() ([]byte, bool) {
	b, ok := s.Content.Bytes()
	if !ok {
		return nil, false
	}
	return b[s.from:s.to], true
}
