package cleanup

import (
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"strings"
	"unicode/utf16"

	"golang.org/x/text/encoding/htmlindex"
)

// encodedWord finds an encoded word wherever it stands, also glued to other text
// and with blanks in it. RFC 2047 allows neither; many readers do.
var encodedWord = regexp.MustCompile(`=\?([^?\s]+)\?([bBqQ])\?([^?]*)\?=`)

// decodeWords is text with its encoded words decoded as forgiving readers do:
// base64 without its padding or with foreign octets in it, a wrong =XX, an
// octet sequence that goes on in the next word. mime.WordDecoder leaves such a
// word as it is, and so would overlook what others show.
func decodeWords(text string) string {
	var out strings.Builder
	var octets []byte // of the words before that had the same charset
	charset, at := "", 0
	flush := func() {
		out.Write(toUTF8(charset, octets))
		octets = octets[:0]
	}
	for _, m := range encodedWord.FindAllStringSubmatchIndex(text, -1) {
		between := text[at:m[0]]
		if len(octets) == 0 || strings.TrimLeft(between, " \t\r\n") != "" {
			flush()
			out.WriteString(between)
		}
		name, _, _ := strings.Cut(strings.ToLower(text[m[2]:m[3]]), "*") // RFC 2231: charset*language
		if name != charset {
			flush()
			charset = name
		}
		data := text[m[6]:m[7]]
		if text[m[4]]|0x20 == 'b' {
			octets = append(octets, decodeB(data)...)
		} else {
			octets = appendQ(octets, data)
		}
		at = m[1]
	}
	flush()
	out.WriteString(text[at:])
	return out.String()
}

// decodeB decodes base64 of which only the alphabet counts.
func decodeB(data string) []byte {
	data, _, _ = strings.Cut(data, "=")
	data = strings.Map(func(r rune) rune {
		switch {
		case 'A' <= r && r <= 'Z', 'a' <= r && r <= 'z', '0' <= r && r <= '9', r == '+', r == '/':
			return r
		}
		return -1
	}, data)
	if len(data)%4 == 1 {
		data = data[:len(data)-1]
	}
	out, _ := base64.RawStdEncoding.DecodeString(data)
	return out
}

// appendQ decodes the Q encoding; what is no =XX stands for itself.
func appendQ(dst []byte, data string) []byte {
	var octet [1]byte
	for i := 0; i < len(data); i++ {
		c := data[i]
		switch {
		case c == '_':
			c = ' '
		case c == '=' && i+2 < len(data):
			if _, err := hex.Decode(octet[:], []byte(data[i+1:i+3])); err == nil {
				c = octet[0]
				i += 2
			}
		}
		dst = append(dst, c)
	}
	return dst
}

// toUTF8 reads octets in a charset; one that nobody knows shows its octets.
func toUTF8(charset string, octets []byte) []byte {
	if strings.Contains(charset, "utf-7") || strings.Contains(charset, "utf7") || charset == "unicode-1-1-utf-7" {
		return fromUTF7(octets)
	}
	e, err := htmlindex.Get(charset)
	if err != nil {
		return octets
	}
	out, err := e.NewDecoder().Bytes(octets)
	if err != nil {
		return octets
	}
	return out
}

// fromUTF7 reads UTF-7 (RFC 2152), which no library of ours knows any more and
// webmails in PHP and Python still show.
func fromUTF7(octets []byte) []byte {
	var out []byte
	for i := 0; i < len(octets); i++ {
		if octets[i] != '+' {
			out = append(out, octets[i])
			continue
		}
		end := i + 1
		for end < len(octets) && isBase64(octets[end]) {
			end++
		}
		raw := decodeB(string(octets[i+1 : end]))
		units := make([]uint16, 0, len(raw)/2)
		for j := 0; j+1 < len(raw); j += 2 {
			units = append(units, uint16(raw[j])<<8|uint16(raw[j+1]))
		}
		if end == i+1 {
			units = append(units, '+')
		}
		out = append(out, string(utf16.Decode(units))...)
		if i = end; i < len(octets) && octets[i] != '-' {
			i--
		}
	}
	return out
}

func isBase64(c byte) bool {
	return 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '+' || c == '/'
}
