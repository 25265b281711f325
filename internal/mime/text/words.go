package text

import (
	"bytes"
	"io"
	"mime"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/transform"
)

// DecodeWords decodes the encoded words of a header field (RFC 2047).
func DecodeWords(text []byte) []byte {
	if !bytes.Contains(text, []byte("=?")) {
		return text
	}
	d := mime.WordDecoder{CharsetReader: func(name string, r io.Reader) (io.Reader, error) {
		return charset(name, r), nil
	}}
	decoded, err := d.DecodeHeader(string(text))
	if err != nil {
		return text
	}
	return []byte(decoded)
}

// charset reads a charset as UTF-8; one that is not known is read as
// it is.
func charset(name string, r io.Reader) io.Reader {
	e, err := htmlindex.Get(name)
	if err != nil {
		return r
	}
	if name, err := htmlindex.Name(e); err == nil && name == "utf-8" {
		return r
	}
	return transform.NewReader(r, e.NewDecoder())
}

// Unfold joins continuation lines in place, and turns CR LF into LF.
func Unfold(b []byte) []byte {
	out := b[:0]
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] == '\r' && i+1 < len(b) && b[i+1] == '\n':
		case b[i] == '\n' && i+1 < len(b) && (b[i+1] == ' ' || b[i+1] == '\t'):
		default:
			out = append(out, b[i])
		}
	}
	return out
}

// The charsets that htmlindex knows otherwise: its us-ascii is windows-1252.
const (
	utf8Name  = "utf-8"
	asciiName = "us-ascii"
)

// KnownCharset says whether ToUTF8 reads a charset.
func KnownCharset(name string) bool {
	name = strings.ToLower(name)
	if name == utf8Name || name == asciiName {
		return true
	}
	_, err := htmlindex.Get(name)
	return err == nil
}

// ToUTF8 turns text of a charset into UTF-8; "" is UTF-8 itself. ok is false for
// text that is none of the charset, and for one that is not known.
func ToUTF8(name, s string) (out string, ok bool) {
	switch name = strings.ToLower(name); name {
	case "", utf8Name:
		return s, utf8.ValidString(s)
	case asciiName:
		return s, strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
	}
	e, err := htmlindex.Get(name)
	if err != nil {
		return "", false
	}
	// The decoders write U+FFFD for what they cannot read.
	out, err = e.NewDecoder().String(s)
	return out, err == nil && !strings.ContainsRune(out, utf8.RuneError)
}
