package mime

import "bytes"

// position is a place in the message: octets stored, line ends that the wire
// has longer by one, and line ends in all.
type position struct {
	off, crs, lines int64
}

// open is what the scanner knows of a part whose end has not been seen.
type open struct {
	part     int32
	boundary []byte // of a multipart that is still looking for parts, else nil
	body     position
	last     int32 // youngest child
	digest   bool  // children are message/rfc822 unless they say otherwise
}

// description is the part of BODYSTRUCTURE that comes from a header: before
// the sizes and after them, as ranges of scanner.text.
type description struct {
	head, tail, envelope span
	// textHead and textTail are for a multipart that turns out to have no
	// part, and is text then; charset is that of the text.
	textHead, textTail span
	charset            []byte
}

type span struct{ from, to int }

type scanner struct {
	limits    Limits
	m         *Message
	stack     []open // from the message down to the part being read
	desc      []description
	text      []byte // rendered header text of all parts
	fields    fieldSet
	keeper    keeper
	addresses addressParser
	params    params
	rendered  []byte // memory of ENVELOPE and BODYSTRUCTURE
	out       []byte // BODYSTRUCTURE as it is joined
	rest      []byte // undecided octets between two pieces, see Scanner

	pos       position
	start     position // where the present header began
	lastBreak int64    // length of the line end before pos: 1, 2, or 0 at the start
	prevCR    bool     // the octet before pos is a CR
	midLine   bool     // pos is within a line whose start has been handled
	inHeader  bool
	active    int   // boundaries on the stack
	next      int32 // multipart that gets a new part after this line, or None
}

// maxBoundary is how much of a boundary is compared. RFC 2046 allows 70.
const maxBoundary = 200

func newScanner(l Limits) *scanner {
	s := &scanner{limits: l.orDefaults(), m: &Message{Parts: make([]Part, 0, 4)}}
	s.stack = make([]open, 0, 8)
	s.desc = make([]description, 0, 4)
	s.text = make([]byte, 0, 1024)
	s.fields.raw = make([]byte, 0, 1024)
	s.fields.refs = make([]fieldRef, 0, 16)
	s.reset()
	return s
}

// reset begins another message in the memory of the one before.
func (s *scanner) reset() {
	*s.m = Message{Parts: s.m.Parts[:0], cuts: s.m.cuts[:0]}
	*s = scanner{
		limits: s.limits, m: s.m, next: None,
		stack: s.stack[:0], desc: s.desc[:0], text: s.text[:0], fields: s.fields, keeper: s.keeper, addresses: s.addresses, params: s.params,
		rendered: s.rendered, rest: s.rest[:0],
	}
	s.keeper.reset(s.limits.MaxFields)
	s.push(None)
}

// feed consumes as much of b as can be decided and returns how much that was.
// With force everything is consumed: b is the end, or the window is full.
func (s *scanner) feed(b []byte, force bool) int {
	used := 0
	for used < len(b) {
		var n int
		switch {
		case s.midLine:
			n = s.restOfLine(b[used:])
		case s.inHeader:
			n = s.headerLine(b[used:], force)
		default:
			n = s.bodyLines(b[used:], force)
		}
		if n == 0 {
			break
		}
		used += n
	}
	return used
}

// advance moves past b.
func (s *scanner) advance(b []byte) {
	if len(b) == 0 {
		return
	}
	lf := int64(bytes.Count(b, lineFeed))
	kept := int64(0) // line ends that already are CR LF
	if lf > 0 && s.prevCR && b[0] == '\n' {
		kept++
	}
	if lf > 0 && bytes.IndexByte(b, '\r') >= 0 {
		kept += int64(bytes.Count(b, crlf))
	}
	last := len(b) - 1
	if b[last] == '\n' {
		s.lastBreak = 1
		if (last > 0 && b[last-1] == '\r') || (last == 0 && s.prevCR) {
			s.lastBreak = 2
		}
	}
	s.prevCR = b[last] == '\r'
	s.pos.off += int64(len(b))
	s.pos.lines += lf
	s.pos.crs += lf - kept
}

var (
	lineFeed    = []byte("\n")
	crlf        = []byte("\r\n")
	lineAndDash = []byte("\n--")
	twoDashes   = []byte("--")
)

// restOfLine goes to the end of a line that is already handled.
func (s *scanner) restOfLine(b []byte) int {
	n := bytes.IndexByte(b, '\n') + 1
	line := b
	if n > 0 {
		line = b[:n]
		s.midLine = false
	}
	if s.inHeader {
		s.fields.add(line, s.limits.MaxText)
		s.keeper.more(line)
	}
	s.advance(line)
	s.pushNext()
	return len(line)
}

