package imapd

import (
	"bytes"
	"io"
	stdmime "mime"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/transform"

	"toastmaster/internal/mime"
)

// foldText appends s in a form in which upper and lower case are the same.
// Octets that are no UTF-8 stay.
func foldText(dst, s []byte) []byte {
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			dst = append(dst, c)
			i++
			continue
		}
		r, n := utf8.DecodeRune(s[i:])
		if r == utf8.RuneError && n <= 1 {
			dst = append(dst, c)
		} else {
			dst = utf8.AppendRune(dst, unicode.ToLower(unicode.ToUpper(r)))
		}
		i += max(n, 1)
	}
	return dst
}

// decodeWords decodes the encoded words of a header field (RFC 2047).
func decodeWords(text []byte) []byte {
	if !bytes.Contains(text, []byte("=?")) {
		return text
	}
	d := stdmime.WordDecoder{CharsetReader: func(charset string, r io.Reader) (io.Reader, error) {
		return charsetReader(charset, r), nil
	}}
	decoded, err := d.DecodeHeader(string(text))
	if err != nil {
		return text
	}
	return []byte(decoded)
}

// charsetReader turns a charset into UTF-8; one that is not known is read as
// it is.
func charsetReader(charset string, r io.Reader) io.Reader {
	e, err := htmlindex.Get(charset)
	if err != nil {
		return r
	}
	if name, err := htmlindex.Name(e); err == nil && name == "utf-8" {
		return r
	}
	return transform.NewReader(r, e.NewDecoder())
}

// matchText looks into the text parts (BODY), and into the header too (TEXT).
// A message within the message counts with its header.
func (m *matcher) matchText(k *key) (bool, error) {
	msg := &m.s.message
	for i := range msg.Parts {
		p := &msg.Parts[i]
		inner := p.Parent != mime.None && msg.Parts[p.Parent].Kind == mime.Rfc822
		if inner || (i == 0 && k.kind == keyText) {
			if ok, err := m.matchHeaderText(p, k.needle); ok || err != nil {
				return ok, err
			}
		}
		if p.Kind == mime.Leaf && p.Text {
			if ok, err := m.matchPart(p, k.needle); ok || err != nil {
				return ok, err
			}
		}
	}
	return false, nil
}

// matchHeaderText looks into a whole header.
func (m *matcher) matchHeaderText(p *mime.Part, needle []byte) (bool, error) {
	size := min(p.Body-p.Start, maxHeaderText)
	if err := m.spend(size); err != nil {
		return false, err
	}
	m.text = append(m.text[:0], make([]byte, size)...)
	if n, err := m.content.ReadAt(m.text, p.Start); n < len(m.text) {
		return false, err
	}
	return m.holds(unfold(m.text), needle), nil
}

// matchPart looks into a decoded text part, with bounded memory.
func (m *matcher) matchPart(p *mime.Part, needle []byte) (bool, error) {
	if err := m.spend(p.End - p.Body); err != nil {
		return false, err
	}
	var r io.Reader = io.NewSectionReader(m.content, p.Body, p.End-p.Body)
	switch p.Encoding {
	case mime.Base64:
		r = &base64Reader{r: r}
	case mime.QuotedPrintable:
		r = &quotedReader{r: r}
	}
	if len(p.Charset) > 0 {
		r = charsetReader(string(p.Charset), r)
	}
	block := m.s.c.blocks.get()
	defer m.s.c.blocks.put(block)
	return m.scan(r, needle, *block)
}

// scan reads r through block and looks for the folded needle. What may be the
// start of a match at the end of one piece is kept for the next.
func (m *matcher) scan(r io.Reader, needle, block []byte) (bool, error) {
	if len(needle) == 0 {
		return true, nil
	}
	m.folded = m.folded[:0]
	held := 0 // an incomplete character at the start of block
	for {
		n, err := r.Read(block[held:])
		piece := block[:held+n]
		whole := len(piece)
		if err == nil {
			whole = wholeRunes(piece)
		}
		m.folded = foldText(m.folded, piece[:whole])
		if bytes.Contains(m.folded, needle) {
			return true, nil
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		held = copy(block, piece[whole:])
		if keep := len(needle) - 1; len(m.folded) > keep {
			m.folded = m.folded[:copy(m.folded, m.folded[len(m.folded)-keep:])]
		}
	}
}

// wholeRunes is the length of b without a character that is cut off at its
// end.
func wholeRunes(b []byte) int {
	for i := 1; i < utf8.UTFMax && i <= len(b); i++ {
		if c := b[len(b)-i]; utf8.RuneStart(c) {
			if !utf8.FullRune(b[len(b)-i:]) {
				return len(b) - i
			}
			break
		}
	}
	return len(b)
}
