package postscreen

import "fmt"

// shown is how much of what a client sent is in the log.
const shown = 100

// escape is the beginning of what a client sent as Postfix writes it: on one line, with
// escapes as in C.
func escape(sent []byte) string {
	out := make([]byte, 0, shown)
	for _, b := range sent[:min(len(sent), shown)] {
		switch {
		case b == '\\':
			out = append(out, `\\`...)
		case b >= 7 && b <= 13:
			out = append(out, '\\', "abtnvfr"[b-7])
		case b < ' ' || b > '~':
			out = fmt.Appendf(out, `\%03o`, b)
		default:
			out = append(out, b)
		}
	}
	return string(out)
}
