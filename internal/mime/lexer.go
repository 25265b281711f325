package mime

// readAtom copies octets up to the next special.
func (p *addressParser) readAtom(dst []byte) []byte {
	from := p.i
	for p.i++; p.i < len(p.in) && !addressSpecial[p.in[p.i]]; p.i++ {
	}
	return append(dst, p.in[from:p.i]...)
}

var addressSpecial = func() (t [256]bool) {
	for _, c := range []byte(" \t\r\n,;:<>()[]\"@.") {
		t[c] = true
	}
	return t
}()

// readQuoted copies the inside of a quoted string; the end of the text ends
// it, too.
func (p *addressParser) readQuoted(dst []byte) []byte {
	dst, n := unquote(dst, p.in[p.i:])
	p.i += n
	return dst
}

// unquote appends the inside of the quoted string at the start of in and
// returns how long it was, quotes included.
func unquote(dst, in []byte) ([]byte, int) {
	for i := 1; i < len(in); i++ {
		switch in[i] {
		case '"':
			return dst, i + 1
		case '\\':
			if i+1 < len(in) {
				i++
			}
		}
		dst = append(dst, in[i])
	}
	return dst, len(in)
}

// readComment copies the inside of a comment; inner ones keep their brackets.
func (p *addressParser) readComment(dst []byte) []byte {
	depth := 0
	for ; p.i < len(p.in); p.i++ {
		c := p.in[p.i]
		switch c {
		case '(':
			depth++
			if depth == 1 {
				continue
			}
		case ')':
			depth--
			if depth == 0 {
				p.i++
				return dst
			}
		case '\\':
			if p.i+1 < len(p.in) {
				p.i++
				c = p.in[p.i]
			}
		}
		dst = append(dst, c)
	}
	return dst
}

// readDomainLiteral copies "[1.2.3.4]" with its brackets.
func (p *addressParser) readDomainLiteral(dst []byte) []byte {
	for p.i < len(p.in) {
		c := p.in[p.i]
		p.i++
		dst = append(dst, c)
		if c == ']' {
			break
		}
	}
	return dst
}
