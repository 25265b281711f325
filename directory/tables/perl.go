package tables

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dlclark/regexp2/v2"
)

// perlFlags are the flags of pcre_table(5) with their defaults. X is nothing in PCRE2.
func perlFlags() flags {
	return flags{'i': true, 'm': false, 's': true, 'x': false, 'A': false, 'E': false, 'U': false, 'X': false}
}

// compilePerl makes a matcher of a pattern of PCRE. Go's engine takes those that it
// has in common with it, and finds the same; what looks around, refers to groups or
// gives nothing back goes to one that tries, within a time and a depth.
func compilePerl(text string, f flags, l limits) (matcher, error) {
	if err := refusePerl(text); err != nil {
		return nil, err
	}
	ends := `(?:\n?\z)`
	if f['E'] {
		ends = `\z`
	}
	if !f['x'] && linearPerl(text) {
		modes := ""
		for _, letter := range "imsU" {
			if f[byte(letter)] {
				modes += string(letter)
			}
		}
		in := text
		if !f['m'] {
			in = replaceDollar(text, ends)
		}
		if modes != "" {
			modes = "(?" + modes + ")"
		}
		if f['A'] {
			in = `\A(?:` + in + ")"
		}
		if re, err := regexp.Compile(modes + in); err == nil {
			return linear{re}, nil
		}
	}
	return compileBacktracking(text, f, ends, l)
}

// compileBacktracking is for what Go's engine does not have.
func compileBacktracking(text string, f flags, ends string, l limits) (matcher, error) {
	if f['U'] {
		return nil, errors.New("the flag U does not go together with what looks around, refers to groups or has the flag x: write *? for *")
	}
	options := []regexp2.CompileOption{regexp2.RE2, regexp2.OptionMaintainCaptureOrder(), regexp2.OptionMaxBacktrackingStackSize(backtrackingStack)}
	for _, o := range []struct {
		letter byte
		option regexp2.RegexOptions
	}{{'i', regexp2.IgnoreCase}, {'m', regexp2.Multiline}, {'s', regexp2.Singleline}, {'x', regexp2.IgnorePatternWhitespace}} {
		if f[o.letter] {
			options = append(options, o.option)
		}
	}
	in, err := translatePerl(text)
	if err != nil {
		return nil, err
	}
	if !f['m'] {
		in = replaceDollar(in, strings.Replace(ends, `(?:\n?\z)`, `(?=\n?\z)`, 1))
	}
	if f['A'] {
		in = `\A(?:` + in + ")"
	}
	re, err := regexp2.Compile(in, options...)
	if err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	re.MatchTimeout = l.matchTimeout
	return backtracking{re, l.matchTimeout}, nil
}

// backtrackingStack bounds the memory of a match: 400 KiB. It is no parameter: a
// pattern that needs more needs more time than a lookup has.
const backtrackingStack = 100_000

// backtracking is an engine that tries one way after the other.
type backtracking struct {
	re      *regexp2.Regexp
	timeout time.Duration
}

func (m backtracking) groups() int { return len(m.re.GetGroupNumbers()) - 1 }

func (m backtracking) find(_ context.Context, text string) ([]int, bool, error) {
	asked, offset := text, func(i int) int { return i }
	if !utf8.ValidString(text) {
		asked, offset = latin1(text)
	}
	match, err := m.re.FindStringMatch(asked)
	switch {
	case errors.Is(err, regexp2.ErrBacktrackingStackLimit):
		return nil, false, fmt.Errorf("pattern %q needs too much memory for this text", brief(m.re.String()))
	case err != nil:
		return nil, false, fmt.Errorf("pattern %q is not done with this text after %s (tables.match_timeout)", brief(m.re.String()), m.timeout)
	case match == nil:
		return nil, false, nil
	}
	groups := make([]int, 0, 2*match.GroupCount())
	for n := range m.groups() + 1 {
		g := match.GroupByNumber(n)
		if g == nil || len(g.Captures) == 0 {
			groups = append(groups, -1, -1)
			continue
		}
		at, length := g.ByteRange()
		groups = append(groups, offset(at), offset(at+length))
	}
	return groups, true, nil
}

// latin1 makes a text of octets one of characters, so that each has a place of its
// own; offset leads back.
func latin1(text string) (characters string, offset func(int) int) {
	var b strings.Builder
	back := make(map[int]int, len(text)+1)
	for i := range len(text) {
		back[b.Len()] = i
		b.WriteRune(rune(text[i]))
	}
	back[b.Len()] = len(text)
	return b.String(), func(i int) int { return back[i] }
}

