package tables

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// linear is Go's own engine, whose time grows with the length of text and pattern.
type linear struct{ re *regexp.Regexp }

func (m linear) find(_ context.Context, text string) ([]int, bool, error) {
	if m.re.NumSubexp() == 0 {
		return nil, m.re.MatchString(text), nil
	}
	groups := m.re.FindStringSubmatchIndex(text)
	return groups, groups != nil, nil
}

func (m linear) groups() int { return m.re.NumSubexp() }

// posixFlags are the flags of regexp_table(5) with their defaults.
func posixFlags() flags { return flags{'i': true, 'm': false, 'x': true} }

// compilePOSIX makes a matcher of a POSIX pattern as regcomp(3) of GNU takes it:
// extended, or basic without the flag x; leftmost, and of those the longest.
func compilePOSIX(text string, f flags, _ limits) (matcher, error) {
	p := posix{in: text, basic: !f['x'], lines: f['m']}
	if err := p.translate(); err != nil {
		return nil, err
	}
	modes := ""
	for _, mode := range []struct {
		on     bool
		letter string
	}{{f['i'], "i"}, {f['m'], "m"}, {!f['m'], "s"}} {
		if mode.on {
			modes += mode.letter
		}
	}
	re, err := regexp.Compile("(?" + modes + ")" + p.out.String())
	if err != nil {
		return nil, syntaxError(err)
	}
	re.Longest()
	return linear{re}, nil
}

// syntaxError is what Go says about a pattern, without the pattern in our words.
func syntaxError(err error) error {
	return errors.New(strings.TrimPrefix(err.Error(), "error parsing regexp: "))
}

// posix writes a pattern of regex(7) as Go has it.
type posix struct {
	in    string
	i     int
	basic bool
	// lines is REG_NEWLINE: no class that says what is not in it has the newline.
	lines bool
	out   strings.Builder
	depth int
	// atom says that there is something before that can be repeated.
	atom bool
}

func (p *posix) translate() error {
	for p.i < len(p.in) {
		c := p.in[p.i]
		p.i++
		if err := p.one(c); err != nil {
			return err
		}
	}
	if p.depth > 0 {
		return errors.New("a ( is not closed")
	}
	return nil
}

// one writes what begins with c, behind which p.i stands.
func (p *posix) one(c byte) error {
	switch {
	case c == '\\':
		return p.escape()
	case c == '[':
		return p.class()
	case c == '.':
		return p.put(".")
	case c == '^':
		return p.anchor(`^`, !p.basic || p.start())
	case c == '$':
		return p.anchor(`$`, !p.basic || p.end())
	case c == '*':
		return p.repeat("*")
	case p.basic:
		return p.literal(c)
	case c == '(' || c == ')' || c == '|' || c == '{':
		return p.structure(c)
	case c == '+' || c == '?':
		return p.repeat(string(c))
	}
	return p.literal(c)
}

// start says that a ^ of a basic pattern is an anchor: at its start, or that of a group.
func (p *posix) start() bool {
	before := p.in[:p.i-1]
	return before == "" || strings.HasSuffix(before, `\(`) || strings.HasSuffix(before, `\|`)
}

func (p *posix) end() bool {
	after := p.in[p.i:]
	return after == "" || strings.HasPrefix(after, `\)`) || strings.HasPrefix(after, `\|`)
}

func (p *posix) put(s string) error {
	p.out.WriteString(s)
	p.atom = true
	return nil
}

