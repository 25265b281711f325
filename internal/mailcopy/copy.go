package mailcopy

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"time"

	"toastmaster/internal/addr"
	"toastmaster/internal/envelope"
	"toastmaster/internal/header"
	"toastmaster/internal/trace"
)

// Copy is how a message is written. The zero Copy writes it as it is.
type Copy struct {
	// From is the sender of a line "From SENDER  DATE" before everything, "" for no
	// such line; At is its date, in its own time zone.
	From string
	At   time.Time
	// ReturnPath is the value of Return-Path, with its brackets; OriginalTo and DeliveredTo are
	// those of X-Original-To and Delivered-To. "" is none of them.
	ReturnPath, OriginalTo, DeliveredTo string
	// EOL ends each line, "\n" when empty.
	EOL string
	// Dots puts "." before lines that begin with one, Quote ">" before those that begin
	// with "From ".
	Dots, Quote bool
	// Blank puts an empty line behind the message.
	Blank bool
}

// Write writes the message.
func (c *Copy) Write(w io.Writer, m envelope.Content) error {
	out := bufio.NewWriterSize(w, 32<<10)
	eol := c.EOL
	if eol == "" {
		eol = "\n"
	}
	for _, line := range c.head() {
		out.WriteString(line)
		out.WriteString(eol)
	}
	in := bufio.NewReaderSize(envelope.Reader(m), 32<<10)
	for begins := true; ; {
		part, err := in.ReadSlice('\n')
		if len(part) > 0 {
			line, ended := bytes.CutSuffix(part, []byte("\n"))
			if begins {
				c.mark(out, line)
			}
			out.Write(line)
			if ended {
				out.WriteString(eol)
			}
			begins = ended
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			if !begins {
				out.WriteString(eol)
			}
			if c.Blank {
				out.WriteString(eol)
			}
			return out.Flush()
		case err != nil:
			return err
		}
		// A writer that has failed says so now and not at the end of a large message.
		if _, err := out.Write(nil); err != nil {
			return err
		}
	}
}

func (c *Copy) mark(out *bufio.Writer, line []byte) {
	switch {
	case c.Dots && bytes.HasPrefix(line, []byte(".")):
		out.WriteByte('.')
	case c.Quote && bytes.HasPrefix(line, []byte("From ")):
		out.WriteByte('>')
	}
}

// head are the lines before the message.
func (c *Copy) head() (lines []string) {
	if c.From != "" {
		lines = append(lines, "From "+c.From+"  "+c.At.Format("Mon Jan _2 15:04:05 2006"))
	}
	for _, f := range []struct{ name, value string }{{"Return-Path", c.ReturnPath}, {"X-Original-To", c.OriginalTo}, {"Delivered-To", c.DeliveredTo}} {
		if f.value != "" {
			lines = append(lines, f.name+": "+f.value)
		}
	}
	return lines
}

// Loops says that a Delivered-To field of the message has the address.
func Loops(m envelope.Content, to addr.Address) (bool, error) {
	d, err := Delivered(m)
	return err == nil && d.To(to), err
}

// Delivered are the addresses in the Delivered-To fields of the message.
func Delivered(m envelope.Content) (d trace.Delivered, err error) {
	s := header.NewScanner(m)
	var l header.Line
	for {
		if err := s.Next(&l); err != nil || l.Kind == header.End {
			return d, err
		}
		if l.Kind == header.Field && bytes.EqualFold(l.Name, []byte("Delivered-To")) {
			d.Add(string(bytes.TrimSpace(l.Value)))
		}
	}
}
