package mime

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"slices"
)

// paramParser reads "type/subtype; name=value" (RFC 2045 section 5.1) and
// forgives what is common: blanks anywhere, comments, unquoted specials, a
// semicolon that is missing, words that are no parameter (dropped).
type paramParser struct {
	in []byte
	i  int
	// value is the buffer for quoted values.
	value []byte
	// only is the name of the only parameter that is wanted, "" for all.
	only string
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

// kind reads the word that a field begins with; one that is the name of a
// parameter is none.
func (p *paramParser) kind() []byte {
	from := p.i
	word := p.token()
	if p.next('=') {
		p.i = from
		return nil
	}
	return word
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

// param reads the next "name=value", whatever is before it. The value is valid
// until the next call. ok is false at the end.
func (p *paramParser) param() (name, value []byte, ok bool) {
	if name, ok = p.name(); !ok {
		return nil, nil, false
	}
	p.skip()
	if p.i < len(p.in) && p.in[p.i] == '"' {
		var n int
		p.value, n = unquote(p.value[:0], p.in[p.i:])
		p.i += n
		return name, p.value, true
	}
	return name, p.unquoted(), true
}

// name goes behind the next "name=". A word that no "=" follows is none.
func (p *paramParser) name() (name []byte, ok bool) {
	for p.skip(); p.i < len(p.in); p.skip() {
		name = p.token()
		switch {
		case len(name) == 0:
			p.i++ // a semicolon, or noise
		case p.next('='):
			return name, true
		}
	}
	return nil, false
}

// unquoted reads a value without quotes. It is not token(): "name=a/b" and
// "name=<x>" are written by many.
func (p *paramParser) unquoted() []byte {
	from := p.i
	for p.i < len(p.in) && p.in[p.i] > ' ' && p.in[p.i] != ';' && p.in[p.i] != '(' && p.in[p.i] != '"' {
		p.i++
	}
	value := p.in[from:p.i]
	if p.i == len(p.in) || p.in[p.i] <= ' ' {
		value = bytes.TrimSuffix(value, []byte{','}) // a comma where a semicolon should be
	}
	return value
}

// params writes parameters as a list of IMAP: those of RFC 2231 that are
// continued are joined to one ("name*0=a; name*1=b" is name=ab; with an
// extended piece it is name*), and come behind the others in the order of their
// names, as in Dovecot. Its memory is used again.
type params struct {
	pieces []piece
	text   []byte // of the pieces
	joined []byte
	// The first of each, decoded; found even if empty.
	charset, boundary       []byte
	hasCharset, hasBoundary bool
}

// piece is a parameter whose name has the form of RFC 2231: "name*",
// "name*1", "name*1*". All are ranges of params.text.
type piece struct {
	full     span // the name as written
	base     int  // where "*" begins
	number   int
	extended bool
	value    span
}

// maxPieces bounds the pieces that are kept of one header field. It is no parameter:
// a message with more is somebody's attack, and what is beyond is as if it were not
// there.
const maxPieces = 10_000

// append reads all parameters and appends the list, NIL if there are none.
func (q *params) append(dst []byte, in paramParser) []byte {
	q.pieces, q.text = q.pieces[:0], q.text[:0]
	q.hasCharset, q.hasBoundary = false, false
	before := len(dst)
	dst = append(dst, '(')
	for {
		name, value, ok := in.param()
		if !ok {
			break
		}
		if in.only != "" && !equalFold(name[:min(len(name), len(in.only))], in.only) {
			continue
		}
		if !q.keep(name, value) {
			q.note(name, value, false)
			dst = appendPair(dst, before+1, name, value)
		}
	}
	dst = q.join(dst, before+1)
	if len(dst) == before+1 {
		return append(dst[:before], "NIL"...)
	}
	return append(dst, ')')
}

// note remembers charset and boundary.
func (q *params) note(name, value []byte, extended bool) {
	switch {
	case !q.hasCharset && equalFold(name, "charset"):
		q.charset, q.hasCharset = noted(q.charset, value, extended, maxCharset), true
	case !q.hasBoundary && equalFold(name, "boundary"):
		q.boundary, q.hasBoundary = noted(q.boundary, value, extended, maxBoundary), true
	}
}

func noted(dst, value []byte, extended bool, most int) []byte {
	if extended {
		value = decodeExtended(value)
	}
	return append(dst[:0], value[:min(len(value), most)]...)
}

// decodeExtended decodes "charset'language'percent-encoded"; charset and
// language do not matter for a token.
func decodeExtended(value []byte) []byte {
	if i := bytes.IndexByte(value, '\''); i >= 0 {
		if j := bytes.IndexByte(value[i+1:], '\''); j >= 0 {
			value = value[i+1+j+1:]
		}
	}
	out := make([]byte, 0, len(value))
	var octet [1]byte
	for i := 0; i < len(value); i++ {
		if value[i] == '%' && i+2 < len(value) {
			if _, err := hex.Decode(octet[:], value[i+1:i+3]); err == nil {
				out = append(out, octet[0])
				i += 2
				continue
			}
		}
		out = append(out, value[i])
	}
	return out
}

// keep takes a parameter whose name has the form of RFC 2231.
func (q *params) keep(name, value []byte) bool {
	base := bytes.IndexByte(name, '*')
	if base <= 0 || len(q.pieces) >= maxPieces {
		return false
	}
	p := piece{base: base}
	rest := name[base+1:]
	if len(rest) == 0 {
		p.extended = true // "name*" alone
	} else {
		rest, p.extended = bytes.CutSuffix(rest, []byte{'*'})
		if len(rest) == 0 || len(rest) > 6 {
			return false
		}
		for _, c := range rest {
			if c < '0' || c > '9' {
				return false
			}
			p.number = p.number*10 + int(c-'0')
		}
	}
	p.full.from = len(q.text)
	q.text = append(q.text, name...)
	p.full.to = len(q.text)
	p.value.from = len(q.text)
	q.text = append(q.text, value...)
	p.value.to = len(q.text)
	q.pieces = append(q.pieces, p)
	return true
}

func (q *params) base(p *piece) []byte { return q.text[p.full.from : p.full.from+p.base] }

// join appends the pieces, those of one name in one.
func (q *params) join(dst []byte, start int) []byte {
	if len(q.pieces) == 0 {
		return dst
	}
	slices.SortStableFunc(q.pieces, func(a, b piece) int {
		return cmp.Or(compareFold(q.base(&a), q.base(&b)), a.number-b.number)
	})
	for i := 0; i < len(q.pieces); {
		n := i + 1
		for n < len(q.pieces) && compareFold(q.base(&q.pieces[i]), q.base(&q.pieces[n])) == 0 {
			n++
		}
		dst = q.joinGroup(dst, start, q.pieces[i:n])
		i = n
	}
	return dst
}

// joinGroup appends the pieces of one name. Those that are not the numbers from
// 0 on stay what they are.
func (q *params) joinGroup(dst []byte, start int, group []piece) []byte {
	extended := false
	for i := range group {
		if group[i].number != i {
			return q.appendPieces(dst, start, group)
		}
		extended = extended || group[i].extended
	}
	value := q.joined[:0]
	for i := range group {
		text := q.text[group[i].value.from:group[i].value.to]
		if !extended || group[i].extended {
			value = append(value, text...)
			continue
		}
		for _, c := range text {
			if c == '%' {
				value = append(value, "%25"...)
			} else {
				value = append(value, c)
			}
		}
	}
	q.joined = value
	name := q.base(&group[0])
	q.note(name, value, extended)
	if extended {
		// The star is what follows the base in the text.
		name = q.text[group[0].full.from : group[0].full.from+group[0].base+1]
	}
	return appendPair(dst, start, name, value)
}

func (q *params) appendPieces(dst []byte, start int, group []piece) []byte {
	for i := range group {
		p := &group[i]
		dst = appendPair(dst, start, q.text[p.full.from:p.full.to], q.text[p.value.from:p.value.to])
	}
	return dst
}

// compareFold orders ASCII without case.
func compareFold(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if c := int(lower(a[i])) - int(lower(b[i])); c != 0 {
			return c
		}
	}
	return len(a) - len(b)
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c |= 0x20
	}
	return c
}

func appendPair(dst []byte, start int, name, value []byte) []byte {
	if len(dst) > start {
		dst = append(dst, ' ')
	}
	dst = AppendString(dst, name)
	dst = append(dst, ' ')
	return AppendString(dst, value)
}