// refusePerl names what neither engine has.
func refusePerl(text string) error {
	var err error
	scanPattern(text, func(at string) {
		for _, no := range []string{`(*`, `(?R)`, `(?|`, `(?&`, `(?P>`, `(?+`, `(?0)`, `(?C`, `\K`, `\C`, `\G`, `\X`, `\N{`} {
			if strings.HasPrefix(at, no) && err == nil {
				err = fmt.Errorf("%q is not done here", no)
			}
		}
		if len(at) > 2 && at[:2] == "(?" && isDigit(at[2]) && err == nil {
			err = fmt.Errorf("%q, a pattern in itself, is not done here", "(?"+at[2:3]+")")
		}
	})
	return err
}

// linearPerl says that Go reads a pattern as PCRE does: there is nothing in it that the
// two take for different things.
func linearPerl(text string) bool {
	for _, other := range []string{`\Z`, `\h`, `\H`, `\v`, `\V`, `\R`, `\e`, `\c`, `\N`, `\o`, `\g`, `\k`} {
		if strings.Contains(text, other) {
			return false
		}
	}
	return true
}

// translatePerl writes a pattern of PCRE for the engine that tries.
func translatePerl(text string) (string, error) {
	outside := strings.NewReplacer(`\h`, `[\t ]`, `\H`, `[^\t ]`, `\v`, `[\n\x0b\f\r]`, `\V`, `[^\n\x0b\f\r]`, `\N`, `[^\n]`,
		`\R`, `(?>\r\n|[\n\x0b\f\r])`, `\e`, `\x1b`)
	inside := strings.NewReplacer(`\\`, `\\`, `\h`, `\t `, `\v`, `\n\x0b\f\r`, `\e`, `\x1b`)
	var b strings.Builder
	var err error
	last := 0
	scanPattern(text, func(at string) {
		i := len(text) - len(at)
		if i < last {
			return
		}
		length := 1
		switch {
		case strings.HasPrefix(at, `\Q`):
			length = quotation(at)
		case strings.HasPrefix(at, `\g`):
			number, n := groupNumber(at)
			if n == 0 {
				err = fmt.Errorf("%q is not done here: write \\1 for the first group", brief(at))
			}
			b.WriteString("(?:\\" + number + ")")
			last = i + max(n, 1)
			return
		case at[0] == '\\' && len(at) > 1:
			b.WriteString(outside.Replace(at[:2]))
			last = i + 2
			return
		case at[0] == '[':
			length = classLength(at)
			b.WriteString(inside.Replace(at[:length]))
			last = i + length
			return
		}
		b.WriteString(at[:length])
		last = i + length
	})
	if last < len(text) {
		b.WriteString(text[last:])
	}
	return b.String(), err
}

// groupNumber reads \gn and \g{n}.
func groupNumber(at string) (number string, length int) {
	rest := at[2:]
	if inner, ok := strings.CutPrefix(rest, "{"); ok {
		number, _, ok = strings.Cut(inner, "}")
		if !ok || number == "" || strings.Trim(number, "0123456789") != "" {
			return "", 0
		}
		return number, len(number) + 4
	}
	for len(number) < len(rest) && isDigit(rest[len(number)]) {
		number = rest[:len(number)+1]
	}
	if number == "" {
		return "", 0
	}
	return number, len(number) + 2
}

// quotation is how long \Q...\E is.
func quotation(at string) int {
	if end := strings.Index(at, `\E`); end >= 0 {
		return end + 2
	}
	return len(at)
}

// inlineLines says that a pattern has the mode m in itself, in which $ is another thing.
var inlineLines = regexp.MustCompile(`\(\?[a-zA-Z]*m`)

// replaceDollar writes another text for each $ that is an anchor.
func replaceDollar(text, with string) string {
	if inlineLines.MatchString(text) {
		return text
	}
	var b strings.Builder
	done := 0
	scanPattern(text, func(at string) {
		if at[0] == '$' {
			i := len(text) - len(at)
			b.WriteString(text[done:i] + with)
			done = i + 1
		}
	})
	return b.String() + text[done:]
}

// scanPattern calls see with the rest of the pattern at each place where something
// begins that is no part of a class, of an escape or of a quotation.
func scanPattern(text string, see func(at string)) {
	for i := 0; i < len(text); {
		see(text[i:])
		switch {
		case strings.HasPrefix(text[i:], `\Q`):
			i += quotation(text[i:])
		case text[i] == '\\':
			i += 2
		case text[i] == '[':
			i += classLength(text[i:])
		case strings.HasPrefix(text[i:], "(?#"):
			_, rest, closed := strings.Cut(text[i:], ")")
			if !closed {
				return
			}
			i = len(text) - len(rest)
		default:
			i++
		}
	}
}

// classLength is how long the class is that a text begins with.
func classLength(s string) int {
	i := 1
	if i < len(s) && s[i] == '^' {
		i++
	}
	for first := true; i < len(s); first = false {
		switch {
		case s[i] == '\\':
			i++
		case s[i] == '[' && i+1 < len(s) && s[i+1] == ':':
			if end := strings.Index(s[i:], ":]"); end > 0 {
				i += end + 1
			}
		case s[i] == ']' && !first:
			return i + 1
		}
		i++
	}
	return len(s)
}
