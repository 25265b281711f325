package configs

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// Set returns the text of a configuration file with one parameter changed, and
// all else (comments, order, spaces) as it was. values are what a person writes:
// texts may stand without quotes, a list is one value for each entry, or one in
// TOML. Without values the parameter is removed, so that it has its default. The
// new text is parsed, so that it is one that Load takes.
func Set(file string, text []byte, name string, values []string) ([]byte, *Config, error) {
	var param *Param
	for _, p := range Default().Bound() {
		if p.Name == name {
			param = &p
			break
		}
	}
	if section, _, _ := strings.Cut(name, "."); param == nil && Default().newTable(section) != nil {
		return nil, nil, fmt.Errorf("%s is in a table [[%s]], of which there may be several: edit %s, and `toastmaster config check` looks at it", name, section, file)
	}
	if param == nil {
		return nil, nil, fmt.Errorf("no parameter %q%s", name, Suggest(name))
	}
	at, err := locate(text, name)
	if err != nil {
		return nil, nil, &Error{File: file, Err: err}
	}
	var out []byte
	switch {
	case len(values) > 0:
		value, err := param.literal(values)
		if err != nil {
			return nil, nil, &Error{File: file, Param: name, Err: err}
		}
		out = at.put(text, name, value)
	case at.found:
		end := at.end
		if i := bytes.IndexByte(text[end:], '\n'); i >= 0 {
			end += i + 1
		}
		out = append(append(out, text[:at.line]...), text[end:]...)
	default:
		out = text
	}
	c, err := Parse(file, out)
	return out, c, err
}

// literal writes values as the file has them. What is TOML already stays.
func (p *Param) literal(values []string) (string, error) {
	if len(values) > 1 && p.Kind != "list" {
		return "", fmt.Errorf("%d values for a %s", len(values), p.Kind)
	}
	switch {
	case p.Kind == "list" && len(values) == 1 && strings.HasPrefix(values[0], "["):
		return values[0], nil
	case p.Kind == "list":
		quoted := make([]string, len(values))
		for i, v := range values {
			quoted[i] = quote(v)
		}
		return "[" + strings.Join(quoted, ", ") + "]", nil
	case p.Kind == "boolean" && truth(values[0]) != "":
		return truth(values[0]), nil
	case p.Kind == "number" && strings.Trim(values[0], "+-0123456789_") == "", strings.HasPrefix(values[0], `"`),
		p.Kind == "size" && strings.Trim(values[0], "0123456789_") == "":
		return values[0], nil
	}
	return quote(values[0]), nil
}

// truth is a switch as the file has it, for how people and Postfix write one; "" for
// anything else.
func truth(s string) string {
	switch strings.ToLower(s) {
	case "true", "yes", "on":
		return "true"
	case "false", "no", "off":
		return "false"
	}
	return ""
}

// quote makes a basic string of TOML.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteRune('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// location is where a parameter stands in a text, or may be put.
type location struct {
	found bool
	// line is where its line begins, start to end the value.
	line, start, end int
	// section says that its section is there; after is behind its last line.
	section bool
	after   int
}

// locate finds a parameter.
func locate(text []byte, name string) (location, error) {
	section, key, _ := strings.Cut(name, ".")
	at := location{}
	parser := unstable.Parser{}
	parser.Reset(text)
	present := ""
	for parser.NextExpression() {
		node := parser.Expression()
		var parts []string
		first := -1
		for it := node.Key(); it.Next(); {
			k := it.Node()
			if first < 0 {
				first = int(k.Raw.Offset)
			}
			parts = append(parts, string(k.Data))
		}
		joined := strings.Join(parts, ".")
		switch node.Kind {
		case unstable.ArrayTable:
			present = "[[" + joined // no section that has parameters
		case unstable.Table:
			present = joined
			if present == section {
				at.section, at.after = true, lineEnd(text, first)
			}
		case unstable.KeyValue:
			start := valueStart(text, first)
			end := valueEnd(text, start)
			if present == section {
				at.after = lineEnd(text, end)
			}
			if present == section && joined == key || present == "" && joined == name {
				at.found, at.line, at.start, at.end = true, lineStart(text, first), start, end
				return at, nil
			}
		}
	}
	return at, parser.Error()
}

// put changes or adds the value.
func (at location) put(text []byte, name, value string) []byte {
	section, key, _ := strings.Cut(name, ".")
	insert := func(i, j int, s string) []byte {
		return append(append(append([]byte{}, text[:i]...), s...), text[j:]...)
	}
	if at.found {
		return insert(at.start, at.end, value)
	}
	line := key + " = " + value + "\n"
	if !at.section {
		if len(text) > 0 && text[len(text)-1] != '\n' {
			line = "\n[" + section + "]\n" + line
		} else {
			line = "[" + section + "]\n" + line
		}
		if len(text) > 0 {
			line = "\n" + line
		}
		return insert(len(text), len(text), line)
	}
	// In a sample file it stands behind its own comment.
	comment := regexp.MustCompile(`(?m)^#[ \t]*` + regexp.QuoteMeta(key) + `[ \t]*=.*\n`)
	header := regexp.MustCompile(`(?m)^[ \t]*\[` + regexp.QuoteMeta(section) + `\][^\n]*\n`)
	next := regexp.MustCompile(`(?m)^[ \t]*\[\[?[A-Za-z0-9_]+\]`)
	if h := header.FindIndex(text); h != nil {
		end := len(text)
		if n := next.FindIndex(text[h[1]:]); n != nil {
			end = h[1] + n[0]
		}
		if m := comment.FindIndex(text[h[1]:end]); m != nil {
			return insert(h[1]+m[1], h[1]+m[1], line)
		}
	}
	if at.after > 0 && text[at.after-1] != '\n' {
		line = "\n" + line
	}
	return insert(at.after, at.after, line)
}

func lineStart(text []byte, i int) int { return bytes.LastIndexByte(text[:i], '\n') + 1 }

func lineEnd(text []byte, i int) int {
	if n := bytes.IndexByte(text[i:], '\n'); n >= 0 {
		return i + n + 1
	}
	return len(text)
}

// valueStart is behind the "=" of a key. A quoted key with "=" in it is no
// parameter's.
func valueStart(text []byte, key int) int {
	i := key + bytes.IndexByte(text[key:], '=') + 1
	for i < len(text) && (text[i] == ' ' || text[i] == '\t') {
		i++
	}
	return i
}

// valueEnd is behind a value that the parser has taken: a string of any kind, an
// array over several lines with comments, or a word.
func valueEnd(text []byte, i int) int {
	depth := 0
	for i < len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\'':
			i = stringEnd(text, i)
			if depth == 0 {
				return i
			}
			continue
		case c == '[' || c == '{':
			depth++
		case c == ']' || c == '}':
			if depth--; depth == 0 {
				return i + 1
			}
		case c == '#' && depth > 0:
			i = lineEnd(text, i)
			continue
		case depth == 0 && (c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '#'):
			return i
		}
		i++
	}
	return i
}

// stringEnd is behind the string that begins at i.
func stringEnd(text []byte, i int) int {
	mark := text[i : i+1]
	if long := bytes.Repeat(mark, 3); bytes.HasPrefix(text[i:], long) {
		mark = long
	}
	basic := text[i] == '"'
	for i += len(mark); i < len(text); i++ {
		switch {
		case basic && text[i] == '\\':
			i++
		case bytes.HasPrefix(text[i:], mark):
			return i + len(mark)
		}
	}
	return len(text)
}
