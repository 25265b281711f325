package search

import (
	"bytes"

	"toastmaster/internal/mime"
	"toastmaster/internal/mime/text"
)

// FirstMailbox is what SORT compares of an address field (RFC 5256 section 3): the
// local part of its first address, folded; empty when there is none.
func FirstMailbox(dst []byte, m *mime.Message, f Field) []byte {
	r := dataReader{b: m.Envelope}
	r.skip('(')
	for range f {
		dst = r.value(dst[:0])
		r.skip(' ')
	}
	if !r.skip('(') { // of the list
		return dst[:0]
	}
	r.skip('(')
	var local []byte
	_, _ = r.str(nil) // the name
	r.skip(' ')
	_, _ = r.str(nil) // the route
	r.skip(' ')
	local, _ = r.str(nil)
	return text.Fold(dst[:0], local)
}

// ID is what THREAD knows a message by: the first message-id of its field
// Message-ID, normalized; empty when there is none.
func ID(m *mime.Message) []byte {
	value, _ := envelopeString(nil, m.Envelope, MessageID)
	id, _ := nextID(value)
	return id
}

// References are the messages that a message refers to, the oldest first: those of
// its References field, or, without any there, the first of In-Reply-To (RFC 5256
// section 3, REFERENCES). ok is false when the record cannot answer that, and the
// header has to be read.
func References(m *mime.Message) (ids [][]byte, ok bool) {
	const name = "references"
	if !m.Fields.Answers(name) {
		return nil, false
	}
	var lines []byte
	filter := fieldFilter(name, &lines)
	filter.All(m.Fields.Lines)
	for value := range values(lines) {
		for id, rest := nextID(value); id != nil; id, rest = nextID(rest) {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		value, _ := envelopeString(nil, m.Envelope, InReplyTo)
		if id, _ := nextID(value); id != nil {
			ids = append(ids, id)
		}
	}
	return ids, true
}

// nextID finds the next message-id in s, nil when there is none. It comes without
// its brackets, white space and needless quotes: <"a"@b> and <a@b> are one message.
func nextID(s []byte) (id, rest []byte) {
	for {
		from := bytes.IndexByte(s, '<')
		if from < 0 {
			return nil, nil
		}
		s = s[from+1:]
		to := bytes.IndexAny(s, "<>")
		if to < 0 {
			return nil, nil
		}
		if s[to] == '<' {
			s = s[to:]
			continue
		}
		if id = normalID(s[:to]); id != nil {
			return id, s[to+1:]
		}
		s = s[to+1:]
	}
}

// normalID normalizes what was between brackets, nil if it has no "@".
func normalID(s []byte) []byte {
	id, quoted := make([]byte, 0, len(s)), false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case !quoted && (c == ' ' || c == '\t' || c == '\r' || c == '\n'):
		case c == '"':
			quoted = !quoted
		case c == '\\' && i+1 < len(s):
			i++
			id = append(id, s[i])
		default:
			id = append(id, c)
		}
	}
	if at := bytes.IndexByte(id, '@'); at <= 0 || at == len(id)-1 {
		return nil
	}
	return id
}
