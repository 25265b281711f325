package cleanup

import (
	"bytes"
	"strings"

	"toastmaster/internal/addr"
	"toastmaster/internal/header"
)

// claims removes the Authentication-Results that say to be ours. Only what this host,
// or one that it trusts, has put there may say so; from anybody else it is a
// forgery (RFC 8601 section 5). Where the header ends is a matter of taste behind a
// line that is no field: a claim is found there, too.
type claims struct {
	quiet
	open  bool
	value []byte
}

// maxClaim bounds what is read of a field, in octets; the identifier stands at its
// beginning. A comment that is longer than this before it is no honest one.
const maxClaim = 4 << 10

func (c *claims) line(m *message, l *header.Line) {
	switch {
	case !m.s.Outside || m.headless:
	case l.Kind == header.Folded && c.open:
		c.value = append(c.value, l.Text[:min(len(l.Text), max(maxClaim-len(c.value), 0))]...)
	case l.Kind == header.Field && bytes.EqualFold(l.Name, []byte("Authentication-Results")):
		c.open, c.value = true, append(c.value[:0], l.Value[:min(len(l.Value), maxClaim)]...)
	}
}

// over decides about the field.
func (c *claims) over(m *message) {
	if c.open && isOurClaim(c.value, m.c.authserv) {
		m.remove()
	}
	c.open = false
}

// isOurClaim says whether the authserv-id of a field is ours, or cannot be told
// and may be: what is malformed is read differently by each reader.
func isOurClaim(value []byte, ours string) bool {
	id, ok := authservID(value)
	if !ok {
		return true
	}
	// What no name has in it, as a NUL, is not there for many a reader.
	plain := strings.Map(func(r rune) rune {
		if r <= ' ' || r >= 0x7f {
			return -1
		}
		return r
	}, id)
	if domain, err := addr.ParseDomain(id); err == nil && (domain == ours || plain == id) {
		return domain == ours
	}
	return strings.Contains(strings.ToLower(plain), ours)
}

// authservID reads the first value of a field: a token or a quoted-string behind
// white space and comments. Nothing follows it but a version and the semicolon.
func authservID(v []byte) (string, bool) {
	v, ok := skipCFWS(v)
	if !ok || len(v) == 0 {
		return "", false
	}
	var id []byte
	if v[0] == '"' {
		id, v, ok = quoted(v)
	} else {
		n := bytes.IndexAny(v, " \t\r\n;(\"\\,")
		if n < 0 {
			n = len(v)
		}
		id, v = v[:n], v[n:]
	}
	if !ok || len(id) == 0 || bytes.HasPrefix(id, []byte("=?")) {
		return "", false
	}
	if bytes.IndexByte(id, '=') > 0 {
		return string(id), true // a result: some write no identifier at all
	}
	if v, ok = skipCFWS(v); ok {
		v, ok = skipCFWS(bytes.TrimLeft(v, "0123456789"))
	}
	return string(id), ok && (len(v) == 0 || v[0] == ';')
}

// quoted reads a quoted-string.
func quoted(v []byte) (text, rest []byte, ok bool) {
	for i := 1; i < len(v); i++ {
		switch v[i] {
		case '"':
			return text, v[i+1:], true
		case '\\':
			if i++; i == len(v) {
				return nil, nil, false
			}
		}
		text = append(text, v[i])
	}
	return nil, nil, false
}

// skipCFWS skips white space and comments; false for a comment without end.
func skipCFWS(v []byte) ([]byte, bool) {
	depth := 0
	for i := 0; i < len(v); i++ {
		switch b := v[i]; {
		case b == '(':
			depth++
		case b == ')' && depth > 0:
			depth--
		case b == '\\' && depth > 0:
			i++
		case depth == 0 && b != ' ' && b != '\t' && b != '\r' && b != '\n':
			return v[i:], true
		}
	}
	return nil, depth == 0
}
