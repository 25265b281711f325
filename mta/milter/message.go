package milter

import (
	"bytes"
	"context"
	"io"
	"strings"

	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/header"
	"toastmaster/internal/milter"
)

// Filter shows the message to all filters, one after the other: each sees what those before it have made of it. It implements
// envelope.Filter.
func (s *Session) Filter(ctx context.Context, d *envelope.Draft) error {
	for _, l := range s.links {
		if s.discards {
			break
		}
		v, changes := l.message(ctx, d)
		if v.Hold {
			d.Envelope.Hold = true
		}
		switch {
		case v.Err != nil:
			return errWith(v.Err, changes.drop())
		case v.Discard:
			s.discards = true
		}
		if err := changes.apply(ctx, d); err != nil {
			return err
		}
	}
	d.Discard = d.Discard || s.discards
	return nil
}

// message shows the message to a filter. changes are what it wants changed, nil for nothing.
func (l *link) message(ctx context.Context, d *envelope.Draft) (Verdict, *changes) {
	switch l.state {
	case refused, broken:
		return l.verdict, nil
	case listening:
	default:
		return Verdict{}, nil
	}
	w := &changes{f: l.s.f, spaced: l.c.agreed.Steps&milter.LeadingSpace != 0, log: l.log}
	defer func() {
		l.skips = 0
		if l.state == acceptsMail {
			l.state = listening
		}
	}()
	v, over, err := l.header(ctx, envelope.Joined(d.Prefix, d.Content), d.Own)
	if err == nil && !over.ended {
		v, over.ended, err = l.body(ctx, envelope.Joined(d.Prefix, d.Content), over.body)
	}
	if err != nil {
		// The filter knows nothing of it, and waits for the rest.
		l.abort()
		return Verdict{Err: dsn.Wrap(dsn.MailSystem, "Temporary failure while reading the message", err)}, nil
	}
	if over.ended {
		return v, nil
	}
	v = l.say(ctx, event{code: milter.EndOfBody, at: atEndOfMessage}, l.filter.ContentTimeout, w.take)
	if l.state == broken {
		// What it wanted before is no half of a change: the message stays as it was.
		return v, w.undone()
	}
	return v, w
}

// header is where the shown part of a message stands.
type shown struct {
	ended bool  // the filter wants no more of it
	body  int64 // where the body begins
}

// maxField is how much of a field, name and value, a filter is told: what libmilter takes as a packet, which breaks the connection
// otherwise. It is no parameter.
const maxField = milter.MaxPacket - len("L") - 2

// header tells the fields, but for own, and the end of the header.
func (l *link) header(ctx context.Context, c envelope.Content, own string) (v Verdict, at shown, err error) {
	scanner := header.NewScanner(c)
	var line header.Line
	var name string
	var value []byte
	ours, in := false, false
	tell := func() bool {
		if !in {
			return true
		}
		in = false
		if !ours && ownField(own, name, value) {
			ours = true
			return true
		}
		if l.c.agreed.Steps&milter.NoHeaders != 0 {
			return true // nor is it told the macros
		}
		v = l.say(ctx, event{
			code: milter.Header, at: atEndOfHeader, leaves: milter.NoHeaders, silent: milter.NoReplyHeader, data: milter.Strings(name, string(value)),
		}, l.filter.ContentTimeout, nil)
		return v.pass() && l.state == listening
	}
	for {
		if err := scanner.Next(&line); err != nil {
			return v, at, err
		}
		switch line.Kind {
		case header.Folded, header.Rest:
			value = upTo(value, line.Text, maxField-len(name))
			continue
		}
		value = bytes.TrimSuffix(value, []byte{'\n'})
		if !tell() {
			at.ended = true
			return v, at, nil
		}
		if line.Kind != header.Field {
			break
		}
		_, rest, _ := header.Cut(line.Text)
		if l.c.agreed.Steps&milter.LeadingSpace == 0 {
			rest = bytes.TrimPrefix(rest, []byte{' '})
		}
		name, in = string(line.Name), true
		if len(name) > maxField {
			name = name[:maxField]
		}
		value = upTo(value[:0], rest, maxField-len(name))
	}
	at.body = line.From
	if line.Kind == header.End {
		at.body = line.To
	}
	if l.c.agreed.Steps&milter.NoEndOfHeader != 0 {
		return v, at, nil
	}
	v = l.say(ctx, event{code: milter.EndOfHeader, at: atEndOfHeader, leaves: milter.NoEndOfHeader, silent: milter.NoReplyEndOfHeader}, l.filter.ContentTimeout, nil)
	at.ended = !v.pass() || l.state != listening
	return v, at, nil
}

// ownField says that a field is ours. value may be without the space behind the colon.
func ownField(own, name string, value []byte) bool {
	before, after, ok := strings.Cut(own, ":")
	return ok && strings.EqualFold(before, name) && strings.TrimPrefix(strings.TrimSuffix(after, "\n"), " ") == strings.TrimPrefix(string(value), " ")
}

// upTo appends as much of text as there is room for.
func upTo(b, text []byte, most int) []byte {
	return append(b, text[:min(len(text), max(most-len(b), 0))]...)
}

// body tells the octets from an offset on, with CR LF line ends, in pieces that libmilter takes.
func (l *link) body(ctx context.Context, c envelope.Content, from int64) (v Verdict, ended bool, err error) {
	if l.c.never&milter.NoBody != 0 || l.c.agreed.Steps&milter.NoBody != 0 {
		return Verdict{}, false, nil
	}
	room := l.s.f.chunk()
	defer l.s.f.buffers.Put(room)
	piece := (*room)[:0]
	told := func() bool {
		v = l.say(ctx, event{code: milter.Body, at: atEndOfMessage, leaves: milter.NoBody, silent: milter.NoReplyBody, data: piece}, l.filter.ContentTimeout, nil)
		piece = piece[:0]
		return v.pass() && l.state == listening
	}
	r := io.NewSectionReader(c, from, c.Size()-from)
	block := make([]byte, min(32<<10, max(c.Size()-from, 0)))
	cr := false
	for {
		n, err := r.Read(block)
		for p := block[:n]; len(p) > 0; {
			line, end := p, false
			if i := bytes.IndexByte(p, '\n'); i >= 0 {
				line, end = p[:i], true
			}
			p = p[len(line):]
			if len(line) > 0 {
				cr = line[len(line)-1] == '\r'
			}
			if end {
				p = p[1:]
			}
			for len(line) > 0 {
				k := min(len(line), milter.MaxPacket-len(piece))
				piece, line = append(piece, line[:k]...), line[k:]
				if len(piece) == milter.MaxPacket && !told() {
					return v, true, nil
				}
			}
			if !end {
				continue
			}
			ending := "\r\n"
			if cr { // a CR before it was kept, and is no line end's
				ending = "\n"
			}
			cr = false
			for _, b := range []byte(ending) {
				if piece = append(piece, b); len(piece) == milter.MaxPacket && !told() {
					return v, true, nil
				}
			}
			if l.skips == milter.Body {
				return v, false, nil
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return v, false, err
		}
	}
	if len(piece) > 0 && !told() {
		return v, true, nil
	}
	return v, false, nil
}
