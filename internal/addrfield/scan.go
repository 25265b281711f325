package addrfield

import "strings"

// kind is what a token is: one of these, or the character of an operator.
type kind byte

const (
	atom    kind = 'a'
	quoted  kind = 'q'
	comment kind = 'c'
	literal kind = 'l'
	// group is the colon behind the name of a group.
	group kind = 'g'
	// address holds the tokens of one.
	address kind = 'A'
)

// operators are the characters that are tokens of their own.
const operators = "|%!()<>@,;:\\\".[]"

type token struct {
	kind kind
	// text is without quotes or brackets; a comment has its own.
	text string
	// of are the tokens of an address.
	of []token
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// usual is how many tokens there is room for at once: a name and an address.
const usual = 12

// scan takes text apart. ok is false when there are more than limit tokens.
func scan(text string, limit int) (all []token, ok bool) {
	all = make([]token, 0, min(usual, len(text)))
	for i := 0; i < len(text); {
		if isSpace(text[i]) {
			i++
			continue
		}
		if len(all) >= limit {
			return all, false
		}
		var t token
		switch c := text[i]; {
		case c == '(':
			t, i = scanComment(text, i)
		case c == '[':
			t.kind = literal
			t.text, i = collect(text, i+1, func(c byte) bool { return c == ']' })
			i = min(i+1, len(text))
		case c == '"':
			t.kind = quoted
			t.text, i = collect(text, i+1, func(c byte) bool { return c == '"' })
			i = min(i+1, len(text))
		case c != '\\' && strings.IndexByte(operators, c) >= 0:
			t.kind = kind(c)
			i++
		default: // a backslash may be the first
			t.kind = atom
			t.text, i = collect(text, i, func(c byte) bool { return isSpace(c) || strings.IndexByte(operators, c) >= 0 })
			if needsQuotes(t.text) {
				t.kind = quoted
			}
		}
		all = append(all, t)
	}
	return all, true
}

// collect reads up to an octet that ends it, without the backslashes. What has nothing to be taken out is a part of text.
func collect(text string, i int, ends func(byte) bool) (string, int) {
	from := i
	for i < len(text) && !altered(text[i]) && !ends(text[i]) {
		i++
	}
	if i == len(text) || !altered(text[i]) {
		return text[from:i], i
	}
	var b strings.Builder
	b.WriteString(text[from:i])
	for i < len(text) {
		c := text[i]
		if c == '\\' {
			if i++; i == len(text) {
				break
			}
			c = text[i]
		} else if ends(c) {
			break
		}
		if c == '\t' || c == '\r' || c == '\n' {
			c = ' '
		}
		b.WriteByte(c)
		i++
	}
	return b.String(), i
}

// altered says that collect does not take an octet as it is, unless it is where it ends.
func altered(c byte) bool { return c == '\\' || c == '\t' || c == '\r' || c == '\n' }

// scanComment reads a comment with all that is within it, as it stands.
func scanComment(text string, from int) (token, int) {
	depth := 0
	i := from
	for i < len(text) {
		c := text[i]
		i++
		switch c {
		case '(':
			depth++
		case ')':
			depth--
		case '\\':
			i = min(i+1, len(text))
		}
		if depth == 0 {
			break
		}
	}
	return token{kind: comment, text: text[from:i]}, i
}

// needsQuotes says that a word with backslashes is none without.
func needsQuotes(word string) bool {
	for i := range len(word) {
		if c := word[i]; c <= ' ' || c == 0x7f || strings.IndexByte(operators, c) >= 0 {
			return true
		}
	}
	return false
}

func (k kind) isWord() bool { return k == atom || k == quoted || k == literal }

// stands says that two such tokens beside one another have a space between them.
func (k kind) stands() bool { return k.isWord() || k == comment || k == address }

// write appends tokens. Between those of an address there is no space.
func write(b []byte, all []token, lines, inner bool) []byte {
	for i, t := range all {
		switch t.kind {
		case ',':
			if b = append(b, ','); lines {
				b = append(b, '\n')
			} else {
				b = append(b, ' ')
			}
			continue
		case address:
			b = write(b, t.of, false, true)
		case atom, comment:
			b = append(b, t.text...)
		case quoted:
			b = append(escaped(append(b, '"'), t.text, "\"\\\r\n"), '"')
		case literal:
			b = append(escaped(append(b, '['), t.text, "\\\r\n"), ']')
		case group:
			b = append(b, ':')
		default:
			b = append(b, byte(t.kind))
		}
		if inner || i+1 == len(all) {
			continue
		}
		if next := all[i+1].kind; t.kind == group || next == '<' || t.kind.stands() && next.stands() {
			b = append(b, ' ')
		}
	}
	return b
}

func escaped(b []byte, text, special string) []byte {
	for i := range len(text) {
		if strings.IndexByte(special, text[i]) >= 0 {
			b = append(b, '\\')
		}
		b = append(b, text[i])
	}
	return b
}
