package tables

import (
	"context"
	"strings"
)

// openAliases opens a file of aliases(5).
func openAliases(_ context.Context, s *Set, n name, argument string) (Table, error) {
	return openFile(s, n, argument, parseAliases)
}

// parseAliases reads the format of postalias(1): "name: value, value ...". Names are folded.
func parseAliases(n name, s *source, l limits) (content, error) {
	t := &textMap{name: n, entries: map[string]string{}}
	for {
		line, ok, err := s.next()
		if err != nil {
			return nil, err
		}
		if !ok {
			return t, nil
		}
		key, text, ok := cutAlias(line)
		text = strings.Trim(text, blanks)
		switch {
		case !ok:
			return nil, s.mistake("%q is no alias: expected a name, a colon, and what it stands for", brief(line))
		case text == "":
			return nil, s.mistake("the alias %q stands for nothing", brief(key))
		case len(text) > l.maxResult:
			return nil, s.mistake("the text of %q is longer than %d octets (tables.max_result)", brief(key), l.maxResult)
		}
		key = fold(key)
		if _, twice := t.entries[key]; twice {
			s.warn("duplicate entry %q: the first counts", brief(key))
			continue
		}
		if len(t.entries) >= l.maxEntries {
			return nil, s.mistake("more than %d entries (tables.max_entries)", l.maxEntries)
		}
		t.entries[key] = text
	}
}

// cutAlias takes a line apart at the first colon outside of quotes; the name loses them.
func cutAlias(line string) (key, text string, ok bool) {
	var b strings.Builder
	quoted := false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\' && i+1 < len(line):
			i++
			b.WriteByte(line[i])
		case c == '"':
			quoted = !quoted
		case c == ':' && !quoted:
			key = strings.Trim(b.String(), blanks)
			return key, line[i+1:], key != ""
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}