// anchor writes an anchor; Go's ^ and $ without the mode m are those of the text.
func (p *posix) anchor(s string, is bool) error {
	if !is {
		return p.put(`\` + s)
	}
	p.out.WriteString(s)
	p.atom = !p.basic && s == `$`
	return nil
}

// literal writes a character that stands for itself.
func (p *posix) literal(c byte) error {
	if c < utf8.RuneSelf {
		return p.put(regexp.QuoteMeta(string(rune(c))))
	}
	p.i--
	_, n := utf8.DecodeRuneInString(p.in[p.i:])
	p.i += n
	return p.put(p.in[p.i-n : p.i])
}

func (p *posix) repeat(s string) error {
	if !p.atom {
		if p.basic {
			return p.put(regexp.QuoteMeta(s))
		}
		return fmt.Errorf("there is nothing before %q that could be repeated", s)
	}
	// A repetition of a repetition is none in Go: x*? would be another thing.
	if written := p.out.String(); s != "" && written != "" && strings.ContainsAny(written[len(written)-1:], "*+?}") && !strings.HasSuffix(written, `\`+written[len(written)-1:]) {
		return fmt.Errorf("%q behind a repetition: put what is repeated in parentheses", s)
	}
	p.out.WriteString(s)
	return nil
}

// structure writes groups, alternatives and bounds.
func (p *posix) structure(c byte) error {
	switch c {
	case '(':
		p.depth++
		p.out.WriteString("(")
		p.atom = false
	case ')':
		if p.depth == 0 {
			if p.basic {
				return errors.New(`a \) without \(`)
			}
			return p.put(`\)`)
		}
		p.depth--
		return p.put(")")
	case '|':
		p.out.WriteString("|")
		p.atom = false
	case '{':
		return p.bound()
	}
	return nil
}

// bound writes {n}, {n,}, {n,m} and {,m}.
func (p *posix) bound() error {
	closing := "}"
	if p.basic {
		closing = `\}`
	}
	if !p.atom {
		return errors.New("there is nothing before { that could be repeated")
	}
	inner, _, closed := strings.Cut(p.in[p.i:], closing)
	if !closed {
		return errors.New("a { is not closed")
	}
	low, high, ranged := strings.Cut(inner, ",")
	if strings.Trim(low+high, "0123456789") != "" || low == "" && !ranged {
		return fmt.Errorf("{%s} is no number of repetitions", inner)
	}
	p.i += len(inner) + len(closing)
	if low == "" {
		low = "0"
	}
	if ranged {
		low += "," + high
	}
	return p.repeat("{" + low + "}")
}

// escape writes what stands behind a backslash: GNU's words and edges too.
func (p *posix) escape() error {
	if p.i == len(p.in) {
		return errors.New(`a \ at the end`)
	}
	c := p.in[p.i]
	p.i++
	switch {
	case c == 'w' || c == 'W' || c == 's' || c == 'S':
		return p.put(`\` + string(c))
	case c == 'b' || c == 'B':
		p.out.WriteString(`\` + string(c))
	case c == '<' || c == '>': // the one edge that there is beside what follows or goes before
		p.out.WriteString(`\b`)
	case c == '`':
		p.out.WriteString(`\A`)
	case c == '\'':
		p.out.WriteString(`\z`)
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '0':
		return fmt.Errorf(`\%c is nothing in a POSIX pattern: write [[:digit:]] and the like, or take a table of type pcre`, c)
	case '1' <= c && c <= '9':
		return fmt.Errorf(`\%c refers to a group, which this engine does not do: a table of type pcre does`, c)
	case p.basic && strings.IndexByte("(){|", c) >= 0:
		return p.structure(c)
	case p.basic && (c == '+' || c == '?') && p.atom:
		return p.repeat(string(c))
	default:
		return p.literal(c)
	}
	return nil
}

// class writes a bracket expression, in which a backslash is one.
func (p *posix) class() error {
	rest := p.in[p.i:]
	p.out.WriteByte('[')
	i := 0
	if strings.HasPrefix(rest, "^") {
		p.out.WriteByte('^')
		if p.lines {
			p.out.WriteString(`\n`)
		}
		i++
	}
	for first := true; i < len(rest); first = false {
		switch c := rest[i]; {
		case c == ']' && !first:
			p.i += i + 1
			return p.put("]")
		case c == '[' && i+1 < len(rest) && strings.IndexByte(":.=", rest[i+1]) >= 0:
			n, err := p.named(rest[i:])
			if err != nil {
				return err
			}
			i += n
			continue
		case c == '-' && !first && i+1 < len(rest) && rest[i+1] != ']':
			p.out.WriteByte('-')
		case strings.IndexByte(`\[]^-&~`, c) >= 0:
			p.out.WriteString(`\` + string(rune(c)))
		default:
			p.out.WriteByte(c)
		}
		i++
	}
	return errors.New("a [ is not closed")
}

// named writes [:class:], [.x.] and [=x=], and says how long it is.
func (p *posix) named(s string) (int, error) {
	inner, _, closed := strings.Cut(s[2:], s[1:2]+"]")
	switch {
	case !closed:
		return 0, fmt.Errorf("%q is not closed", s[:2])
	case s[1] == ':':
		if strings.Trim(inner, "abcdefghijklmnopqrstuvwxyz") != "" {
			return 0, fmt.Errorf("[:%s:] is no class", inner)
		}
		p.out.WriteString("[:" + inner + ":]")
	case utf8.RuneCountInString(inner) != 1:
		return 0, fmt.Errorf("%s is no character", s[:len(inner)+4])
	default:
		p.out.WriteString(regexp.QuoteMeta(inner))
	}
	return len(inner) + 4, nil
}
