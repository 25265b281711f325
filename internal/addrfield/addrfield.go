package addrfield

import (
	"slices"
	"strings"
)

// List is the content of a field.
type List struct{ tokens []token }

// Parse reads the text behind the colon of a field. ok is false when it has more than limit
// tokens, which then is no List to be written.
func Parse(text string, limit int) (l *List, ok bool) {
	all, ok := scan(text, limit)
	if !ok {
		return nil, false
	}
	return &List{parse(all)}, true
}

// Tokens is how many there are, for who counts them.
func (l *List) Tokens() int {
	n := len(l.tokens)
	for _, t := range l.tokens {
		n += len(t.of)
	}
	return n
}

// Addresses are the addresses, in their order.
func (l *List) Addresses() []string {
	var all []string
	l.Rewrite(func(a string) string { all = append(all, a); return a })
	return all
}

// Rewrite gives each address to f, and puts what f returns in its place. changed says that one
// of them is another text.
func (l *List) Rewrite(f func(address string) string) (changed bool) {
	for i := range l.tokens {
		t := &l.tokens[i]
		if t.kind != address {
			continue
		}
		var room [64]byte
		was := string(write(room[:0], t.of, false, true))
		if is := f(was); is != was {
			t.of, _ = scan(is, len(is))
			changed = true
		}
	}
	return changed
}

// Text is the content on one line.
func (l *List) Text() string { return string(write(nil, l.tokens, false, false)) }

// width is up to where a line of a written field is filled.
const width = 70

// Field is the field with its lines, each of which ends with LF.
func (l *List) Field(name string) []byte {
	text := write([]byte(name+": "), l.tokens, true, false)
	start := 0 // of the line that is being filled
	for at := 0; ; {
		end := len(text)
		if i := slices.Index(text[at:], '\n'); i >= 0 {
			end = at + i
		}
		if at > start {
			if end-start < width {
				text[at-1] = ' '
			} else {
				start = at
			}
		}
		if end == len(text) {
			break
		}
		at = end + 1
	}
	lines := strings.Split(string(text), "\n")
	out := make([]byte, 0, len(text)+len(lines)+1)
	for i, line := range lines {
		if i > 0 && (line == "" || line[0] != ' ' && line[0] != '\t') {
			out = append(out, '\t')
		}
		out = append(append(out, line...), '\n')
	}
	return out
}

// parser finds the addresses among tokens, from the right to the left: so a word tells whether
// it belongs to what stands behind it. done and open hold what was seen in reverse.
type parser struct {
	rest []token // not yet seen
	done []token
	open []token // of an address that may go on
	// word says that a word may go on with the open address, inGroup that a colon ends
	// the name of a group.
	word, inGroup bool
}

func parse(all []token) []token {
	p := &parser{rest: all, word: true, done: make([]token, 0, len(all)), open: make([]token, 0, len(all))}
	for len(p.rest) > 0 {
		p.step(p.next())
	}
	p.close(false)
	slices.Reverse(p.done)
	return p.done
}

func (p *parser) next() token {
	t := p.rest[len(p.rest)-1]
	p.rest = p.rest[:len(p.rest)-1]
	return t
}

// close ends the open address. comma puts one before it, because none is there.
func (p *parser) close(comma bool) {
	if len(p.open) == 0 {
		return
	}
	of := slices.Clone(p.open)
	slices.Reverse(of)
	p.open = p.open[:0]
	if p.done = append(p.done, token{kind: address, of: of}); comma {
		p.done = append(p.done, token{kind: ','})
	}
}

func (p *parser) step(t token) {
	switch {
	case t.kind == comment: // it stands behind its address
		p.done = append(p.done, t)
	case t.kind == ';':
		p.close(true)
		p.done = append(p.done, t)
		p.inGroup, p.word = true, true
	case t.kind == ':' && p.inGroup:
		p.close(false)
		p.done = append(p.done, token{kind: group})
		p.skip(",")
	case t.kind == '>':
		p.close(true)
		p.done = append(p.done, t)
		p.angle()
		p.word = true
	case t.kind.isWord():
		if !p.word {
			p.close(true)
		}
		p.open, p.word = append(p.open, t), false
	case t.kind == ',':
		p.close(false)
		p.done = append(p.done, t)
		p.word = true
	default:
		p.open, p.word = append(p.open, t), true
	}
}

// angle reads what stands before a ">": the address, its "<", and the name before that.
func (p *parser) angle() {
	for len(p.rest) > 0 {
		t := p.next()
		switch t.kind {
		case '<':
			p.close(false)
			p.done = append(p.done, t)
			p.skip(">;,:")
			return
		case comment:
			p.done = append(p.done, t)
		default:
			p.open = append(p.open, t)
		}
	}
	p.close(false)
}

// skip leaves what is no address as it is, up to an operator.
func (p *parser) skip(until string) {
	for len(p.rest) > 0 {
		if k := p.rest[len(p.rest)-1].kind; !k.isWord() && k != comment && strings.IndexByte(until, byte(k)) >= 0 {
			return
		}
		p.done = append(p.done, p.next())
	}
}
