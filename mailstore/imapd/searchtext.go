package imapd

import (
	"bytes"
	"errors"
	"io"
	stdmime "mime"
	"slices"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/transform"
	"golang.org/x/text/unicode/norm"

	"toastmaster/internal/mime"
)

// foldText appends s in a form in which upper and lower case, and the ways to
// write a character (composed or not, full or half width), are the same: about
// i;unicode-casemap (RFC 5051). Octets that are no UTF-8 stay.
func foldText(dst, s []byte) []byte {
	n := 0
	for n < len(s) && s[n] < utf8.RuneSelf {
		n++
	}
	if n > 0 && n < len(s) {
		n-- // a combining character may follow
	}
	dst = slices.Grow(dst, len(s))
	for _, c := range s[:n] {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	if s = s[n:]; len(s) == 0 {
		return dst
	}
	if !norm.NFKC.IsNormal(s) {
		s = norm.NFKC.Bytes(s)
	}
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRune(s[i:])
		if r == utf8.RuneError && n <= 1 {
			dst = append(dst, s[i])
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
	if m.texts > 1 {
		if err := m.gather(); err != nil {
			return false, err
		}
		if m.all.state == whole {
			return m.matchAll(k)
		}
	}
	msg := &m.s.message
	for i := range msg.Parts {
		p := &msg.Parts[i]
		if err := m.s.step(partWork); err != nil {
			return false, err
		}
		if hasFields(msg, i) && (i > 0 || k.kind == keyText) {
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

// partWork is what a part costs, in units of session.step.
const partWork = 10

// hasFields says that the header of part i is that of a message.
func hasFields(msg *mime.Message, i int) bool {
	parent := msg.Parts[i].Parent
	return parent == mime.None || msg.Parts[parent].Kind == mime.Rfc822
}

// matchHeaderText looks into a whole header.
func (m *matcher) matchHeaderText(p *mime.Part, needle []byte) (bool, error) {
	text, err := m.headerText(p)
	return err == nil && m.holds(text, needle), err
}

// headerText reads a whole header, unfolded.
func (m *matcher) headerText(p *mime.Part) ([]byte, error) {
	size := min(p.Body-p.Start, maxHeaderText)
	if err := m.spend(size); err != nil {
		return nil, err
	}
	if err := m.s.step(readWork(int(size))); err != nil {
		return nil, err
	}
	m.text = slices.Grow(m.text[:0], int(size))[:size]
	if n, err := m.content.ReadAt(m.text, p.Start); n < len(m.text) {
		return nil, errors.Join(errChanged, err)
	}
	return unfold(m.text), nil
}

// matchPart looks into a decoded text part, with bounded memory. What may be
// the start of a match at the end of one piece is kept for the next.
func (m *matcher) matchPart(p *mime.Part, needle []byte) (bool, error) {
	if len(needle) == 0 {
		return true, nil
	}
	m.folded = m.folded[:0]
	found := false
	err := m.foldPart(p, func(piece []byte) bool {
		m.folded = foldText(m.folded, piece)
		found = bytes.Contains(m.folded, needle)
		if keep := len(needle) - 1; len(m.folded) > keep {
			m.folded = m.folded[:copy(m.folded, m.folded[len(m.folded)-keep:])]
		}
		return !found
	})
	return found, err
}

// foldPart decodes a text part and gives its text to f piece by piece, until f
// returns false. No piece ends within what may be one character.
func (m *matcher) foldPart(p *mime.Part, f func(piece []byte) bool) error {
	if err := m.spend(p.End - p.Body); err != nil {
		return err
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
	block := m.s.c.blocks.Get()
	defer m.s.c.blocks.Put(block)
	return m.scan(r, *block, f)
}

// scan reads r through block.
func (m *matcher) scan(r io.Reader, block []byte, f func(piece []byte) bool) error {
	held := 0 // at the start of block
	for {
		n, err := r.Read(block[held:])
		if lost := m.s.step(readWork(n)); lost != nil {
			return lost
		}
		piece := block[:held+n]
		whole := len(piece)
		if err == nil {
			whole = wholeText(piece)
		}
		if !f(piece[:whole]) || err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil
		}
		if err != nil {
			return err
		}
		held = copy(block, piece[whole:])
	}
}

// gathered are all texts of a message, folded: what TEXT looks into, and from body
// on what BODY looks into. An octet that no text has is between them.
type gathered struct {
	state  textState
	folded []byte
	body   int
}

type textState uint8

const (
	unread textState = iota
	whole
	// tooLarge: the keys read the texts one after the other.
	tooLarge
)

const (
	// maxTexts bounds the texts kept of a message.
	maxTexts = 1 << 20
	// between is no octet of UTF-8, so a key cannot have it.
	between = 0xff
)

// gather reads the texts of the message, once for all keys.
func (m *matcher) gather() error {
	if m.all.state != unread {
		return nil
	}
	t := gathered{state: whole, folded: m.all.folded[:0]}
	msg := &m.s.message
	for i := range msg.Parts {
		p := &msg.Parts[i]
		if err := m.s.step(partWork); err != nil {
			return err
		}
		if hasFields(msg, i) {
			text, err := m.headerText(p)
			if err != nil {
				return err
			}
			t.folded = append(foldText(t.folded, decodeWords(text)), between)
		}
		if i == 0 {
			t.body = len(t.folded)
		}
		if p.Kind != mime.Leaf || !p.Text {
			continue
		}
		err := m.foldPart(p, func(piece []byte) bool {
			t.folded = foldText(t.folded, piece)
			return len(t.folded) <= maxTexts
		})
		if err != nil {
			return err
		}
		if t.folded = append(t.folded, between); len(t.folded) > maxTexts {
			t.state, t.folded = tooLarge, t.folded[:0]
			break
		}
	}
	m.all = t
	return nil
}

// matchAll looks into the texts that were gathered. It counts as read what it
// looks into, so that many keys have a bound.
func (m *matcher) matchAll(k *key) (bool, error) {
	text := m.all.folded
	if k.kind == keyBody {
		text = text[m.all.body:]
	}
	if err := m.spend(int64(len(text))); err != nil {
		return false, err
	}
	if err := m.s.step(readWork(len(text)) / 8); err != nil {
		return false, err
	}
	if len(k.needle) == 0 {
		return len(text) > 0, nil
	}
	return bytes.Contains(text, k.needle), nil
}

// wholeText is the length of b without what may go on in the next piece: a
// character that is cut off, or one that a combining one may follow.
func wholeText(b []byte) int {
	n := wholeRunes(b)
	if i := norm.NFKC.LastBoundary(b[:n]); i > 0 {
		return i
	}
	return n
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
