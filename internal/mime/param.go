package mime

// paramParser reads "type/subtype; name=value" (RFC 2045 section 5.1) and
// forgives what is common: blanks anywhere, comments, unquoted specials,
// parameters without a value (dropped).
type paramParser struct {
	in []byte
	i  int
	// value is the buffer for unquoted values.
	value []byte
}

var tokenEnd = func() (t [256]bool) {
	for c := range 0x21 {
		t[c] = true
	}
	for _, c := range []byte("()<>@,;:\\\"/[]?=") {
		t[c] = true
	}
	t[0x7f] = true
	return t
}()

// skip passes white space and comments.
func (p *paramParser) skip() {
	for p.i < len(p.in) {
		switch p.in[p.i] {
		case ' ', '\t', '\r', '\n':
			p.i++
		case '(':
			c := addressParser{in: p.in, i: p.i}
			c.readComment(nil)
			p.i = c.i
		default:
			return
		}
	}
}

// token reads a token, empty if there is none.
func (p *paramParser) token() []byte {
	p.skip()
	from := p.i
	for p.i < len(p.in) && !tokenEnd[p.in[p.i]] {
		p.i++
	}
	return p.in[from:p.i]
}

// next passes blanks and the octet c, if it is there.
func (p *paramParser) next(c byte) bool {
	p.skip()
	if p.i < len(p.in) && p.in[p.i] == c {
		p.i++
		return true
	}
	return false
}

// param reads the next "; name=value". The value is valid until the next
// call. ok is false at the end.
func (p *paramParser) param() (name, value []byte, ok bool) {
	for p.toSemicolon() {
		name = p.token()
		if len(name) == 0 || !p.next('=') {
			continue
		}
		p.skip()
		if p.i < len(p.in) && p.in[p.i] == '"' {
			var n int
			p.value, n = unquote(p.value[:0], p.in[p.i:])
			p.i += n
			return name, p.value, true
		}
		// Not token(): "name=a/b" and "name=<x>" are written by many.
		from := p.i
		for p.i < len(p.in) && p.in[p.i] > ' ' && p.in[p.i] != ';' && p.in[p.i] != '(' {
			p.i++
		}
		if p.i > from {
			return name, p.in[from:p.i], true
		}
	}
	return nil, nil, false
}

// toSemicolon passes everything up to and including the next semicolon.
func (p *paramParser) toSemicolon() bool {
	for p.skip(); p.i < len(p.in); p.skip() {
		switch p.in[p.i] {
		case ';':
			p.i++
			return true
		case '"':
			_, n := unquote(nil, p.in[p.i:])
			p.i += n
		default:
			p.i++
		}
	}
	return false
}
