package mime

import (
	"bytes"
	"slices"
)

// describe reads the header of a part: what it is, and what BODYSTRUCTURE and
// ENVELOPE say of it.
func (s *scanner) describe(o *open, p *Part) {
	d := &s.desc[o.part]
	if len(s.text) > 4*s.limits.MaxText {
		s.fields.refs = s.fields.refs[:0]
	}
	if s.fields.envelope {
		from := len(s.text)
		s.text = s.appendEnvelope(s.text)
		d.envelope = span{from, len(s.text)}
	}
	kind, sub, params := s.contentType()
	multipart := equalFold(kind, "multipart")
	rfc822 := equalFold(kind, "message") && equalFold(sub, "rfc822")
	switch {
	case (multipart || rfc822) && !s.mayNest():
		s.appendLeaf(d, []byte("application"), []byte("octet-stream"), paramParser{}, p)
	case multipart:
		s.appendMultipart(d, o, p, sub, params)
	case rfc822:
		p.Kind = Rfc822
		s.appendLeaf(d, []byte("message"), []byte("rfc822"), params, p)
	default:
		p.Text = equalFold(kind, "text")
		s.appendLeaf(d, kind, sub, params, p)
	}
}

// appendMultipart describes a multipart in two ways: as what it is and, for the
// case that it has no part, as text/plain. Without a boundary it has none, and
// what is in it would be seen by nobody.
func (s *scanner) appendMultipart(d *description, o *open, p *Part, sub []byte, in paramParser) {
	o.digest = equalFold(sub, "digest")
	d.head.from = len(s.text)
	s.text = AppendString(s.text, sub)
	d.head.to = len(s.text)
	d.tail.from = len(s.text)
	s.text = s.params.append(s.text, in)
	s.text = append(s.text, ' ')
	s.appendExtension()
	d.tail.to = len(s.text)
	// White space at the end of a boundary is none of it (RFC 2046 section 5.1.1).
	if boundary := bytes.TrimRight(s.params.boundary, " \t"); s.params.hasBoundary && len(boundary) > 0 {
		p.Kind = Multipart
		o.boundary = bytes.Clone(boundary)
		s.active++
	}
	p.Text = true
	var text description
	s.appendLeaf(&text, []byte("text"), []byte("plain"), paramParser{in: in.in, i: in.i, only: "charset"}, p)
	p.Encoding = Identity // a multipart has no other (RFC 2045 section 6.4)
	if p.Kind == Multipart {
		d.textHead, d.textTail, p.Text = text.head, text.tail, false
		d.charset, p.Charset = p.Charset, nil
		return
	}
	*d = description{head: text.head, tail: text.tail, envelope: d.envelope}
}

// becomeText makes a multipart without parts what describe has prepared.
func (s *scanner) becomeText(p *Part, d *description) {
	p.Kind, p.Text, p.Charset = Leaf, true, d.charset
	d.head, d.tail = d.textHead, d.textTail
}

// mayNest says that the limits allow children below the present part.
func (s *scanner) mayNest() bool {
	return len(s.stack) < s.limits.MaxDepth && len(s.m.Parts) < s.limits.MaxParts
}

// contentType splits Content-Type. One that is absent or cannot be read is
// the default: text/plain, or message/rfc822 in a digest.
func (s *scanner) contentType() (kind, sub []byte, params paramParser) {
	text, _ := s.fields.first(fieldType)
	p := paramParser{in: text}
	kind = p.token()
	if len(kind) > 0 && p.next('/') {
		sub = p.token()
	}
	if len(sub) > 0 {
		return kind, sub, p
	}
	if len(s.stack) > 1 && s.stack[len(s.stack)-2].digest {
		return []byte("message"), []byte("rfc822"), paramParser{}
	}
	return []byte("text"), []byte("plain"), paramParser{}
}

// appendLeaf writes type, subtype, parameters, id, description and encoding,
// and what follows the sizes.
func (s *scanner) appendLeaf(d *description, kind, sub []byte, in paramParser, p *Part) {
	d.head.from = len(s.text)
	s.text = AppendString(s.text, kind)
	s.text = append(s.text, ' ')
	s.text = AppendString(s.text, sub)
	s.text = append(s.text, ' ')
	s.text = s.params.append(s.text, in)
	if p.Text {
		p.Charset = s.charset()
	}
	s.text = append(s.text, ' ')
	s.text = appendFirst(s.text, &s.fields, fieldID)
	s.text = append(s.text, ' ')
	s.text = appendFirst(s.text, &s.fields, fieldDescription)
	s.text = append(s.text, ' ')
	s.appendEncoding(p)
	d.head.to = len(s.text)
	d.tail.from = len(s.text)
	s.text = appendFirst(s.text, &s.fields, fieldMD5)
	s.text = append(s.text, ' ')
	s.appendExtension()
	d.tail.to = len(s.text)
}

