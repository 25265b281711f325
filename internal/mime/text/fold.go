package text

import (
	"slices"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Fold appends s in a form in which upper and lower case, and the ways to
// write a character (composed or not, full or half width), are the same: about
// i;unicode-casemap (RFC 5051). Octets that are no UTF-8 stay.
func Fold(dst, s []byte) []byte {
	n := 0
	for n < len(s) && s[n] < utf8.RuneSelf {
		n++
	}
	if n > 0 && n < len(s) {
		n-- // a combining character may follow
	}
	dst = slices.Grow(dst, len(s))
	for _, c := range s[:n] {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	if s = s[n:]; len(s) == 0 {
		return dst
	}
	if !norm.NFKC.IsNormal(s) {
		s = norm.NFKC.Bytes(s)
	}
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRune(s[i:])
		if r == utf8.RuneError && n <= 1 {
			dst = append(dst, s[i])
		} else {
			dst = utf8.AppendRune(dst, unicode.ToLower(unicode.ToUpper(r)))
		}
		i += max(n, 1)
	}
	return dst
}

// Whole is the length of b without what may go on in the next piece: a
// character that is cut off, or one that a combining one may follow. It may be 0.
func Whole(b []byte) int { return max(norm.NFKC.LastBoundary(b[:wholeRunes(b)]), 0) }

// wholeRunes is the length of b without a character that is cut off at its
// end.
func wholeRunes(b []byte) int {
	for i := 1; i < utf8.UTFMax && i <= len(b); i++ {
		if c := b[len(b)-i]; utf8.RuneStart(c) {
			if !utf8.FullRune(b[len(b)-i:]) {
				return len(b) - i
			}
			break
		}
	}
	return len(b)
}
