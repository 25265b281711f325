package smtpreply

import (
	"errors"
	"strconv"
	"strings"

	"toastmaster/internal/dsn"
	"toastmaster/internal/printable"
	"toastmaster/internal/wire"
)

// The errors of what is no reply.
var (
	ErrMalformed = errors.New("malformed reply")
	ErrTooLong   = errors.New("reply too long")
)

// Reply is one reply.
type Reply struct {
	// Code is that of the last line, 200 to 599.
	Code int
	// Status is the enhanced code; class.0.0 when the reply has none that fits.
	Status dsn.Status
	// Enhanced: the status was in the reply.
	Enhanced bool
	// Lines are the texts without code, hyphen and enhanced code, printable, without blanks at the end. Lines beyond
	// Limits.Text are left out.
	Lines []string
}

// Class is the first digit of the code.
func (r *Reply) Class() int { return r.Code / 100 }

// OK says that the reply is a success.
func (r *Reply) OK() bool { return r.Class() == 2 }

// mostShown is how much of a reply stands in a line of the log and in a report.
const mostShown = 1000

// String is the reply on one line, as the log and Diagnostic-Code show it: code, status if it was there, and text.
func (r *Reply) String() string {
	var b strings.Builder
	b.WriteString(strconv.Itoa(r.Code))
	if r.Enhanced {
		b.WriteString(" " + r.Status.String())
	}
	for _, l := range r.Lines {
		l = strings.TrimSpace(l)
		if l == "" {
			continue
		}
		if b.Len()+len(l) > mostShown {
			l = strings.ToValidUTF8(l[:max(0, mostShown-b.Len())], "")
		}
		b.WriteString(" " + l)
		if b.Len() >= mostShown {
			break
		}
	}
	return b.String()
}

// Limits bound a reply.
type Limits struct {
	// Octets is how long it may be, line ends not counted. It is looked at after each line.
	Octets int64
	// Text is how many octets of its text are kept.
	Text int
}

// Read takes one reply from r, whose policy for bare LF it leaves alone (wire.Normalize is meant). edit sees each line without its
// end and gives the one that counts; nil gives it as it is. An error of r and of edit comes back as it is, but for
// wire.ErrTooLong: the beginning of such a line counts. Read sets r.MaxSkipped.
func Read(r *wire.Reader, most Limits, edit func(line []byte) ([]byte, error)) (*Reply, error) {
	a := Assembler{Text: most.Text}
	for left := most.Octets; ; {
		r.MaxSkipped = max(left, 1)
		line, err := r.ReadLine()
		switch {
		case err == nil:
			left -= int64(len(line))
		case errors.Is(err, wire.ErrTooLong):
			line, _ = r.Overlong()
			left -= r.Skipped()
		case errors.Is(err, wire.ErrEndless):
			return nil, ErrTooLong
		default:
			return nil, err
		}
		if left < 0 {
			return nil, ErrTooLong
		}
		left -= lineEnd
		if edit != nil {
			if line, err = edit(line); err != nil {
				return nil, err
			}
		}
		done, err := a.Line(line)
		if done || err != nil {
			return &a.reply, err
		}
	}
}

// lineEnd is what a line counts beside its octets, so that empty lines have an end, too.
const lineEnd = 2

// Assembler puts a reply together from its lines. The zero value keeps no text.
type Assembler struct {
	// Text is how many octets of text are kept.
	Text int

	reply Reply
	kept  int
}

// Line takes the next line, without its line end; done says that it was the last. The line is not kept.
func (a *Assembler) Line(line []byte) (done bool, err error) {
	code, last, text, ok := cut(line)
	if !ok || a.reply.Code != 0 && a.reply.Class() != code/100 {
		return false, ErrMalformed
	}
	if a.reply.Code == 0 {
		a.reply.Status = dsn.Make(code/100, 0, 0)
	}
	a.reply.Code = code
	a.text(strings.TrimRight(printable.UTF8(string(text)), " "))
	return last, nil
}

// Reply is what was put together; it is whole when Line has said so.
func (a *Assembler) Reply() *Reply { return &a.reply }

func (a *Assembler) text(text string) {
	if s, rest, ok := dsn.Parse(strings.TrimLeft(text, " ")); ok && s.Class() == a.reply.Class() {
		text = rest
		a.reply.Status, a.reply.Enhanced = s, true
	}
	if a.kept+len(text) <= a.Text {
		a.kept += len(text) + 1
		a.reply.Lines = append(a.reply.Lines, text)
	}
}

// cut takes a line apart (RFC 5321 section 4.2). A bare "250" is a last line.
func cut(line []byte) (code int, last bool, text []byte, ok bool) {
	for len(line) > 0 && line[len(line)-1] == '\r' {
		line = line[:len(line)-1]
	}
	if len(line) < 3 || line[0] < '2' || line[0] > '5' || line[1] < '0' || line[1] > '9' || line[2] < '0' || line[2] > '9' {
		return 0, false, nil, false
	}
	code = int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0')
	switch {
	case len(line) == 3:
		return code, true, nil, true
	case line[3] != ' ' && line[3] != '-':
		return 0, false, nil, false
	}
	return code, line[3] == ' ', line[4:], true
}

// Whole reads a reply that is there in one piece, with CRLF between its lines, from a program that means to be quoted. Nothing is let
// pass: all lines have one code, none has a status of another class, and none a CR, LF or NUL.
func Whole(data string) (*Reply, error) {
	a := Assembler{Text: len(data)}
	var first Reply
	lines := strings.Split(data, "\r\n")
	for i, line := range lines {
		if strings.ContainsAny(line, "\r\n\x00") {
			return nil, ErrMalformed
		}
		done, err := a.Line([]byte(line))
		if err != nil || done != (i == len(lines)-1) {
			return nil, ErrMalformed
		}
		if i == 0 {
			first = a.reply
		}
		if s, _ := dsn.Split(line[min(4, len(line)):], 0); a.reply.Code != first.Code || s != 0 && s.Class() != first.Class() {
			return nil, ErrMalformed
		}
	}
	return &a.reply, nil
}
