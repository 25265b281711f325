package tables

import (
	"context"
	"strings"
)

// textMap is the content of a file of "key text" lines: texthash, and hash, btree,
// lmdb, cdb, dbm and sdbm, which have no other file here.
type textMap struct {
	name
	keepCase bool
	entries  map[string]string
}

// parseText reads the format of postmap(1).
func parseText(n name, s *source, l limits) (content, error) {
	t := &textMap{name: n, keepCase: l.keepCase, entries: map[string]string{}}
	for {
		line, ok, err := s.next()
		if err != nil {
			return nil, err
		}
		if !ok {
			return t, nil
		}
		end, quoted := keyEnd(line)
		key, text := line[:end], strings.Trim(line[end:], blanks)
		switch {
		case quoted:
			return nil, s.mistake("a \" is not closed in %q", brief(line))
		case text == "":
			return nil, s.mistake("%q has no text: expected a key, white space, and a text", brief(key))
		case len(text) > l.maxResult:
			return nil, s.mistake("the text of %q is longer than %d octets (tables.max_result)", brief(key), l.maxResult)
		}
		if strings.HasSuffix(key, ":") {
			s.warn("%q ends with a colon: if this is a file of aliases(5), its table is aliases:FILE", brief(key))
		}
		if !t.keepCase {
			key = fold(key)
		}
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

// keyEnd is where the key of a line ends: at the first white space that is neither in
// quotes nor behind a backslash. The quotes are a part of the key.
func keyEnd(line string) (end int, quoted bool) {
	for end = 0; end < len(line); end++ {
		switch c := line[end]; {
		case c == '\\':
			end++
		case c == '"':
			quoted = !quoted
		case isBlank(c) && !quoted:
			return end, false
		}
	}
	return min(end, len(line)), quoted
}

// brief is a text for a message.
func brief(s string) string {
	const most = 60
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}

func (t *textMap) lookup(_ context.Context, key string) (string, error) {
	folded := key
	if !t.keepCase {
		folded = fold(key)
	}
	if text, ok := t.entries[folded]; ok {
		return text, nil
	}
	return "", t.missing(key)
}

// List is Lister's.
func (t *textMap) List(yield func(key, text string) bool) {
	for k, v := range t.entries {
		if !yield(k, v) {
			return
		}
	}
}