// charset is that of the parameters just written, for a text. A text without
// one gets us-ascii, as RFC 2045 section 5.2 has it and Dovecot says it.
func (s *scanner) charset() []byte {
	if s.params.hasCharset {
		return bytes.Clone(s.params.charset)
	}
	const ascii = `"charset" "us-ascii")`
	if rest, none := bytes.CutSuffix(s.text, []byte("NIL")); none {
		s.text = append(append(rest, '('), ascii...)
	} else {
		s.text[len(s.text)-1] = ' '
		s.text = append(s.text, ascii...)
	}
	return nil
}

// appendEncoding writes the Content-Transfer-Encoding.
func (s *scanner) appendEncoding(p *Part) {
	text, _ := s.fields.first(fieldEncoding)
	encoding := TransferEncoding(text)
	switch {
	case len(encoding) == 0:
		s.text = append(s.text, `"7bit"`...)
		return
	case equalFold(encoding, "base64"):
		p.Encoding = Base64
	case equalFold(encoding, "quoted-printable"):
		p.Encoding = QuotedPrintable
	}
	s.text = AppendString(s.text, encoding)
}

var (
	encodings = [...]string{"7bit", "8bit", "binary", "base64", "quoted-printable"}
	squeezed  = [...]string{"7bit", "8bit", "binary", "base64", "quotedprintable"}
)

func equalsAny(b []byte, words []string) bool {
	for _, w := range words {
		if equalFold(b, w) {
			return true
		}
	}
	return false
}

// squeezesTo says that the letters and digits of text are want.
func squeezesTo(text []byte, want string) bool {
	for _, c := range text {
		c = lower(c)
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			continue
		}
		if want == "" || c != want[0] {
			return false
		}
		want = want[1:]
	}
	return want == ""
}

// maxCharset is longer than any name of a charset.
const maxCharset = 64

// appendExtension writes disposition, language and location.
func (s *scanner) appendExtension() {
	text, there := s.fields.first(fieldDisposition)
	if !there {
		s.text = append(s.text, "NIL"...)
	} else {
		// What has only parameters has them, with the kind "", as in Dovecot.
		p := paramParser{in: text}
		s.text = append(s.text, '(')
		s.text = AppendString(s.text, p.kind())
		s.text = append(s.text, ' ')
		s.text = s.params.append(s.text, p)
		s.text = append(s.text, ')')
	}
	s.text = append(s.text, ' ')
	s.appendLanguages()
	s.text = append(s.text, ' ')
	s.text = appendFirst(s.text, &s.fields, fieldLocation)
}

func (s *scanner) appendLanguages() {
	text, _ := s.fields.first(fieldLanguage)
	p := paramParser{in: text}
	before := len(s.text)
	s.text = append(s.text, '(')
	for more := true; more; more = p.next(',') {
		tag := p.token()
		if len(tag) == 0 {
			continue
		}
		if len(s.text) > before+1 {
			s.text = append(s.text, ' ')
		}
		s.text = AppendString(s.text, tag)
	}
	if len(s.text) == before+1 {
		s.text = append(s.text[:before], "NIL"...)
		return
	}
	s.text = append(s.text, ')')
}

// render joins the descriptions to BODYSTRUCTURE once all sizes are known.
func (s *scanner) render() {
	out := s.rendered[:0]
	if want := len(s.text) + 64*len(s.m.Parts); cap(out) < want {
		out = make([]byte, 0, want)
		s.rendered = out
	}
	env := s.desc[0].envelope
	s.m.Envelope = append(out, s.text[env.from:env.to]...)
	s.m.Envelope = s.m.Envelope[:len(s.m.Envelope):len(s.m.Envelope)]
	s.out = out[len(s.m.Envelope):len(s.m.Envelope)]
	s.m.cuts = slices.Grow(s.m.cuts, 2*len(s.m.Parts))
	s.appendStructure(0)
	s.m.Structure = s.out
}

// appendStructure writes one part with its children; it recurses to MaxDepth.
func (s *scanner) appendStructure(i int32) {
	p, d := &s.m.Parts[i], &s.desc[i]
	s.out = append(s.out, '(')
	switch p.Kind {
	case Multipart:
		for c := p.Child; c != None; c = s.m.Parts[c].Next {
			s.appendStructure(c)
		}
		s.out = append(s.out, ' ')
		s.appendText(d.head)
	case Rfc822:
		s.appendText(d.head)
		s.appendNumber(p.BodyWire)
		s.out = append(s.out, ' ')
		s.appendText(s.desc[p.Child].envelope)
		s.out = append(s.out, ' ')
		s.appendStructure(p.Child)
		s.appendNumber(p.Lines)
	default:
		s.appendText(d.head)
		s.appendNumber(p.BodyWire)
		if p.Text {
			s.appendNumber(p.Lines)
		}
	}
	from := len(s.out)
	s.out = append(s.out, ' ')
	s.appendText(d.tail)
	s.m.cuts = append(s.m.cuts, uint32(from), uint32(len(s.out)))
	s.out = append(s.out, ')')
}

func (s *scanner) appendText(t span) { s.out = append(s.out, s.text[t.from:t.to]...) }

func (s *scanner) appendNumber(n int64) {
	s.out = append(s.out, ' ')
	s.out = appendUint(s.out, uint64(n))
}
