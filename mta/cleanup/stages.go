package cleanup

import (
	"context"

	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/header"
)

// stage is a step of the way of a message into the queue. All see the header in
// one pass, line by line, and then come to their end one after the other. A new
// stage is a file and a row in begin.
type stage interface {
	// line sees a line of the header, but for the fields that a stage before has
	// removed.
	line(m *message, l *header.Line)
	// over says that the field of the lines before has come to its end.
	over(m *message)
	// end is the stage's work when the header was read. Its error refuses the
	// message.
	end(ctx context.Context, m *message) error
}

// quiet is a stage that does nothing; others have it inside, for what they leave
// out.
type quiet struct{}

func (quiet) line(*message, *header.Line)         {}
func (quiet) over(*message)                       {}
func (quiet) end(context.Context, *message) error { return nil }

// message is a message on its way, with what stages tell one another.
type message struct {
	c *Cleanup
	s *envelope.Submission

	// headless: the first line is none of a header and not empty. broken: a later
	// one is, and where the header ends is a matter of taste.
	headless, broken bool
	// field is where the present one stands, removing whether it is to go, and
	// seen how many stages see its lines.
	field    span
	removing bool
	seen     int
	// removed are the fields to be left out, or that others take the place of, in order.
	removed []edit

	// What facts finds.
	hasDate, hasFrom, hasMessageID bool
	messageID                      string // for the log, without what is not printable

	// asked are the recipients as the client gave them, given those that are rewritten and expanded.
	asked, given []envelope.Recipient
	// before are the sender and the recipients that mail filters have seen.
	before envelope.Envelope
	// held is the room that was taken for it.
	held []reserved
	// top is what smtpd puts on top of it, and prefix what goes before content.
	top     []byte
	prefix  []byte
	content envelope.Content

	author    author
	claims    claims
	loops     loops
	hops      hops
	rewriting rewriting
	label     label
	onward    onward
	stages    [15]stage
}

// edit is a field that goes, with what comes in its place.
type edit struct {
	span
	text []byte
}

// span is a part of the content.
type span struct{ from, to int64 }

// begin makes the stages of a message, in their order.
func (c *Cleanup) begin(s *envelope.Submission) *message {
	m := &message{c: c, s: s, asked: s.Envelope.Recipients, given: s.Envelope.Recipients, content: s.Content}
	m.label.wanted = !s.Envelope.UTF8 && c.autodetects(s.Envelope.Origin.Source)
	m.stages = [...]stage{
		&m.author,    // users write as themselves
		&m.claims,    // Authentication-Results in our name are removed
		drops{},      // cleanup.drop_headers
		&m.rewriting, // addresses of envelope and header
		facts{},      // which fields there are
		&m.hops,      // Received fields are counted
		stamp{},      // PREPEND, Received
		complete{},   // what mail of our users lacks
		assemble{},   // what of this becomes the prefix
		filters{},    // mail filters see it, and change it
		actions{},    // what a restriction wants of the recipients
		aliases{},    // recipients are expanded
		&m.label,     // whether it is mail that not every host takes
		&m.loops,     // recipients that had the message before are refused
		room{},       // mailboxes have room for it
	}
	return m
}

// run lets the tables see the message, reads the header of what they leave, and lets every stage come to its end.
func (m *message) run(ctx context.Context) error {
	m.begun()
	if err := m.characters(ctx); err != nil {
		return err
	}
	if m.s.Incoming && m.c.o.Checks.any() && !m.s.Override.NoChecks {
		if err := m.inspect(ctx); err != nil {
			return err
		}
	}
	if err := m.read(); err != nil {
		return dsn.Wrap(dsn.MailSystem, "Temporary failure while reading the message", err)
	}
	for _, s := range m.stages {
		if err := s.end(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// read hands the lines of the header to the stages, in one pass with bounded
// memory.
func (m *message) read() error {
	scanner := header.NewScanner(m.s.Content)
	var l header.Line
	for {
		if err := scanner.Next(&l); err != nil {
			return err
		}
		if l.Kind != header.Folded && l.Kind != header.Rest {
			m.endField()
			m.field.from, m.seen = l.From, len(m.stages)
		}
		m.field.to = l.To
		switch {
		case l.Kind == header.End:
			return nil
		case l.Kind == header.Other && l.From == 0:
			if m.headless = true; m.s.Author.IsNull() {
				return nil // nobody else looks further
			}
		case l.Kind == header.Other:
			m.broken = true
		}
		for i := 0; i < m.seen; i++ {
			if m.stages[i].line(m, &l); m.removing && m.seen > i+1 {
				m.seen = i + 1
			}
		}
	}
}

func (m *message) endField() {
	for _, s := range m.stages {
		s.over(m)
	}
	if m.removing {
		m.removed, m.removing = append(m.removed, edit{span: m.field}), false
	}
}

// remove lets the present field go. At over it is the one that has just ended.
func (m *message) remove() { m.removing = true }

// plain says that the lines so far are a header that every reader reads alike.
func (m *message) plain() bool { return !m.headless && !m.broken }
