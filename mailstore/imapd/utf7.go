package imapd

import (
	"encoding/base64"
	"unicode/utf16"
	"unicode/utf8"
)

// Modified UTF-7 (RFC 3501 section 5.1.3) is how mailbox names cross the
// wire; inside they are UTF-8.

var utf7Base64 = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").WithPadding(base64.NoPadding)

// encodeUTF7 encodes a name. Invalid UTF-8 becomes U+FFFD.
func encodeUTF7(s string) []byte {
	out := make([]byte, 0, len(s)+8)
	var wide []byte // UTF-16 of the shift that is open
	closeShift := func() {
		if len(wide) > 0 {
			out = append(out, '&')
			out = utf7Base64.AppendEncode(out, wide)
			out = append(out, '-')
			wide = wide[:0]
		}
	}
	for _, r := range s {
		if r >= 0x20 && r < 0x7f {
			closeShift()
			out = append(out, byte(r))
			if r == '&' {
				out = append(out, '-')
			}
			continue
		}
		if hi, lo := utf16.EncodeRune(r); hi != utf8.RuneError {
			wide = append(wide, byte(hi>>8), byte(hi), byte(lo>>8), byte(lo))
		} else {
			wide = append(wide, byte(r>>8), byte(r))
		}
	}
	closeShift()
	return out
}

// decodeUTF7 decodes a name. ok is false when it is not modified UTF-7 in its
// one valid form. Octets above 0x7f are taken as UTF-8, which some clients
// send.
func decodeUTF7(s string) (name string, ok bool) {
	if !utf8.ValidString(s) {
		return "", false
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '&' {
			out = append(out, s[i])
			continue
		}
		end := i + 1
		for end < len(s) && s[end] != '-' {
			end++
		}
		if end == len(s) {
			return "", false
		}
		if end == i+1 {
			out = append(out, '&')
		} else if out, ok = appendShift(out, s[i+1:end]); !ok {
			return "", false
		}
		i = end
	}
	return string(out), true
}

// appendShift decodes what is between "&" and "-".
func appendShift(dst []byte, shift string) ([]byte, bool) {
	wide, err := utf7Base64.Strict().DecodeString(shift)
	if err != nil || len(wide)%2 != 0 || len(wide) == 0 {
		return dst, false
	}
	for i := 0; i < len(wide); i += 2 {
		r := rune(wide[i])<<8 | rune(wide[i+1])
		if utf16.IsSurrogate(r) {
			if i+3 >= len(wide) {
				return dst, false
			}
			r = utf16.DecodeRune(r, rune(wide[i+2])<<8|rune(wide[i+3]))
			if r == utf8.RuneError {
				return dst, false
			}
			i += 2
		}
		if r >= 0x20 && r < 0x7f {
			return dst, false // must be written as it is
		}
		dst = utf8.AppendRune(dst, r)
	}
	return dst, true
}
