package utf7

import (
	"encoding/base64"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

var alphabet = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").WithPadding(base64.NoPadding)

// Append appends the coded form of a name. Invalid UTF-8 becomes U+FFFD.
func Append(out []byte, s string) []byte {
	if plain(s) {
		return append(out, s...)
	}
	var wide []byte // UTF-16 of the shift that is open
	closeShift := func() {
		if len(wide) > 0 {
			out = append(out, '&')
			out = alphabet.AppendEncode(out, wide)
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

// Encode is Append for a name that must be UTF-8; ok is false if it is not.
func Encode(s string) (code string, ok bool) {
	if !utf8.ValidString(s) {
		return "", false
	}
	return string(Append(nil, s)), true
}

// plain says that s stands for itself.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e || s[i] == '&' {
			return false
		}
	}
	return true
}

// Decode reads the one valid form of a name and nothing else, so that two codes
// never stand for one name.
func Decode(s string) (name string, ok bool) {
	if plain(s) {
		return s, true
	}
	name, ok = DecodeLoose(s)
	if !ok || string(Append(nil, name)) != s {
		return "", false
	}
	return name, true
}

// DecodeLoose is Decode for what clients send: octets above 0x7f are taken as UTF-8, and
// control characters may stand for themselves. ok is false for everything else, as for one
// shift right behind another, which RFC 3501 section 5.1.3 forbids: the client would find
// the folder under another name than it made.
func DecodeLoose(s string) (name string, ok bool) {
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
		} else if out, ok = AppendShift(out, s[i+1:end]); !ok || superfluous(s[end+1:]) {
			return "", false
		}
		i = end
	}
	return string(out), true
}

// superfluous says that what stands behind a shift begins with another one; "&-" is none.
func superfluous(rest string) bool {
	return strings.HasPrefix(rest, "&") && !strings.HasPrefix(rest, "&-")
}

// AppendShift decodes what is between "&" and "-". ok is false, and dst is as it was,
// when that is no shift in its valid form.
func AppendShift(dst []byte, shift string) (out []byte, ok bool) {
	out = dst
	// encoding/base64 passes over line ends, which are none of the alphabet.
	if strings.ContainsAny(shift, "\r\n") {
		return dst, false
	}
	wide, err := alphabet.Strict().DecodeString(shift)
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
		out = utf8.AppendRune(out, r)
	}
	return out, true
}
