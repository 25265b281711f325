package downgrade

import (
	"iter"
	"strings"
	"unicode/utf8"

	"toastmaster/internal/envelope"
	"toastmaster/internal/mime"
)

// ImpossibleError says why a message cannot be converted, in words for its sender.
type ImpossibleError struct{ Reason string }

func (e *ImpossibleError) Error() string { return "8-bit content cannot be converted: " + e.Reason }

// Plan is how a message is converted. Safe for concurrent use.
type Plan struct {
	content envelope.Content
	edits   []edit
}

// edit is what changes in a part: fields of its header, and its body.
type edit struct {
	start, body int64
	end         int64 // of the body that is encoded; that of the header when it stays as it is
	label       string
	version     bool // a MIME-Version is missing
	charset     bool // and so is a Content-Type
	repair      bool
}

// New makes the plan for c, which must stay open as long as it is used. It is nil when no
// body needs to be converted. The error is an *ImpossibleError, or one of reading c.
func New(c envelope.Content, l mime.Limits) (*Plan, error) {
	l.MaxFields = -1
	m, err := l.Scan(envelope.Reader(c))
	if err != nil {
		return nil, err
	}
	s := survey{content: c, parts: make([]part, len(m.Parts)), block: make([]byte, blockSize)}
	found := false
	for i := range m.Parts {
		if err := s.look(int32(i), &m.Parts[i]); err != nil {
			return nil, err
		}
		found = found || s.parts[i].eight
	}
	if !found {
		return nil, nil
	}
	if len(m.Parts) >= l.Parts() {
		return nil, &ImpossibleError{"the message has too many parts"}
	}
	return s.plan()
}

// survey is what is found out about the parts.
type survey struct {
	content envelope.Content
	parts   []part
	block   []byte
}

type part struct {
	*mime.Part
	head
	// sealed is why nothing may be changed here and below, "" when it may.
	sealed string
	eight  bool // a leaf whose body has 8-bit octets
	edit   edit
	edited bool
}

// look reads header and body of a part.
func (s *survey) look(i int32, of *mime.Part) error {
	p := &s.parts[i]
	p.Part = of
	var err error
	if p.head, err = readHead(s.content, of, s.block); err != nil {
		return err
	}
	if of.Parent != mime.None {
		p.sealed = s.parts[of.Parent].sealed
	}
	if p.sealed == "" {
		p.sealed = p.seal()
	}
	if of.Kind == mime.Leaf {
		p.eight, err = has8Bit(s.content, of.Body, of.End, s.block)
	}
	return err
}

// seal says why a part is not to be changed at all.
func (p *part) seal() string {
	composite := strings.HasPrefix(p.kind, "multipart/") || p.kind == "message/rfc822"
	switch {
	case p.kind == "multipart/signed":
		return "it is signed as it is (multipart/signed)"
	case p.kind == "message/partial" || p.kind == "message/external-body":
		return "there is no encoding for " + p.kind
	case composite && p.Kind == mime.Leaf:
		return p.kind + " has no parts that can be told apart"
	case p.encoding != sevenBit && p.encoding != eightBit && (p.Kind != mime.Leaf || p.encoding != quotedPrintable):
		return "it is in a part that is already encoded in another way"
	}
	return ""
}

// plan decides about each part.
func (s *survey) plan() (*Plan, error) {
	for i := range s.parts {
		p := &s.parts[i]
		if p.sealed != "" {
			if p.eight {
				return nil, &ImpossibleError{p.sealed}
			}
			continue
		}
		e := edit{start: p.Start, body: p.Body, end: p.Body}
		switch {
		case p.Kind != mime.Leaf:
			if p.encoding == eightBit {
				e.label = "7bit"
			}
		case p.encoding == quotedPrintable:
			e.repair = p.eight
		case p.eight || p.encoding == eightBit:
			e.label = "quoted-printable"
		}
		if e.label == "" && !e.repair {
			continue
		}
		if p.Kind == mime.Leaf {
			e.end = p.End
		}
		p.set(e)
		s.identify(p)
	}
	plan := &Plan{content: s.content}
	for i := range s.parts {
		if s.parts[i].edited {
			plan.edits = append(plan.edits, s.parts[i].edit)
		}
	}
	return plan, nil
}

// set keeps what identify has asked for.
func (p *part) set(e edit) {
	e.version, e.charset = p.edit.version, p.edit.charset
	p.edit, p.edited = e, true
}

// identify makes the message around a part that changes say that it is MIME.
func (s *survey) identify(p *part) {
	top := p
	for top.Parent != mime.None && s.parts[top.Parent].Kind != mime.Rfc822 {
		top = &s.parts[top.Parent]
	}
	if top.version {
		return
	}
	if !top.edited {
		top.set(edit{start: top.Start, body: top.Body, end: top.Body})
	}
	top.edit.version = true
	top.edit.charset = !top.typed
}

const blockSize = 32 << 10

// has8Bit reads [from,to).
func has8Bit(c envelope.Content, from, to int64, block []byte) (bool, error) {
	for p, err := range envelope.Pieces(c, from, to, func() []byte { return block }) {
		if err != nil {
			return false, err
		}
		for _, b := range p {
			if b >= utf8.RuneSelf {
				return true, nil
			}
		}
	}
	return false, nil
}

// Pieces is the converted message. A piece is valid until the next one; an error is one of
// reading, and the last that comes.
func (p *Plan) Pieces() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		w := writer{content: p.content, yield: yield, block: make([]byte, blockSize)}
		at := int64(0)
		for i := range p.edits {
			e := &p.edits[i]
			if !w.copy(at, e.start) || !w.header(e) || !w.body(e) {
				return
			}
			at = e.end
		}
		_ = w.copy(at, p.content.Size()) && w.flush()
	}
}
