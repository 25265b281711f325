package tables

import "golang.org/x/text/cases"

// fold is the form of a key in which tables of exact keys have it and are asked for
// it: Unicode's full case folding, as Postfix's casefold(3).
func fold(s string) string {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 0x80:
			return cases.Fold().String(s)
		case 'A' <= c && c <= 'Z':
			return foldFrom(s, i)
		}
	}
	return s
}

// foldFrom folds a text whose first i octets are folded.
func foldFrom(s string, i int) string {
	b := []byte(s)
	for ; i < len(b); i++ {
		switch c := b[i]; {
		case c >= 0x80:
			return cases.Fold().String(s)
		case 'A' <= c && c <= 'Z':
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
