package downgrade

import (
	"bytes"
	"strings"

	"toastmaster/internal/envelope"
	"toastmaster/internal/header"
	"toastmaster/internal/mime"
)

// encoding is what a Content-Transfer-Encoding says.
type encoding uint8

const (
	sevenBit encoding = iota // or nothing
	eightBit                 // or binary
	quotedPrintable
	otherEncoding
)

// head is what the header of a part says.
type head struct {
	kind     string // "type/subtype" in lower case, "" for none that can be read
	encoding encoding
	typed    bool // there is a Content-Type
	version  bool // there is a MIME-Version
}

const (
	typeField     = "Content-Type"
	encodingField = "Content-Transfer-Encoding"
	versionField  = "MIME-Version"
)

// mostValue is how much of a field is looked at.
const mostValue = 4 << 10

// maxName is how much of a line is held to find its name.
const maxName = 1000

// headReader collects the fields that matter, the first of each name.
type headReader struct {
	head
	values  [2][]byte // of the Content-Type and the Content-Transfer-Encoding
	seen    [2]bool
	current *[]byte
}

func readHead(c envelope.Content, p *mime.Part, block []byte) (head, error) {
	r := headReader{}
	if err := lines(c, p.Start, p.Body, block, r.line); err != nil {
		return head{}, err
	}
	r.typed = r.seen[0]
	if kind, sub := mime.MediaType(r.values[0]); len(kind) > 0 {
		r.kind = strings.ToLower(string(kind) + "/" + string(sub))
	}
	switch strings.ToLower(string(mime.TransferEncoding(r.values[1]))) {
	case "", "7bit":
		r.encoding = sevenBit
	case "8bit", "binary":
		r.encoding = eightBit
	case "quoted-printable":
		r.encoding = quotedPrintable
	default:
		r.encoding = otherEncoding
	}
	return r.head, nil
}

// lines gives f the lines of a header.
func lines(c envelope.Content, from, to int64, block []byte, f func(l header.Line) (bool, error)) error {
	push := header.Pusher{Max: maxName}
	for p, err := range envelope.Pieces(c, from, to, func() []byte { return block }) {
		if err != nil {
			return err
		}
		if _, err := push.Push(p, f); err != nil {
			return err
		}
	}
	return push.Flush(f)
}

// isBlank says that a line ends the header.
func isBlank(l header.Line) bool {
	return l.Kind != header.Rest && (string(l.Text) == "\n" || string(l.Text) == "\r\n")
}

func (r *headReader) line(l header.Line) (more bool, err error) {
	switch {
	case isBlank(l):
	case l.Kind == header.Rest || l.Kind == header.Folded:
		r.add(l.Text)
	default:
		r.current = nil
		r.field(l)
	}
	return true, nil
}

func (r *headReader) add(text []byte) {
	if r.current != nil {
		*r.current = append(*r.current, text[:min(len(text), mostValue-len(*r.current))]...)
	}
}

func (r *headReader) field(l header.Line) {
	at := -1
	switch {
	case l.Kind != header.Field:
	case mime.EqualName(l.Name, typeField):
		at = 0
	case mime.EqualName(l.Name, encodingField):
		at = 1
	case mime.EqualName(l.Name, versionField):
		r.version = true
	}
	if at < 0 || r.seen[at] {
		return
	}
	r.seen[at], r.current = true, &r.values[at]
	r.add(l.Text[bytes.IndexByte(l.Text, ':')+1:])
}
