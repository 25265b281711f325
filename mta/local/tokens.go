package local

import "strings"

// tokens are what a line of aliases(5) or .forward lists: commas stand between them, but not
// in quotes, in brackets or in comments. Quotes are taken away, so that "|cmd a b" is one
// token, |cmd a b.
func tokens(line string) (all []string) {
	var b, inner strings.Builder
	quoted, bracketed, comment, wasQuoted := false, false, 0, false
	flush := func() {
		text := strings.TrimSpace(b.String())
		if a := strings.TrimSpace(inner.String()); a != "" {
			text = a
		}
		if text != "" || wasQuoted {
			all = append(all, text)
		}
		b.Reset()
		inner.Reset()
		wasQuoted = false
	}
	for i := 0; i < len(line); i++ {
		c := line[i]
		to := &b
		if bracketed {
			to = &inner
		}
		switch {
		case c == '\\' && quoted && i+1 < len(line):
			i++
			to.WriteByte(line[i])
		case c == '"':
			quoted, wasQuoted = !quoted, true
		case quoted:
			to.WriteByte(c)
		case comment == 0 && c != ',' && strings.HasPrefix(strings.TrimLeft(b.String(), " \t"), "|"):
			b.WriteByte(c) // a command without quotes, as sendmail takes it
		case c == '(':
			comment++
		case c == ')' && comment > 0:
			comment--
		case comment > 0:
		case c == '<':
			bracketed = true
			inner.Reset()
		case c == '>' && bracketed:
			bracketed = false
		case c == ',' && !bracketed:
			flush()
		default:
			to.WriteByte(c)
		}
	}
	flush()
	return all
}
