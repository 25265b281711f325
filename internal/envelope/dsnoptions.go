package envelope

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// notifyWords are the words of NOTIFY (RFC 3461 section 4.1), in the order in
// which they are written.
var notifyWords = [...]struct {
	bit  Notify
	word string
}{{NotifyNever, "NEVER"}, {NotifySuccess, "SUCCESS"}, {NotifyFailure, "FAILURE"}, {NotifyDelay, "DELAY"}}

// ParseNotify reads a NOTIFY parameter: NEVER alone, or a list of the others, of which one may be there twice, in
// any case.
func ParseNotify(value string) (n Notify, ok bool) {
	for {
		word, rest, more := strings.Cut(value, ",")
		bit := Notify(0)
		for _, w := range notifyWords {
			if strings.EqualFold(word, w.word) {
				bit = w.bit
			}
		}
		if bit == 0 || bit == NotifyNever && (n != 0 || more) {
			return 0, false
		}
		n |= bit
		if !more {
			return n, true
		}
		value = rest
	}
}

// String is the parameter as SMTP writes it, "" when the sender said nothing.
func (n Notify) String() string {
	if n&NotifyNever != 0 {
		return "NEVER"
	}
	text := ""
	for _, w := range notifyWords {
		if n&w.bit != 0 {
			if text != "" {
				text += ","
			}
			text += w.word
		}
	}
	return text
}

// ParseReturn reads a RET parameter, in any case.
func ParseReturn(value string) (r Return, ok bool) {
	switch {
	case strings.EqualFold(value, "FULL"):
		return ReturnFull, true
	case strings.EqualFold(value, "HDRS"):
		return ReturnHeaders, true
	}
	return ReturnUnset, false
}

// Limits of parameters before decoding, in octets (RFC 3461 sections 4.2 and
// 4.4).
const (
	maxEnvID = 100
	maxORcpt = 500
)

// IsEnvID says whether an ENVID parameter may be kept as it was received.
func IsEnvID(value string) bool {
	if value == "" || len(value) > maxEnvID {
		return false
	}
	_, ok := DecodeXtext(value)
	return ok
}

// ParseORcpt checks an ORCPT parameter, "type;text" (RFC 3461 section 4.2), and
// returns it as it is kept: as it was received, but for the type in lower case
// and for an address in UTF-8, which is written in the form that passes hosts
// without SMTPUTF8 (RFC 6533 section 3).
func ParseORcpt(value string) (orcpt string, ok bool) {
	kind, text, found := strings.Cut(value, ";")
	if !found || kind == "" || text == "" || len(value) > maxORcpt || !isAtom(kind) {
		return "", false
	}
	lower := strings.ToLower(kind)
	if lower == "utf-8" {
		address, ok := decodeUTF8Address(text)
		if ok && (!isXchars(text) || strings.IndexByte(text, '+') >= 0) {
			value = lower + ";" + encodeUTF8Address(address)
		}
		return lower + value[len(kind):], ok
	}
	if _, ok := DecodeXtext(text); !ok {
		return "", false
	}
	if lower == kind {
		return value, true
	}
	return lower + value[len(kind):], true
}

// isAtom says that s has visible ASCII only: what a type of address is made of.
func isAtom(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

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

func encodeUTF8Address(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r <= ' ' || r >= 0x7f || r == '\\' || r == '+' || r == '=' {
			b.WriteString(`\x{` + strings.ToUpper(strconv.FormatUint(uint64(r), 16)) + "}")
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}
