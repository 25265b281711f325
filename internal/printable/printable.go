// Package printable makes text that came from outside fit for a line of a log,
// a reply, a report or a terminal.
//
// # What it does
//
// Each rune that is not to be seen becomes a question mark, as in Postfix:
// controls (line ends, escape sequences, C1), runes without a glyph (those that
// turn the direction of the text, or join, or have no width), and octets that are
// no UTF-8. What stays is what strconv.IsPrint prints.
//
// # What it does not do
//
// It shortens nothing and quotes nothing. The fields of a Received line have
// rules of their own (package trace), and so has what is compared (mta/cleanup).
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
