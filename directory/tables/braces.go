package tables

import (
	"errors"
	"fmt"
	"strings"
)

// unbrace takes the braces off "{ text }", and the white space inside of them.
func unbrace(s string) (string, error) {
	s = strings.Trim(s, blanks)
	if !strings.HasPrefix(s, "{") {
		return "", fmt.Errorf("%q does not begin with a {", brief(s))
	}
	end := closing(s)
	switch {
	case end < 0:
		return "", errors.New("a { is not closed")
	case end < len(s)-1:
		return "", fmt.Errorf("there is text behind the last }: %q", brief(s[end+1:]))
	}
	return strings.Trim(s[1:end], blanks), nil
}

// closing is where the brace is that closes the one at the start; -1 for none.
func closing(s string) int {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// items cuts a list at commas and white space that stand in no braces.
func items(s string) ([]string, error) {
	const separators = ", \t\r\n"
	var all []string
	for {
		s = strings.TrimLeft(s, separators)
		if s == "" {
			return all, nil
		}
		end := 0
		for end < len(s) && strings.IndexByte(separators, s[end]) < 0 {
			if s[end] == '{' {
				n := closing(s[end:])
				if n < 0 {
					return nil, errors.New("a { is not closed")
				}
				end += n
			}
			end++
		}
		all, s = append(all, s[:end]), s[end:]
	}
}

// list is the items of "{ a, b c }", at least one.
func list(s string) ([]string, error) {
	inner, err := unbrace(s)
	if err != nil {
		return nil, err
	}
	all, err := items(inner)
	if err == nil && len(all) == 0 {
		err = errors.New("the list is empty")
	}
	return all, err
}
