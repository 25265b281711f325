package header

import (
	"bufio"
	"bytes"
	"io"
)

// Cut splits the first line of a field at its colon; rest has the line's end. A
// name has visible ASCII characters without colon; space before the colon is
// obsolete but understood (RFC 5322 section 4.5.3). ok is false for what is no
// field.
func Cut(line []byte) (name, rest []byte, ok bool) {
	i := bytes.IndexByte(line, ':')
	if i <= 0 {
		return nil, nil, false
	}
	name = line[:i]
	for len(name) > 0 && (name[len(name)-1] == ' ' || name[len(name)-1] == '\t') {
		name = name[:len(name)-1]
	}
	for _, b := range name {
		if b <= ' ' || b >= 0x7f {
			return nil, nil, false
		}
	}
	return name, line[i+1:], len(name) > 0
}

// Split is Cut with a value that has no space around it.
func Split(line []byte) (name, value []byte, ok bool) {
	name, rest, ok := Cut(line)
	return name, bytes.TrimSpace(rest), ok
}

// Kind is what a line of a header is.
type Kind uint8

// The kinds of line.
const (
	// End is the empty line behind a header, or the end of the message.
	End Kind = iota
	// Field begins a field.
	Field
	// Folded continues the line before.
	Folded
	// Other is no field.
	Other
	// Rest is more of a line that was cut.
	Rest
)

// Line is a line of a header. Its slices are valid until the next one is read.
type Line struct {
	Kind Kind
	// Name and Value are those of a Field, Value without space around it.
	Name, Value []byte
	// Text is the line with its line end. Cut says that it is but a piece of a long
	// line, and the next one, a Rest, has more of it.
	Text []byte
	Cut  bool
	// From and To are where it stands in the message, in octets.
	From, To int64
}

// Content is a message: envelope.Content is one.
type Content interface {
	io.ReaderAt
	Size() int64
	// Bytes is the whole message, when it lies in memory.
	Bytes() ([]byte, bool)
}

// window is how much of a header in a file is read at once.
const window = 16 << 10

// Scanner reads the lines of a header.
type Scanner struct {
	memory []byte
	file   *bufio.Reader
	at     int64 // of the next line
	cut    bool  // the line before was
	over   bool
}

// NewScanner begins at the start of c.
func NewScanner(c Content) Scanner {
	if b, ok := c.Bytes(); ok {
		return Scanner{memory: b}
	}
	return Scanner{file: bufio.NewReaderSize(io.NewSectionReader(c, 0, c.Size()), window)}
}

// Next reads a line into l. Behind the End it gives the End again. The error is
// one of reading the message.
func (s *Scanner) Next(l *Line) error {
	*l = Line{From: s.at, To: s.at}
	if s.over {
		return nil
	}
	rest := s.cut
	if err := s.read(l); err != nil {
		return err
	}
	l.To, s.cut = s.at, l.Cut
	if rest {
		l.Kind = Rest
		return nil
	}
	l.classify()
	s.over = l.Kind == End
	return nil
}

// classify says what a line is that is no Rest.
func (l *Line) classify() {
	first := byte('\n')
	if len(l.Text) > 0 {
		first = l.Text[0]
	}
	switch {
	case first == '\n':
		l.Kind = End
	case (first == ' ' || first == '\t') && l.From > 0:
		l.Kind = Folded
	default:
		l.Kind = Other
		if name, value, ok := Split(l.Text); ok {
			l.Kind, l.Name, l.Value = Field, name, value
		}
	}
}

// read reads the text of a line, which is empty at the end of the message.
func (s *Scanner) read(l *Line) error {
	if s.file == nil {
		l.Text = s.memory[s.at:]
		if i := bytes.IndexByte(l.Text, '\n'); i >= 0 {
			l.Text = l.Text[:i+1]
		}
		s.at += int64(len(l.Text))
		return nil
	}
	text, err := s.file.ReadSlice('\n')
	s.at += int64(len(text))
	l.Text, l.Cut = text, err == bufio.ErrBufferFull
	if l.Cut || err == io.EOF {
		return nil
	}
	return err
}
