package smtpserver

import (
	"strings"

	"toastmaster/internal/dsn"
)

// param is a parameter of MAIL or RCPT.
type param struct{ key, value string }

// parseParams splits "KEY=value KEY" (RFC 5321 section 4.1.2); keys come in
// upper case. A parameter that comes twice is an error.
func parseParams(s string) ([]param, *dsn.Error) {
	var list []param
	for word := range strings.FieldsSeq(s) {
		key, value, _ := strings.Cut(word, "=")
		key = strings.ToUpper(key)
		if key == "" {
			return nil, dsn.New(dsn.InvalidArguments, "Malformed parameter")
		}
		for _, p := range list {
			if p.key == key {
				return nil, dsn.Newf(dsn.InvalidArguments, "Parameter %s given twice", printable(key))
			}
		}
		list = append(list, param{key, value})
	}
	return list, nil
}

// unsupported is the answer to a parameter we do not know (RFC 5321 section
// 4.1.1.11).
func unsupported(key string) *dsn.Error {
	return dsn.Newf(dsn.InvalidArguments, "Unsupported parameter %s", printable(key)).WithCode(555)
}

func badParam(key string) *dsn.Error {
	return dsn.Newf(dsn.InvalidArguments, "Bad value of parameter %s", key)
}

// printable shortens what a client sent for a reply.
func printable(s string) string {
	if len(s) > 32 {
		return s[:32] + "..."
	}
	return s
}

// DecodeXtext decodes the xtext of RFC 3461 section 4; ok is false when it is
// malformed.
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
