package tables

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// A Mistake is what is wrong in a table, with the place.
type Mistake struct {
	File string
	Line int // 1-based; 0 when it has none
	Text string
}

// Error is "file:line: what is wrong".
func (m *Mistake) Error() string {
	if m.Line == 0 {
		return m.File + ": " + m.Text
	}
	return fmt.Sprintf("%s:%d: %s", m.File, m.Line, m.Text)
}

// source is the text of a table while it is read.
type source struct {
	file string
	rest string
	read int // physical lines read so far
	// line is where the last logical line began.
	line     int
	maxLine  int
	warnings []*Mistake
}

func (s *source) mistake(format string, args ...any) error {
	return &Mistake{s.file, s.line, fmt.Sprintf(format, args...)}
}

// mostWarnings bounds what is said about one file: the operator needs the first of them.
const mostWarnings = 20

func (s *source) warn(format string, args ...any) {
	if len(s.warnings) < mostWarnings {
		s.warnings = append(s.warnings, &Mistake{s.file, s.line, fmt.Sprintf(format, args...)})
	}
}

// next is the next logical line: one of text, with those behind it that begin with
// white space. Lines of white space and those whose first character behind it is "#" are
// no part of it, wherever they stand. ok is false at the end.
func (s *source) next() (logical string, ok bool, err error) {
	joined := false
	var all strings.Builder
	for s.rest != "" {
		end, skip := strings.IndexByte(s.rest, '\n'), 1
		if end < 0 {
			end, skip = len(s.rest), 0
		}
		physical := s.rest[:end]
		text := strings.TrimLeft(physical, blanks)
		continues := text != physical
		if text == "" || text[0] == '#' {
			s.rest, s.read = s.rest[end+skip:], s.read+1
			continue
		}
		if ok && !continues {
			break
		}
		s.rest, s.read = s.rest[end+skip:], s.read+1
		switch {
		case !ok:
			logical, ok, s.line = physical, true, s.read
			if continues {
				return "", false, s.mistake("the line begins with white space, but there is none before it that it continues")
			}
		case !joined:
			all.WriteString(logical)
			joined = true
			fallthrough
		default:
			all.WriteString(physical)
		}
		if max(len(logical), all.Len()) > s.maxLine {
			return "", false, s.mistake("a line with its continuations is longer than %d octets (tables.max_line)", s.maxLine)
		}
	}
	if joined {
		logical = all.String()
	}
	if !utf8.ValidString(logical) || strings.IndexByte(logical, 0) >= 0 {
		return "", false, s.mistake("the line is no UTF-8 text")
	}
	return strings.TrimRight(logical, blanks), ok, nil
}

// blanks is what isspace(3) says of ASCII.
const blanks = " \t\n\v\f\r"

func isBlank(c byte) bool { return strings.IndexByte(blanks, c) >= 0 }

// cutWord cuts a text behind its first word; rest has no white space around it.
func cutWord(s string) (word, rest string) {
	i := strings.IndexAny(s, blanks)
	if i < 0 {
		return s, ""
	}
	return s[:i], strings.Trim(s[i:], blanks)
}
