package smtpserver

import "strings"

// WithFooter is the text of a reply with a footer behind it (Postfix smtpd_reject_footer), in which \\n is a line end: on lines of its own, or
// behind the text where it begins with \\c. expand gives its macros their values.
func WithFooter(text, footer string, expand func(string) string) string {
	if footer == "" {
		return text
	}
	footer, same := strings.CutPrefix(footer, `\c`)
	if !same {
		text += "\n"
	}
	// The values come from outside: what they have of \n is none.
	lines := strings.Split(strings.TrimSuffix(footer, `\n`), `\n`)
	for i, line := range lines {
		lines[i] = strings.ReplaceAll(expand(line), "\n", " ")
	}
	return text + strings.Join(lines, "\n")
}
