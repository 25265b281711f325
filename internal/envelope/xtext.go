package envelope

import "strings"

// DecodeXtext decodes the xtext of RFC 3461 section 4, in which ENVID and ORCPT
// travel and are kept; ok is false when it is malformed.
func DecodeXtext(s string) (text string, ok bool) {
	if strings.IndexByte(s, '+') < 0 {
		return s, isXchars(s)
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '+' {
			if !isXchars(s[i : i+1]) {
				return "", false
			}
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", false
		}
		high, low := hexValue(s[i+1]), hexValue(s[i+2])
		if high < 0 || low < 0 {
			return "", false
		}
		b.WriteByte(byte(high<<4 | low))
		i += 2
	}
	return b.String(), true
}

// EncodeXtext is the reverse.
func EncodeXtext(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c == '+' || c == '=' || c <= ' ' || c > '~' {
			const digits = "0123456789ABCDEF"
			b.Write([]byte{'+', digits[c>>4], digits[c&15]})
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func isXchars(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' || s[i] == '=' {
			return false
		}
	}
	return true
}

// hexValue is strict about the upper case that RFC 3461 demands.
func hexValue(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'A' && c <= 'F':
		return int(c - 'A' + 10)
	}
	return -1
}
