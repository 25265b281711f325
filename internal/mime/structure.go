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
	d.head.from = len(s.text)
	switch {
	case equalFold(kind, "multipart") && s.mayNest():
		p.Kind = Multipart
		o.digest = equalFold(sub, "digest")
		s.text = AppendString(s.text, sub)
		d.head.to = len(s.text)
		d.tail.from = len(s.text)
		s.appendParams(params, p, o)
		s.text = append(s.text, ' ')
	case equalFold(kind, "message") && equalFold(sub, "rfc822") && s.mayNest():
		p.Kind = Rfc822
		s.appendLeaf([]byte("message"), []byte("rfc822"), params, p)
	case equalFold(kind, "multipart"), equalFold(kind, "message") && equalFold(sub, "rfc822"):
		s.appendLeaf([]byte("application"), []byte("octet-stream"), paramParser{}, p)
	default:
		p.Text = equalFold(kind, "text")
		s.appendLeaf(kind, sub, params, p)
	}
	if p.Kind != Multipart {
		d.head.to = len(s.text)
		d.tail.from = len(s.text)
		s.text = appendFirst(s.text, &s.fields, fieldMD5)
		s.text = append(s.text, ' ')
	}
	s.appendExtension()
	d.tail.to = len(s.text)
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

// appendLeaf writes type, subtype, parameters, id, description and encoding.
func (s *scanner) appendLeaf(kind, sub []byte, params paramParser, p *Part) {
	s.text = AppendString(s.text, kind)
	s.text = append(s.text, ' ')
	s.text = AppendString(s.text, sub)
	s.text = append(s.text, ' ')
	s.appendParams(params, p, nil)
	s.text = append(s.text, ' ')
	s.text = appendFirst(s.text, &s.fields, fieldID)
	s.text = append(s.text, ' ')
	s.text = appendFirst(s.text, &s.fields, fieldDescription)
	s.text = append(s.text, ' ')
	text, _ := s.fields.first(fieldEncoding)
	e := paramParser{in: text}
	encoding := e.token()
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

// appendParams writes the parameter list, takes the charset of a text and the
// boundary of a multipart from it. A text without a charset gets us-ascii, as
// RFC 2045 section 5.2 has it and Dovecot says it.
func (s *scanner) appendParams(params paramParser, p *Part, multipart *open) {
	before := len(s.text)
	s.text = append(s.text, '(')
	for {
		name, value, ok := params.param()
		if !ok {
			break
		}
		if p.Text && p.Charset == nil && equalFold(name, "charset") {
			p.Charset = bytes.Clone(value[:min(len(value), maxCharset)])
		}
		if multipart != nil && multipart.boundary == nil && equalFold(name, "boundary") {
			multipart.boundary = append([]byte{}, value[:min(len(value), maxBoundary)]...)
			s.active++
		}
		s.text = appendPair(s.text, before+1, name, value)
	}
	if p.Text && p.Charset == nil {
		s.text = appendPair(s.text, before+1, []byte("charset"), []byte("us-ascii"))
	}
	if len(s.text) == before+1 {
		s.text = append(s.text[:before], "NIL"...)
		return
	}
	s.text = append(s.text, ')')
}

// maxCharset is longer than any name of a charset.
const maxCharset = 64

func appendPair(dst []byte, start int, name, value []byte) []byte {
	if len(dst) > start {
		dst = append(dst, ' ')
	}
	dst = AppendString(dst, name)
	dst = append(dst, ' ')
	return AppendString(dst, value)
}

// appendExtension writes disposition, language and location.
func (s *scanner) appendExtension() {
	text, _ := s.fields.first(fieldDisposition)
	p := paramParser{in: text}
	if kind := p.token(); len(kind) == 0 {
		s.text = append(s.text, "NIL"...)
	} else {
		s.text = append(s.text, '(')
		s.text = AppendString(s.text, kind)
		s.text = append(s.text, ' ')
		s.appendParams(p, &Part{}, nil)
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
		if p.Child == None {
			s.appendNoParts()
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

// appendNoParts stands for the parts of a multipart that has none: the grammar
// wants at least one.
func (s *scanner) appendNoParts() {
	from := len(s.out)
	s.out = append(s.out, defaultShape...)
	ext := len(" NIL NIL NIL NIL)")
	s.m.cuts = append(s.m.cuts, uint32(from+len(defaultShape)-ext), uint32(len(s.out)-1))
}

func (s *scanner) appendText(t span) { s.out = append(s.out, s.text[t.from:t.to]...) }

func (s *scanner) appendNumber(n int64) {
	s.out = append(s.out, ' ')
	s.out = appendUint(s.out, uint64(n))
}
