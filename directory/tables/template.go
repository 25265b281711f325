package tables

import (
	"fmt"
	"strconv"
	"strings"
)

// A template is the text of a rule: texts and groups of its pattern by turns.
type template []templatePart

type templatePart struct {
	text  string
	group int // 0 is the text
}

// literal is a template without groups.
func literal(text string) template { return template{{text: text}} }

// parseTemplate reads $1, ${1}, $(1) and $$. groups is how many there are; a negated
// pattern has none.
func parseTemplate(s string, groups int, negate bool) (template, error) {
	var t template
	for {
		i := strings.IndexByte(s, '$')
		if i < 0 {
			return t.add(s), nil
		}
		t, s = t.add(s[:i]), s[i+1:]
		if strings.HasPrefix(s, "$") {
			t, s = t.add("$"), s[1:]
			continue
		}
		name, rest, err := cutName(s)
		if err != nil {
			return nil, err
		}
		n, err := strconv.Atoi(name)
		switch {
		case err != nil || strings.Trim(name, "0123456789") != "":
			return nil, fmt.Errorf("$%s is no number of a group: write $$ for a $, and ${1}text where text follows a number", name)
		case negate:
			return nil, fmt.Errorf("$%s stands behind a negated pattern, which has no groups", name)
		case n < 1 || n > groups:
			return nil, fmt.Errorf("$%s: the pattern has %d groups", name, groups)
		}
		t, s = append(t, templatePart{group: n}), rest
	}
}

// cutName cuts off the name behind a $.
func cutName(s string) (name, rest string, err error) {
	if s != "" && (s[0] == '{' || s[0] == '(') {
		end := strings.IndexByte(s, map[byte]byte{'{': '}', '(': ')'}[s[0]])
		if end < 0 {
			return "", "", fmt.Errorf("%q is not closed", "$"+brief(s))
		}
		return s[1:end], s[end+1:], nil
	}
	n := 0
	for n < len(s) && (isAlnum(s[n]) || s[n] == '_') {
		n++
	}
	if n == 0 {
		return "", "", fmt.Errorf("a $ without a number: write $$ for a $")
	}
	return s[:n], s[n:], nil
}

func (t template) add(text string) template {
	switch {
	case text == "":
		return t
	case len(t) > 0 && t[len(t)-1].group == 0:
		t[len(t)-1].text += text
		return t
	}
	return append(t, templatePart{text: text})
}

// expand puts the groups of a match in; groups are pairs of offsets into key, -1 for one
// that took no part.
func (t template) expand(key string, groups []int, most int) (string, error) {
	if len(t) == 1 && t[0].group == 0 {
		return t[0].text, nil
	}
	var b strings.Builder
	for _, p := range t {
		text := p.text
		if i := 2 * p.group; i > 0 && i+1 < len(groups) && groups[i] >= 0 {
			text = key[groups[i]:groups[i+1]]
		}
		if b.Len()+len(text) > most {
			return "", fmt.Errorf("the text with its groups is longer than %d octets (tables.max_result)", most)
		}
		b.WriteString(text)
	}
	return b.String(), nil
}
