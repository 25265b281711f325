package configs

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// Error is a mistake in a configuration file.
type Error struct {
	File  string
	Line  int    // 1-based, 0 when it has no line
	Param string // "" when the mistake is not in one
	Err   error
}

// Error is "file:line: parameter: what is wrong".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Line)
	}
	if e.Param != "" {
		b.WriteString(": " + e.Param)
	}
	return b.String() + ": " + e.Err.Error()
}

// Unwrap gives the mistake itself.
func (e *Error) Unwrap() error { return e.Err }

// Load reads a configuration file. The error is an *Error with the first
// mistake, or a joined error with all of them.
func Load(file string) (*Config, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, &Error{File: file, Err: err}
	}
	return Parse(file, text)
}

// Parse reads the text of a configuration file.
func Parse(file string, text []byte) (*Config, error) {
	c := Default()
	c.File = file
	l := loader{file: file, text: text, params: map[string]Param{}, seen: map[string]int{}, items: map[string][]int{}}
	for _, p := range c.Bound() {
		l.params[p.Name] = p
		section, _, _ := strings.Cut(p.Name, ".")
		l.params[section] = Param{}
	}
	l.read(c)
	for _, listener := range c.SMTPDListeners {
		listener.inherit(c)
	}
	l.nameTables(c)
	if len(l.mistakes) > 0 {
		return nil, errors.Join(l.mistakes...)
	}
	c.lines, c.items = l.seen, l.items
	if err := errors.Join(c.disagreements()...); err != nil {
		return nil, err
	}
	return c, nil
}

// MistakeIn is Mistake about an item of a list, the first is 0; -1 is the whole
// list. It has the item's line.
func (c *Config) MistakeIn(param string, item int, err error) *Error {
	m := c.Mistake(param, err)
	if lines := c.items[param]; item >= 0 && item < len(lines) && lines[item] > 0 {
		m.Line = lines[item]
	}
	return m
}

// Mistake is an error about a parameter that only shows when it is used, such
// as a file that cannot be read. It has the parameter's line if it was set.
func (c *Config) Mistake(param string, err error) *Error {
	return &Error{File: c.File, Line: c.lines[param], Param: param, Err: err}
}

type loader struct {
	file     string
	text     []byte
	params   map[string]Param
	seen     map[string]int
	items    map[string][]int // the lines of the items of a list, 0 for unknown
	mistakes []error
	// tables are those that were met, in the order of the file.
	tables []table
}

// table is a [[section]] while the file is read.
type table struct {
	section string
	line    int
	params  []Param
}

func (l *loader) mistake(line int, param, format string, args ...any) {
	l.mistakes = append(l.mistakes, &Error{File: l.file, Line: line, Param: param, Err: fmt.Errorf(format, args...)})
}

func (l *loader) read(c *Config) {
	parser := unstable.Parser{}
	parser.Reset(l.text)
	section, skip := "", false
	for parser.NextExpression() {
		node := parser.Expression()
		switch node.Kind {
		case unstable.Table:
			name, line := l.key(&parser, node)
			section = name
			if skip = !l.isSection(name); skip {
				l.unknownSection(line, name)
			}
		case unstable.ArrayTable:
			name, line := l.key(&parser, node)
			section = l.beginTable(c, name, line)
			skip = section == ""
		case unstable.KeyValue:
			name, line := l.key(&parser, node)
			if skip {
				continue // the section is the mistake
			}
			if section != "" {
				name = section + "." + name
			}
			l.assign(name, line, node.Value())
		default:
			l.mistake(0, "", "unexpected %s", node.Kind)
		}
	}
	if err := parser.Error(); err != nil {
		l.syntaxError(err)
	}
}

// unknownSection says what there is instead.
func (l *loader) unknownSection(line int, name string) {
	if Default().newTable(name) != nil {
		l.mistake(line, "["+name+"]", "may stand there several times: write [[%s]]", name)
		return
	}
	l.mistake(line, "["+name+"]", "unknown section%s", allowed(""))
}

