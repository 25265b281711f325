package mime

// What names a piece of a message or part (RFC 3501 section 6.4.5).
type What uint8

// The specifiers of BODY[...].
const (
	// Whole is BODY[] or BODY[1.2]: the message, or the body of a part.
	Whole What = iota
	// Header is HEADER, also under HEADER.FIELDS; blank line included.
	Header
	// Text is TEXT: what follows the header.
	Text
	// MIME is the header of a part.
	MIME
)

// Range is a piece of the stored message and its size on the wire.
type Range struct {
	From, To, Wire int64
}

// Find returns the index of the part that a section number names. A message
// that is no multipart has a part 1: itself.
func (m *Message) Find(path []uint32) (index int32, ok bool) {
	container := int32(0)
	for level, n := range path {
		if level > 0 {
			switch m.Parts[index].Kind {
			case Multipart:
				container = index
			case Rfc822:
				container = m.Parts[index].Child
			default:
				return None, false
			}
		}
		index = m.nth(container, n)
		if index == None {
			return None, false
		}
	}
	return index, len(path) > 0
}

func (m *Message) nth(container int32, n uint32) int32 {
	if n == 0 {
		return None
	}
	if m.Parts[container].Kind != Multipart {
		if n == 1 {
			return container
		}
		return None
	}
	c := m.Parts[container].Child
	for ; n > 1 && c != None; n-- {
		c = m.Parts[c].Next
	}
	return c
}

// IsMessage says that a section number names a message: the whole one, or that
// in a message/rfc822.
func (m *Message) IsMessage(path []uint32) bool {
	i, ok := m.Find(path)
	return len(path) == 0 || ok && m.Parts[i].Kind == Rfc822
}

// Section finds a piece. ok is false when the message has none such, which is a
// part that does not exist. HEADER and TEXT of a part that is no message are
// empty, as in Dovecot.
func (m *Message) Section(path []uint32, what What) (r Range, ok bool) {
	if len(path) == 0 {
		if what == Whole {
			return Range{0, m.Size, m.WireSize}, true
		}
		return m.Parts[0].piece(what)
	}
	i, ok := m.Find(path)
	if !ok {
		return Range{}, false
	}
	p := &m.Parts[i]
	switch what {
	case MIME:
		return p.piece(Header)
	case Whole:
		return p.piece(Text)
	}
	if p.Kind != Rfc822 {
		return Range{p.Body, p.Body, 0}, true
	}
	return m.Parts[p.Child].piece(what)
}

func (p *Part) piece(what What) (Range, bool) {
	switch what {
	case Header:
		return Range{p.Start, p.Body, p.HeaderWire}, true
	case Text:
		return Range{p.Body, p.End, p.BodyWire}, true
	}
	return Range{}, false
}
