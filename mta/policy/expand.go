package policy

import "strings"

// expand replaces $name, ${name}, $(name), ${name?value} and ${name:value}, also with
// {value}, and $$. A name that there is not is empty. The value of a condition is expanded in turn.
func expand(template string, value func(name string) (string, bool)) string {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(template, "$")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		switch {
		case strings.HasPrefix(rest, "$"):
			out.WriteByte('$')
			template = rest[1:]
		case strings.HasPrefix(rest, "{"), strings.HasPrefix(rest, "("):
			inner, after := enclosed(rest)
			out.WriteString(condition(inner, value))
			template = after
		default:
			end := 0
			for end < len(rest) && isNameByte(rest[end]) {
				end++
			}
			text, _ := value(rest[:end])
			out.WriteString(text)
			template = rest[end:]
		}
	}
}

// enclosed cuts what stands in the brackets with which text begins; without the end of
// them all of it.
func enclosed(text string) (inner, after string) {
	closing := byte('}')
	if text[0] == '(' {
		closing = ')'
	}
	depth := 0
	for i := range len(text) {
		switch text[i] {
		case text[0]:
			depth++
		case closing:
			if depth--; depth == 0 {
				return text[1:i], text[i+1:]
			}
		}
	}
	return text[1:], ""
}

// condition expands "name", "name?value" and "name:value".
func condition(inner string, value func(string) (string, bool)) string {
	end := 0
	for end < len(inner) && isNameByte(inner[end]) {
		end++
	}
	text, _ := value(inner[:end])
	if end == len(inner) {
		return text
	}
	then := inner[end+1:]
	if strings.HasPrefix(then, "{") {
		then, _ = enclosed(then)
	}
	if (inner[end] == '?') == (text != "") && (inner[end] == '?' || inner[end] == ':') {
		return expand(then, value)
	}
	return ""
}

func isNameByte(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