// beginTable begins a [[section]] and returns what its parameters are called while the
// file is read: those of each table are others.
func (l *loader) beginTable(c *Config, section string, line int) string {
	params := c.newTable(section)
	if params == nil {
		l.mistake(line, "[["+section+"]]", "unknown list of tables%s", allowed(""))
		return ""
	}
	l.tables = append(l.tables, table{section, line, params})
	id := fmt.Sprintf("%s#%d", section, len(l.tables))
	for _, p := range params {
		l.params[id+strings.TrimPrefix(p.Name, section)] = p
	}
	return id
}

// nameTables calls the parameters of a table by its name, and wants one that no other
// has.
func (l *loader) nameTables(c *Config) {
	first := map[string]int{}
	for i, t := range l.tables {
		name := ""
		for _, p := range t.params {
			if p.Name == t.section+".name" {
				name = strings.Trim(p.Value(), `"`)
			}
		}
		at := t.section + "." + name
		switch {
		case name == "" && l.seen[fmt.Sprintf("%s#%d.name", t.section, i+1)] > 0: // said already
		case name == "":
			l.mistake(t.line, t.section+".name", "a table [[%s]] needs a name", t.section)
		case first[at] > 0:
			l.mistake(t.line, at, "is there again (first on line %d)", first[at])
		}
		first[at] = t.line
		for _, p := range t.params {
			key := strings.TrimPrefix(p.Name, t.section)
			id := fmt.Sprintf("%s#%d%s", t.section, i+1, key)
			p.Name = at + key
			if from, ok := l.params[p.inherited]; ok {
				p.Default = from.Value()
			}
			if line, ok := l.seen[id]; ok {
				l.seen[p.Name] = line
			} else {
				l.seen[p.Name] = t.line
			}
			l.items[p.Name] = l.items[id]
			c.bound = append(c.bound, p)
		}
	}
}

func (l *loader) syntaxError(err error) {
	line := 0
	var syntax *unstable.ParserError
	if errors.As(err, &syntax) {
		line = l.lineOf(syntax.Highlight)
	}
	if strings.Contains(err.Error(), "at start of value") {
		err = fmt.Errorf("%w: a text, a size and a time stand in quotes, and a switch is true or false, without them", err)
	}
	l.mistake(line, "", "%w", err)
}

// lineOf finds the line of a slice of the text.
func (l *loader) lineOf(part []byte) int {
	if len(part) == 0 {
		return 0
	}
	for i := range l.text {
		if &l.text[i] == &part[0] {
			return strings.Count(string(l.text[:i]), "\n") + 1
		}
	}
	return 0
}

func (l *loader) key(parser *unstable.Parser, node *unstable.Node) (string, int) {
	var parts []string
	line := 0
	it := node.Key()
	for it.Next() {
		k := it.Node()
		if line == 0 {
			line = parser.Shape(k.Raw).Start.Line
		}
		parts = append(parts, string(k.Data))
	}
	return strings.Join(parts, "."), line
}

func (l *loader) assign(name string, line int, value *unstable.Node) {
	id := name
	p, ok := l.params[id]
	if section, rest, isTable := strings.Cut(name, "#"); isTable {
		_, key, _ := strings.Cut(rest, ".")
		name = section + "." + key
	}
	if !ok || p.set == nil {
		hint := Suggest(name)
		if hint == "" {
			hint = allowed(name)
		}
		l.mistake(line, name, "unknown parameter%s", hint)
		return
	}
	if first, twice := l.seen[id]; twice {
		l.mistake(line, name, "set again (first on line %d)", first)
		return
	}
	l.seen[id] = line
	if value.Kind == unstable.Array {
		for it := value.Children(); it.Next(); {
			l.items[id] = append(l.items[id], l.lineOf(it.Node().Data))
		}
	}
	v, err := decode(value)
	if err == nil {
		err = p.set(v)
	}
	if err != nil {
		l.mistake(line, name, "%w", err)
	}
}

func (l *loader) isSection(name string) bool {
	p, ok := l.params[name]
	return ok && p.set == nil
}
