package imapd

import (
	"bytes"

	"toastmaster/internal/utf7"
)

// pattern is a compiled LIST pattern: "*" stands for anything, "%" for anything
// within one level (RFC 3501 section 6.3.8).
//
// It is an automaton whose states are the number of literal octets read, a bit
// each. A wildcard before a literal lets its state stay. An octet of a name
// costs one step for each 64 literals, whatever the wildcards, and a pattern
// with more literals than the name has octets costs nothing: so a match is
// linear in the name. (Trying the wildcards by recursion is exponential, and a
// table is pattern times name.)
type pattern struct {
	text      string // "" asks for the separator
	literals  int
	separator byte
	// steps has, for an octet of the literals, the states that it leads to;
	// which says where: 0 for an octet that is none of them.
	steps [][]uint64
	which [256]uint16
	// stay are the states that any octet leaves as they are, stayIn those that
	// any but the separator does.
	stay, stayIn []uint64
	state, next  []uint64
	inbox        *pattern // for the name that has no case; nil if it is the same
}

// maxLiterals is longer than a mailbox name can be. It is no parameter: no name of a
// mailbox has so many.
const maxLiterals = 1024

func newPattern(text string, separator byte) *pattern {
	p := &pattern{text: text, separator: separator}
	upper := bytes.ToUpper([]byte(text))
	p.compile([]byte(text))
	if string(upper) != text {
		p.inbox = &pattern{separator: separator}
		p.inbox.compile(upper)
	}
	return p
}

func (p *pattern) compile(text []byte) {
	for _, c := range text {
		if c != '*' && c != '%' {
			p.literals++
		}
	}
	if p.literals > maxLiterals {
		return
	}
	words := p.literals/64 + 1
	p.steps = make([][]uint64, 1, 16)
	p.stay, p.stayIn = make([]uint64, words), make([]uint64, words)
	p.state, p.next = make([]uint64, words), make([]uint64, words)
	at := 0
	for _, c := range text {
		switch c {
		case '*':
			set(p.stay, at)
		case '%':
			set(p.stayIn, at)
		default:
			at++
			if p.which[c] == 0 {
				p.which[c] = uint16(len(p.steps))
				p.steps = append(p.steps, make([]uint64, words))
			}
			set(p.steps[p.which[c]], at)
		}
	}
}

func set(bits []uint64, i int) { bits[i/64] |= 1 << (i % 64) }

// match says whether a mailbox name fits.
func (p *pattern) match(name string) bool {
	if name == inbox && p.inbox != nil {
		p = p.inbox
	}
	if p.literals > len(name) || p.literals > maxLiterals {
		return false
	}
	clear(p.state)
	p.state[0] = 1
	for i := range len(name) {
		if !p.step(name[i]) {
			return false
		}
	}
	return p.state[p.literals/64]>>(p.literals%64)&1 != 0
}

// step reads an octet of a name; false says that no more of them can match.
func (p *pattern) step(c byte) bool {
	leads := p.steps[p.which[c]]
	carry, alive := uint64(0), uint64(0)
	for w, s := range p.state {
		n := s & p.stay[w]
		if c != p.separator {
			n |= s & p.stayIn[w]
		}
		if leads != nil {
			n |= (s<<1 | carry) & leads[w]
		}
		carry = s >> 63
		p.next[w] = n
		alive |= n
	}
	p.state, p.next = p.next, p.state
	return alive != 0
}

// work is what a match costs, in units of conn.step.
func (p *pattern) work() int { return 4 + len(p.state)/4 }

// decodePattern decodes the modified UTF-7 of a pattern. What is none is taken
// as it is written, as by Dovecot: "foo&%" matches what begins with "foo&".
func decodePattern(s string) string {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '&' {
			if text, n := shiftAt(s[i:]); n > 0 {
				out = append(out, text...)
				i += n - 1
				continue
			}
		}
		out = append(out, s[i])
	}
	return string(out)
}

// shiftAt decodes "&...-" at the start of s; n is its length, 0 if it is none.
func shiftAt(s string) (text []byte, n int) {
	for end := 1; end < len(s); end++ {
		c := s[end]
		if c == '-' {
			if end == 1 {
				return []byte{'&'}, 2
			}
			text, ok := utf7.AppendShift(nil, s[1:end])
			if !ok {
				return nil, 0
			}
			return text, end + 1
		}
		if c == '&' || c == '*' || c == '%' {
			return nil, 0
		}
	}
	return nil, 0
}
