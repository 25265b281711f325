package mime

import "io"

// Kind says what a part contains.
type Kind uint8

// The kinds of part.
const (
	// Leaf has no children: text, images, and what is opaque.
	Leaf Kind = iota
	// Multipart has its parts as children, possibly none.
	Multipart
	// Rfc822 is message/rfc822; its one child is the message inside.
	Rfc822
)

// Encoding is the Content-Transfer-Encoding of a part.
type Encoding uint8

// The encodings. Whatever is not known is Identity: there is nothing to decode.
const (
	Identity Encoding = iota
	QuotedPrintable
	Base64
)

// None is the absence of a part in Parent, Child and Next.
const None int32 = -1

// Part is one node of the tree. Offsets are stored octets from the start of
// the message: the header is [Start,Body), blank line included, and the body
// is [Body,End), without the line break that belongs to the next boundary.
type Part struct {
	Parent, Child, Next int32

	Start, Body, End int64
	// HeaderWire and BodyWire are the sizes of header and body on the wire.
	HeaderWire, BodyWire int64
	// Lines counts the line ends of the body.
	Lines int64

	Kind     Kind
	Encoding Encoding
	// Text says text/*: SEARCH BODY looks into it, after Charset.
	Text bool
	// Charset is the parameter as written, empty if there is none.
	Charset []byte
}

// Message is what is known of a message after one scan.
type Message struct {
	// Size is the number of octets stored, WireSize with CR LF line ends.
	Size, WireSize int64
	// Envelope is the ENVELOPE of RFC 3501: "(date subject ...)", with
	// literals where a quoted string cannot do.
	Envelope []byte
	// Structure is the BODYSTRUCTURE in the same form.
	Structure []byte
	// Parts is the tree; Parts[0] is the message itself. The order is that of
	// the file.
	Parts []Part
	// Fields are those of the header that the record keeps.
	Fields Fields
	// Keys are what packages above have made of the message to keep with it
	// (mailstore/search), nil for nothing. Scan makes none.
	Keys []byte

	// apart is the length of fields that were not read, see FieldsSize.
	apart int
	// cuts are the ranges of Structure that are extension data, as pairs of
	// offsets. Without them it is BODY.
	cuts []uint32
}

// AppendBody appends BODY, that is BODYSTRUCTURE without extension data.
func (m *Message) AppendBody(dst []byte) []byte {
	from := uint32(0)
	for i := 0; i+1 < len(m.cuts); i += 2 {
		dst = append(dst, m.Structure[from:m.cuts[i]]...)
		from = m.cuts[i+1]
	}
	return append(dst, m.Structure[from:]...)
}

// Limits bound the cost of one message. A zero field is its default.
type Limits struct {
	// MaxParts is the number of parts, the message itself included. Default
	// 10,000, as Dovecot's.
	MaxParts int
	// MaxDepth is how deep parts nest. Default 100.
	MaxDepth int
	// MaxText is the number of octets of header text that are looked at in
	// one header; an address list may grow to twice that in ENVELOPE, all
	// parts together to four times. Default 256 KiB.
	MaxText int
	// MaxFields is how many octets of fields are kept, see Fields; below 0 none.
	// Default 16 KiB.
	MaxFields int
}

func (l Limits) orDefaults() Limits {
	if l.MaxParts <= 0 {
		l.MaxParts = 10_000
	}
	if l.MaxDepth <= 0 {
		l.MaxDepth = 100
	}
	if l.MaxText <= 0 {
		l.MaxText = 256 << 10
	}
	if l.MaxFields == 0 {
		l.MaxFields = 16 << 10
	}
	return l
}

// Scan reads a message to its end with the default limits. The only errors
// are those of r.
func Scan(r io.Reader) (*Message, error) { return Limits{}.Scan(r) }

// window is how much of a message lies in memory during Scan. It must hold
// the longest boundary.
const window = 64 << 10

// Scan reads a message to its end. The only errors are those of r.
func (l Limits) Scan(r io.Reader) (*Message, error) {
	s := newScanner(l)
	buf := make([]byte, window)
	n := 0
	for {
		read, err := r.Read(buf[n:])
		n += read
		if err != nil && err != io.EOF {
			return nil, err
		}
		if err == io.EOF {
			s.feed(buf[:n], true)
			return s.finish(), nil
		}
		if n < len(buf)/2 {
			continue
		}
		used := s.feed(buf[:n], n == len(buf))
		n = copy(buf, buf[used:n])
	}
}

// ScanBytes scans a message in memory. The result does not refer to b.
func (l Limits) ScanBytes(b []byte) *Message {
	s := newScanner(l)
	s.feed(b, true)
	return s.finish()
}
