package search

import (
	"bytes"
	"errors"
	"io"
	"iter"
	"slices"

	"toastmaster/internal/mime"
	"toastmaster/internal/mime/text"
)

// maxHeaderText bounds how much of one header is searched.
const maxHeaderText = 1 << 20

// matchHeader looks into all fields of one name.
func (p *Program) matchHeader(k *Key) (bool, error) {
	r, _ := p.structure.Section(nil, mime.Header)
	if err := p.spend(r.To - r.From); err != nil {
		return false, err
	}
	if err := p.limits.Step(readWork(int(r.To - r.From))); err != nil {
		return false, err
	}
	p.text = p.text[:0]
	filter := fieldFilter(k.Field, &p.text)
	if err := p.filter(&filter, r); err != nil || len(p.text) == 0 {
		return false, err
	}
	for value := range values(p.text) {
		if p.holds(value, k.Needle) {
			return true, nil
		}
	}
	return false, nil
}

// fieldFilter appends the lines of all fields of a name to dst.
func fieldFilter(name string, dst *[]byte) mime.FieldFilter {
	return mime.FieldFilter{
		Wants: func(n []byte) bool { return mime.EqualName(n, name) },
		Emit: func(line []byte) {
			if len(*dst) < maxHeaderText {
				*dst = append(*dst, line...)
			}
		},
	}
}

// values are the values of the fields in lines, which it unfolds in place.
func values(lines []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for rest := text.Unfold(lines); len(rest) > 0; {
			line := rest
			if i := bytes.IndexByte(rest, '\n'); i >= 0 {
				line = rest[:i]
			}
			rest = rest[min(len(line)+1, len(rest)):]
			if !yield(bytes.TrimSpace(line[bytes.IndexByte(line, ':')+1:])) {
				return
			}
		}
	}
}

// filter runs a header through f.
func (p *Program) filter(f *mime.FieldFilter, r mime.Range) error {
	lines := mime.Lines()
	for from := r.From; from < r.To; {
		block, err := p.read(from, r.To)
		if err != nil {
			return err
		}
		if _, err := lines.Push(block, f.Line); err != nil {
			return err
		}
		from += int64(len(block))
	}
	return lines.Flush(f.Line)
}

// blockSize is how much is read at once.
const blockSize = 32 << 10

// read returns stored octets from an offset on, as many as a block has.
func (p *Program) read(from, to int64) ([]byte, error) {
	to = min(to, from+blockSize)
	if b, ok := p.content.Bytes(); ok {
		if to > int64(len(b)) {
			return nil, errChanged
		}
		return b[from:to], nil
	}
	n, err := p.content.ReadAt(p.room()[:to-from], from)
	if n == 0 {
		return nil, errors.Join(errChanged, err)
	}
	return p.block[:n], nil
}

// room is the block, made for the first content.
func (p *Program) room() []byte {
	if p.block == nil {
		p.block = make([]byte, blockSize)
	}
	return p.block
}

// matchText looks into the text parts (BODY), and into the header too (TEXT).
// A message within the message counts with its header.
func (p *Program) matchText(k *Key) (bool, error) {
	if p.texts > 1 {
		if err := p.gather(); err != nil {
			return false, err
		}
		if p.all.state == whole {
			return p.matchAll(k)
		}
	}
	msg := p.structure
	for i := range msg.Parts {
		part := &msg.Parts[i]
		if err := p.limits.Step(partWork); err != nil {
			return false, err
		}
		if hasFields(msg, i) && (i > 0 || k.Kind == InText) {
			if ok, err := p.matchHeaderText(part, k.Needle); ok || err != nil {
				return ok, err
			}
		}
		if part.Kind == mime.Leaf && part.Text {
			if ok, err := p.matchPart(part, k.Needle); ok || err != nil {
				return ok, err
			}
		}
	}
	return false, nil
}

// partWork is what a part costs, in units of Limits.Step.
const partWork = 10

// hasFields says that the header of part i is that of a message.
func hasFields(msg *mime.Message, i int) bool {
	parent := msg.Parts[i].Parent
	return parent == mime.None || msg.Parts[parent].Kind == mime.Rfc822
}

// matchHeaderText looks into a whole header.
func (p *Program) matchHeaderText(part *mime.Part, needle []byte) (bool, error) {
	header, err := p.headerText(part)
	return err == nil && p.holds(header, needle), err
}

// headerText reads a whole header, unfolded.
func (p *Program) headerText(part *mime.Part) ([]byte, error) {
	size := min(part.Body-part.Start, maxHeaderText)
	if err := p.spend(size); err != nil {
		return nil, err
	}
	if err := p.limits.Step(readWork(int(size))); err != nil {
		return nil, err
	}
	p.text = slices.Grow(p.text[:0], int(size))[:size]
	if n, err := p.content.ReadAt(p.text, part.Start); n < len(p.text) {
		return nil, errors.Join(errChanged, err)
	}
	return text.Unfold(p.text), nil
}

// matchPart looks into a decoded text part, with bounded memory. What may be
// the start of a match at the end of one piece is kept for the next.
func (p *Program) matchPart(part *mime.Part, needle []byte) (bool, error) {
	if len(needle) == 0 {
		return true, nil
	}
	p.folded = p.folded[:0]
	found := false
	err := p.foldPart(part, func(piece []byte) bool {
		p.folded = text.Fold(p.folded, piece)
		found = bytes.Contains(p.folded, needle)
		if keep := len(needle) - 1; len(p.folded) > keep {
			p.folded = p.folded[:copy(p.folded, p.folded[len(p.folded)-keep:])]
		}
		return !found
	})
	return found, err
}

// foldPart decodes a text part and gives its text to f piece by piece, until f
// returns false. No piece ends within what may be one character.
func (p *Program) foldPart(part *mime.Part, f func(piece []byte) bool) error {
	if err := p.spend(part.End - part.Body); err != nil {
		return err
	}
	r := io.NewSectionReader(p.content, part.Body, part.End-part.Body)
	return text.Pieces(text.NewReader(r, part.Encoding, string(part.Charset)), p.room(), func(octets int) error {
		return p.limits.Step(readWork(octets))
	}, f)
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
func (p *Program) gather() error {
	if p.all.state != unread {
		return nil
	}
	t := gathered{state: whole, folded: p.all.folded[:0]}
	msg := p.structure
	for i := range msg.Parts {
		part := &msg.Parts[i]
		if err := p.limits.Step(partWork); err != nil {
			return err
		}
		if hasFields(msg, i) {
			header, err := p.headerText(part)
			if err != nil {
				return err
			}
			t.folded = append(text.Fold(t.folded, text.DecodeWords(header)), between)
		}
		if i == 0 {
			t.body = len(t.folded)
		}
		if part.Kind != mime.Leaf || !part.Text {
			continue
		}
		err := p.foldPart(part, func(piece []byte) bool {
			t.folded = text.Fold(t.folded, piece)
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
	p.all = t
	return nil
}

// matchAll looks into the texts that were gathered. It counts as read what it
// looks into, so that many keys have a bound.
func (p *Program) matchAll(k *Key) (bool, error) {
	texts := p.all.folded
	if k.Kind == InBody {
		texts = texts[p.all.body:]
	}
	if err := p.spend(int64(len(texts))); err != nil {
		return false, err
	}
	if err := p.limits.Step(readWork(len(texts)) / 8); err != nil {
		return false, err
	}
	if len(k.Needle) == 0 {
		return len(texts) > 0, nil
	}
	return bytes.Contains(texts, k.Needle), nil
}
