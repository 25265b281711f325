package maildir

import (
	"encoding/base64"
	"errors"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// ErrUTF7 says that a name is not valid modified UTF-7, or not UTF-8.
var ErrUTF7 = errors.New("maildir: invalid modified UTF-7")

// The alphabet of RFC 3501 section 5.1.3: "," for "/", no padding.
const utf7Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,"

func utf7Codec() *base64.Encoding {
	return base64.NewEncoding(utf7Alphabet).WithPadding(base64.NoPadding).Strict()
}

// EncodeUTF7 writes UTF-8 as modified UTF-7.
func EncodeUTF7(s string) (string, error) {
	if !utf8.ValidString(s) {
		return "", ErrUTF7
	}
	if plainUTF7(s) {
		return s, nil
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == '&':
			b.WriteString("&-")
			s = s[n:]
		case r >= 0x20 && r <= 0x7e:
			b.WriteRune(r)
			s = s[n:]
		default:
			s = encodeShift(&b, s)
		}
	}
	return b.String(), nil
}

func plainUTF7(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e || s[i] == '&' {
			return false
		}
	}
	return true
}

// encodeShift writes the run of non-ASCII characters at the start of s and
// returns the rest.
func encodeShift(b *strings.Builder, s string) string {
	var wide []byte
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r >= 0x20 && r <= 0x7e {
			break
		}
		for _, u := range utf16.AppendRune(nil, r) {
			wide = append(wide, byte(u>>8), byte(u))
		}
		s = s[n:]
	}
	b.WriteByte('&')
	b.WriteString(utf7Codec().EncodeToString(wide))
	b.WriteByte('-')
	return s
}

// DecodeUTF7 reads modified UTF-7. Only the canonical form is accepted, so
// that two folder names never stand for one mailbox.
func DecodeUTF7(s string) (string, error) {
	if plainUTF7(s) {
		return s, nil
	}
	code := s
	var b strings.Builder
	for len(s) > 0 {
		i := strings.IndexByte(s, '&')
		if i < 0 {
			i = len(s)
		}
		if !plainUTF7(s[:i]) {
			return "", ErrUTF7
		}
		b.WriteString(s[:i])
		if s = s[i:]; s == "" {
			break
		}
		end := strings.IndexByte(s, '-')
		if end < 0 {
			return "", ErrUTF7
		}
		if err := decodeShift(&b, s[1:end]); err != nil {
			return "", err
		}
		s = s[end+1:]
	}
	out := b.String()
	if again, err := EncodeUTF7(out); err != nil || again != code {
		return "", ErrUTF7
	}
	return out, nil
}

func decodeShift(b *strings.Builder, code string) error {
	if code == "" {
		b.WriteByte('&')
		return nil
	}
	wide, err := utf7Codec().DecodeString(code)
	if err != nil || len(wide)%2 != 0 {
		return ErrUTF7
	}
	units := make([]uint16, len(wide)/2)
	for i := range units {
		units[i] = uint16(wide[2*i])<<8 | uint16(wide[2*i+1])
	}
	for i := 0; i < len(units); i++ {
		r := rune(units[i])
		if utf16.IsSurrogate(r) {
			if i+1 == len(units) {
				return ErrUTF7
			}
			i++
			r = utf16.DecodeRune(r, rune(units[i]))
			if r == utf8.RuneError {
				return ErrUTF7
			}
		}
		if r >= 0x20 && r <= 0x7e {
			return ErrUTF7 // must stand for itself
		}
		b.WriteRune(r)
	}
	return nil
}
