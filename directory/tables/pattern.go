package tables

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// flags are those behind a pattern, and whether they are on.
type flags map[byte]bool

// matcher finds a pattern in a text: pairs of offsets of the match and its groups.
type matcher interface {
	find(ctx context.Context, text string) (groups []int, met bool, err error)
	groups() int
}

// parsePatterns reads regexp_table(5) and pcre_table(5).
func parsePatterns(n name, s *source, l limits, defaults flags, compile func(pattern string, f flags, l limits) (matcher, error)) (content, error) {
	cut := func(line string) (pattern[string], error) {
		line, negate := cutNegation(line)
		text, letters, rest, err := cutPattern(line)
		if err != nil {
			return pattern[string]{}, err
		}
		on := flags{}
		for letter, is := range defaults {
			on[letter] = is
		}
		for i := range len(letters) {
			if _, known := on[letters[i]]; !known {
				return pattern[string]{}, fmt.Errorf("unknown flag %q behind the pattern", letters[i:i+1])
			}
			on[letters[i]] = !on[letters[i]]
		}
		m, err := compile(text, on, l)
		if err != nil {
			return pattern[string]{}, fmt.Errorf("pattern %q: %w", brief(text), err)
		}
		return pattern[string]{test: m.find, negate: negate, groups: m.groups(), rest: rest}, nil
	}
	t, err := parseRules(n, s, l, cut, func(text string, p pattern[string]) (template, error) {
		return parseTemplate(text, p.groups, p.negate)
	})
	if err != nil {
		return nil, err
	}
	t.keyOf = func(key string) (string, bool) { return key, key != "" }
	return t, nil
}

// cutPattern cuts "/pattern/flags" off a line. The delimiter is any character that is
// neither a letter nor a digit; behind a backslash it is one of the pattern.
func cutPattern(line string) (text, letters, rest string, err error) {
	if line == "" {
		return "", "", "", errors.New("no pattern")
	}
	delimiter := line[0]
	if isAlnum(delimiter) || delimiter >= 0x80 || delimiter == '\\' {
		return "", "", "", fmt.Errorf("%q does not begin with a delimiter, as /pattern/ does", brief(line))
	}
	end := 1
	for end < len(line) && line[end] != delimiter {
		if line[end] == '\\' {
			end++
		}
		end++
	}
	if end >= len(line) {
		return "", "", "", fmt.Errorf("the pattern is not closed: there is no second %q", string(delimiter))
	}
	letters, rest = cutWord(line[end+1:])
	if rest == "" && strings.IndexAny(line[end+1:], blanks) == 0 {
		letters = ""
	}
	return line[1:end], letters, rest, nil
}
