package smtpserver

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"toastmaster/internal/envelope"
)

// decodeUTF8Address decodes utf-8-addr-xtext and utf-8-addr-unitext of RFC 6533
// section 3: octets of UTF-8 as they are, others as \x{HEX}.
func decodeUTF8Address(s string) (string, bool) {
	var b strings.Builder
	for s != "" {
		if !strings.HasPrefix(s, `\x{`) {
			if s[0] <= ' ' || s[0] == 0x7f || s[0] == '\\' {
				return "", false
			}
			b.WriteByte(s[0])
			s = s[1:]
			continue
		}
		digits, rest, ok := strings.Cut(s[3:], "}")
		n, err := strconv.ParseUint(digits, 16, 32)
		if !ok || err != nil || n > utf8.MaxRune || !utf8.ValidRune(rune(n)) {
			return "", false
		}
		b.WriteRune(rune(n))
		s = rest
	}
	return b.String(), utf8.ValidString(b.String())
}

// EncodeORcpt writes an ORCPT parameter value, "type;text" (RFC 3461 section
// 4.2), "" when there is none. A text that is not ASCII is written in the form
// that passes hosts without SMTPUTF8 (RFC 6533 section 3).
func EncodeORcpt(kind, text string) string {
	switch {
	case text == "":
		return ""
	case !strings.EqualFold(kind, "utf-8"):
		return strings.ToLower(kind) + ";" + envelope.EncodeXtext(text)
	}
	var b strings.Builder
	b.WriteString("utf-8;")
	for _, r := range text {
		if r <= ' ' || r >= 0x7f || r == '\\' || r == '+' || r == '=' {
			b.WriteString(`\x{` + strings.ToUpper(strconv.FormatUint(uint64(r), 16)) + "}")
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}
