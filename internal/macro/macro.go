package macro

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// maxDepth bounds conditions within conditions; nobody writes three.
const maxDepth = 20

// Text is a text with macros. The zero Text is empty.
type Text struct{ pieces []piece }

// piece is text as it is, or a macro.
type piece struct {
	text string
	name string
	// conditional: set or unset stands in the place of the value.
	conditional bool
	set, unset  Text
}

// Parse reads a text whose macros have these names.
func Parse(s string, names []string) (Text, error) { return parse(s, names, 0) }

func parse(s string, names []string, depth int) (t Text, err error) {
	if depth > maxDepth {
		return t, errors.New("conditions stand too deep in each other")
	}
	for s != "" {
		i := strings.IndexByte(s, '$')
		if i < 0 {
			i = len(s)
		}
		if i > 0 {
			t.pieces = append(t.pieces, piece{text: s[:i]})
			s = s[i:]
			continue
		}
		var p piece
		if p, s, err = parseMacro(s[1:], names, depth); err != nil {
			return Text{}, err
		}
		t.pieces = append(t.pieces, p)
	}
	return t, nil
}

// parseMacro reads what stands behind "$".
func parseMacro(s string, names []string, depth int) (p piece, rest string, err error) {
	switch {
	case s == "":
		return p, "", errors.New("$ without a name (write $$)")
	case s[0] == '$':
		return piece{text: "$"}, s[1:], nil
	case s[0] == '{' || s[0] == '(':
		end := closing(s)
		if end < 0 {
			return p, "", fmt.Errorf("$%s has no end", s)
		}
		p, err = parseBraced(s[1:end], names, depth)
		return p, s[end+1:], err
	}
	n := nameLength(s)
	p.name = s[:n]
	return p, s[n:], known(p.name, names)
}

func parseBraced(s string, names []string, depth int) (p piece, err error) {
	n := nameLength(s)
	p.name = s[:n]
	if err := known(p.name, names); err != nil {
		return p, err
	}
	rest := s[n:]
	if rest == "" {
		return p, nil
	}
	p.conditional = true
	first, op := rest[1:], rest[0]
	second := ""
	if strings.HasPrefix(first, "{") {
		end := closing(first)
		if end < 0 {
			return p, fmt.Errorf("no end of ${%s", s)
		}
		behind := first[end+1:]
		first = first[1:end]
		if other, ok := strings.CutPrefix(behind, ":{"); ok && op == '?' && strings.HasSuffix(other, "}") {
			second, behind = other[:len(other)-1], ""
		}
		if behind != "" {
			return p, fmt.Errorf("${%s}: %q is no condition", s, behind)
		}
	}
	yes, err := parse(first, names, depth+1)
	if err != nil {
		return p, err
	}
	no, err := parse(second, names, depth+1)
	switch op {
	case '?':
		p.set, p.unset = yes, no
	case ':':
		p.unset = yes
	default:
		err = fmt.Errorf("${%s}: %q, and neither a question mark nor a colon", s, op)
	}
	return p, err
}

func known(name string, names []string) error {
	if !slices.Contains(names, name) {
		return fmt.Errorf("there is no $%s (there are %s)", name, strings.Join(names, ", "))
	}
	return nil
}

func nameLength(s string) int {
	n := strings.IndexFunc(s, func(c rune) bool {
		return c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
	})
	if n < 0 {
		n = len(s)
	}
	return n
}

// closing is where the bracket that s begins with ends, -1 when it does not.
func closing(s string) int {
	open, end := s[0], byte('}')
	if open == '(' {
		end = ')'
	}
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case open:
			depth++
		case end:
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// Expand is the text with a value for each name.
func (t Text) Expand(value func(name string) string) string {
	var b strings.Builder
	t.expand(&b, value)
	return b.String()
}

func (t Text) expand(b *strings.Builder, value func(string) string) {
	for _, p := range t.pieces {
		switch {
		case p.name == "":
			b.WriteString(p.text)
		case !p.conditional:
			b.WriteString(value(p.name))
		case value(p.name) != "":
			p.set.expand(b, value)
		default:
			p.unset.expand(b, value)
		}
	}
}

// Uses says that one of the names stands in the text.
func (t Text) Uses(names ...string) bool {
	return slices.ContainsFunc(t.pieces, func(p piece) bool {
		return slices.Contains(names, p.name) || p.set.Uses(names...) || p.unset.Uses(names...)
	})
}

// Begins says that the text begins with a value, and not with what its author wrote.
func (t Text) Begins() bool { return len(t.pieces) > 0 && t.pieces[0].name != "" }
