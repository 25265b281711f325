package printable

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// UTF8 is text with what can be seen of it, and with the runes of keep.
func UTF8(text string, keep ...rune) string { return clean(text, strconv.IsPrint, keep) }

// ASCII is the same for a reader who takes US-ASCII only: a rune outside is one
// question mark.
func ASCII(text string, keep ...rune) string {
	return clean(text, func(r rune) bool { return r >= ' ' && r <= '~' }, keep)
}

func clean(text string, fit func(rune) bool, keep []rune) string {
	bad := func(r rune) bool {
		if r == utf8.RuneError || !fit(r) {
			for _, k := range keep {
				if r == k {
					return false
				}
			}
			return true
		}
		return false
	}
	if strings.IndexFunc(text, bad) < 0 {
		return text
	}
	return strings.Map(func(r rune) rune {
		if bad(r) {
			return '?'
		}
		return r
	}, text)
}
