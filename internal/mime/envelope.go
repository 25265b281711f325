package mime

// appendEnvelope renders the fields of a header as ENVELOPE (RFC 3501 section
// 7.4.2). An absent or empty Sender or Reply-To is From.
func (s *scanner) appendEnvelope(dst []byte) []byte {
	f := &s.fields
	dst = append(dst, '(')
	dst = appendLast(dst, f, fieldDate)
	dst = append(dst, ' ')
	dst = appendLast(dst, f, fieldSubject)
	dst = append(dst, ' ')
	from := len(dst)
	dst = s.appendAddresses(dst, fieldFrom)
	to := len(dst)
	for id := fieldSender; id <= fieldBcc; id++ {
		dst = append(dst, ' ')
		before := len(dst)
		dst = s.appendAddresses(dst, id)
		if id <= fieldReplyTo && string(dst[before:]) == "NIL" {
			dst = append(dst[:before], dst[from:to]...)
		}
	}
	dst = append(dst, ' ')
	dst = appendLast(dst, f, fieldInReplyTo)
	dst = append(dst, ' ')
	dst = appendLast(dst, f, fieldMessageID)
	return append(dst, ')')
}

func appendLast(dst []byte, f *fieldSet, id field) []byte {
	text, ok := f.last(id)
	return AppendNString(dst, text, ok)
}

func appendFirst(dst []byte, f *fieldSet, id field) []byte {
	text, ok := f.first(id)
	return AppendNString(dst, text, ok)
}

// appendAddresses renders all occurrences of an address field as one list.
func (s *scanner) appendAddresses(dst []byte, id field) []byte {
	before := len(dst)
	for i := range s.fields.refs {
		if s.fields.refs[i].id != id {
			continue
		}
		if len(dst) == before {
			dst = append(dst, '(')
		}
		s.addresses.out = dst
		s.addresses.parse(s.fields.text(i), before+2*s.limits.MaxText)
		dst = s.addresses.out
	}
	if len(dst) <= before+1 {
		return append(dst[:before], "NIL"...)
	}
	return append(dst, ')')
}
