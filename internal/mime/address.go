package mime

import "bytes"

// addressParser reads the address lists that people and programs write (RFC
// 5322 section 3.4, obsolete forms, and what is none of them) and writes
// IMAP's address structures. What makes no sense is passed over to the next
// comma. Its buffers are used again.
type addressParser struct {
	in  []byte
	i   int
	out []byte

	// The item being read.
	name, comment, local, domain, route []byte
	hasAngle                            bool
	hasAt                               bool
	words                               int  // in name
	spaced                              bool // white space since the last token
	ended                               bool // the rest of the item is noise
	inGroup                             bool
}

// Stand-ins for what an address lacks: NIL would mean a group (RFC 3501
// section 7.4.2). The words are Dovecot's.
const (
	missingMailbox = "MISSING_MAILBOX"
	missingDomain  = "MISSING_DOMAIN"
)

// parse appends the addresses of text to out until out is limit long.
func (p *addressParser) parse(text []byte, limit int) {
	p.in, p.i = text, 0
	p.inGroup = false
	p.resetItem()
	for p.i < len(p.in) && len(p.out) < limit {
		p.token()
	}
	p.emit()
	p.endGroup()
}

func (p *addressParser) resetItem() {
	p.name, p.comment = p.name[:0], p.comment[:0]
	p.local, p.domain, p.route = p.local[:0], p.domain[:0], p.route[:0]
	p.hasAngle, p.hasAt, p.spaced, p.ended = false, false, false, false
	p.words = 0
}

// token reads one token of a list.
func (p *addressParser) token() {
	c := p.in[p.i]
	switch c {
	case ' ', '\t', '\r', '\n':
		p.i++
		p.spaced = true
		return
	case ',':
		p.i++
		p.emit()
		return
	case ';':
		p.i++
		p.emit()
		p.endGroup()
		return
	case '(':
		p.comment = p.readComment(p.comment[:0])
		p.spaced = true
		return
	case ':':
		p.i++
		p.startGroup()
		return
	case '<':
		p.i++
		p.angle()
		return
	}
	p.word(c)
}

// word reads an atom, a quoted string, or one of "@" and ".", which may be
// part of a name or of an address without angle brackets.
func (p *addressParser) word(c byte) {
	spaced := p.spaced
	p.spaced = false
	var quoted bool
	before := len(p.name)
	if before > 0 && spaced {
		p.name = append(p.name, ' ')
	}
	from := len(p.name)
	switch c {
	case '"':
		quoted = true
		if before > 0 && !spaced && p.name[before-1] != '.' && p.name[before-1] != '@' {
			p.name = append(p.name, ' ')
			from++
		}
		p.name = p.readQuoted(p.name)
	case '[':
		p.name = p.readDomainLiteral(p.name)
	case '@', '.':
		p.name = append(p.name, c)
		p.i++
	default:
		p.name = p.readAtom(p.name)
	}
	if p.hasAngle {
		p.name = p.name[:before] // what follows ">" is noise
		return
	}
	p.spec(p.name[from:], c, spaced, quoted)
}

// spec adds a token to the address without angle brackets.
func (p *addressParser) spec(token []byte, c byte, spaced, quoted bool) {
	if p.ended {
		return
	}
	if c == '@' && !quoted {
		if p.hasAt || p.words > 1 {
			p.ended = true
			return
		}
		p.hasAt = true
		return
	}
	part := &p.local
	if p.hasAt {
		part = &p.domain
	}
	joined := c == '.' || len(*part) == 0 || (*part)[len(*part)-1] == '.' || !spaced
	if !joined || (p.hasAt && quoted) {
		if p.hasAt {
			p.ended = true
			return
		}
		p.words++
	}
	if p.words == 0 {
		p.words = 1
	}
	*part = append(*part, token...)
}

// angle reads "<@route:local@domain>".
func (p *addressParser) angle() {
	p.hasAngle, p.hasAt = true, false
	p.local, p.domain, p.route = p.local[:0], p.domain[:0], p.route[:0]
	for p.i < len(p.in) {
		switch c := p.in[p.i]; c {
		case '>':
			p.i++
			p.ended = true
			return
		case ' ', '\t', '\r', '\n':
			p.i++
		case '(':
			p.comment = p.readComment(p.comment[:0])
		case ':':
			p.i++
			if p.hasAt && len(p.route) == 0 {
				p.route = append(append(append(p.route, p.local...), '@'), p.domain...)
				p.local, p.domain, p.hasAt = p.local[:0], p.domain[:0], false
			}
		case '"':
			p.angleAppend(p.readQuoted(nil))
		case '[':
			p.angleAppend(p.readDomainLiteral(nil))
		case '@':
			p.i++
			if p.hasAt {
				p.domain = append(p.domain, '@') // "<@a,@b:c@d>"
			}
			p.hasAt = true
		default:
			from := p.i
			for p.i < len(p.in) && bytes.IndexByte([]byte(" \t\r\n>(:\"[@"), p.in[p.i]) < 0 {
				p.i++
			}
			p.angleAppend(p.in[from:p.i])
		}
	}
}

func (p *addressParser) angleAppend(token []byte) {
	if p.hasAt {
		p.domain = append(p.domain, token...)
	} else {
		p.local = append(p.local, token...)
	}
}

// startGroup begins "name: addresses;". A colon within an address is noise.
func (p *addressParser) startGroup() {
	if p.hasAngle || p.hasAt || p.inGroup {
		p.ended = true
		return
	}
	p.out = append(p.out, "(NIL NIL "...)
	p.out = AppendString(p.out, p.name)
	p.out = append(p.out, " NIL)"...)
	p.inGroup = true
	p.resetItem()
}

func (p *addressParser) endGroup() {
	if p.inGroup {
		p.out = append(p.out, "(NIL NIL NIL NIL)"...)
		p.inGroup = false
	}
}

// emit writes the item that ends here; one without any token is none.
func (p *addressParser) emit() {
	defer p.resetItem()
	switch {
	case p.hasAngle:
		if len(p.name) == 0 {
			p.name = append(p.name, p.comment...)
		}
		p.address(p.name, p.local, p.domain)
	case p.hasAt && len(p.local) > 0:
		p.address(p.comment, p.local, p.domain)
	case p.words == 1:
		p.address(p.comment, p.local, nil)
	case len(p.name) > 0:
		p.address(p.name, nil, nil)
	}
}

func (p *addressParser) address(name, local, domain []byte) {
	p.out = append(p.out, '(')
	p.out = AppendNString(p.out, name, len(name) > 0)
	p.out = append(p.out, ' ')
	p.out = AppendNString(p.out, p.route, len(p.route) > 0)
	p.out = append(p.out, ' ')
	p.out = appendOr(p.out, local, missingMailbox)
	p.out = append(p.out, ' ')
	p.out = appendOr(p.out, domain, missingDomain)
	p.out = append(p.out, ')')
}

func appendOr(dst, s []byte, otherwise string) []byte {
	if len(s) > 0 {
		return AppendString(dst, s)
	}
	dst = append(append(dst, '"'), otherwise...)
	return append(dst, '"')
}