// bodyLines goes through a body, which here means: to the next boundary line.
func (s *scanner) bodyLines(b []byte, force bool) int {
	if s.active == 0 {
		s.advance(b)
		return len(b)
	}
	if b[0] == '-' {
		if n, done := s.dashLine(b, force); done {
			return n
		}
	}
	i := bytes.Index(b, lineAndDash)
	if i >= 0 {
		s.advance(b[:i+1])
		return i + 1
	}
	// A boundary may start with the last line, of which more is to come.
	end := bytes.LastIndexByte(b, '\n') + 1
	if !force && end > 0 {
		s.advance(b[:end])
		return end
	}
	if !force && len(b) < 2 {
		return 0
	}
	s.advance(b)
	s.midLine = b[len(b)-1] != '\n'
	return len(b)
}

// dashLine handles a line that begins with "-". done is false when it is an
// ordinary line.
func (s *scanner) dashLine(b []byte, force bool) (n int, done bool) {
	eol := bytes.IndexByte(b, '\n')
	if eol < 0 && len(b) < maxBoundary+4 && !force {
		return 0, true
	}
	line := b
	if eol >= 0 {
		line = b[:eol]
	}
	if !bytes.HasPrefix(line, twoDashes) {
		return 0, false
	}
	at := s.matchBoundary(line[2:])
	if at < 0 {
		return 0, false
	}
	s.closeTo(at, s.beforeBreak())
	if rest := line[2+len(s.stack[at].boundary):]; bytes.HasPrefix(rest, twoDashes) {
		s.stack[at].boundary = nil
		s.active--
	}
	// The boundary line itself belongs to no part.
	n = len(b)
	if eol >= 0 {
		n = eol + 1
	}
	s.advance(b[:n])
	s.midLine = eol < 0
	if s.stack[at].boundary != nil {
		s.next = s.stack[at].part
	}
	s.pushNext()
	return n, true
}

// pushNext begins the part that a boundary line announced, once the line is
// over.
func (s *scanner) pushNext() {
	if s.next == None || s.midLine {
		return
	}
	parent := s.next
	s.next = None
	s.push(parent)
}

// matchBoundary finds the multipart whose boundary begins line: the longest,
// and of equals the innermost (as Dovecot does). It returns a stack index or
// -1. When no part can be added the boundary still counts if it closes.
func (s *scanner) matchBoundary(line []byte) int {
	at, length := -1, -1
	for i := len(s.stack) - 1; i >= 0; i-- {
		bd := s.stack[i].boundary
		if bd != nil && len(bd) > length && bytes.HasPrefix(line, bd) {
			at, length = i, len(bd)
		}
	}
	if at >= 0 && len(s.m.Parts) >= s.limits.MaxParts && !bytes.HasPrefix(line[length:], twoDashes) {
		return -1
	}
	return at
}

// beforeBreak is the position before the last line end: a boundary owns it.
func (s *scanner) beforeBreak() position {
	p := s.pos
	if s.lastBreak == 0 {
		return p
	}
	p.off -= s.lastBreak
	p.lines--
	if s.lastBreak == 1 {
		p.crs--
	}
	return p
}

// closeTo ends all parts below stack index at.
func (s *scanner) closeTo(at int, end position) {
	if s.inHeader {
		s.endHeader(false)
	}
	for len(s.stack) > at+1 {
		s.closeLast(end)
	}
}

func (s *scanner) closeLast(end position) {
	o := &s.stack[len(s.stack)-1]
	p := &s.m.Parts[o.part]
	if end.off < o.body.off {
		end = o.body
	}
	p.End = end.off
	p.BodyWire = end.off + end.crs - o.body.off - o.body.crs
	p.Lines = end.lines - o.body.lines
	if o.boundary != nil {
		s.active--
	}
	if p.Kind == Multipart && p.Child == None {
		s.becomeText(p, &s.desc[o.part])
	}
	s.stack = s.stack[:len(s.stack)-1]
}

// push begins a part whose header starts at pos.
func (s *scanner) push(parent int32) {
	index := int32(len(s.m.Parts))
	s.m.Parts = append(s.m.Parts, Part{Parent: parent, Child: None, Next: None, Start: s.pos.off})
	if parent != None {
		up := &s.stack[len(s.stack)-1]
		if up.last == None {
			s.m.Parts[parent].Child = index
		} else {
			s.m.Parts[up.last].Next = index
		}
		up.last = index
	}
	s.stack = append(s.stack, open{part: index, last: None})
	s.desc = append(s.desc, description{})
	s.start = s.pos
	s.inHeader = true
	s.fields.reset(parent == None || s.m.Parts[parent].Kind == Rfc822)
}

func (s *scanner) finish() *Message {
	s.midLine = false
	s.pushNext()
	s.closeTo(-1, s.pos)
	m := s.m
	m.Size = s.pos.off
	m.WireSize = s.pos.off + s.pos.crs
	m.Fields = s.keeper.f
	s.render()
	return m
}
