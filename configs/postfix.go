package configs

import (
	"bufio"
	_ "embed"
	"fmt"
	"io"
	"slices"
	"strings"
)

// postfixText is what is said of each parameter of Postfix.
//
//go:embed postfix.txt
var postfixText string

// PostfixParam is a parameter of Postfix, and what there is of it here.
type PostfixParam struct {
	Name string
	// Group is the daemon whose manual page has it; "all", "transports" (one for each
	// transport) or "other".
	Group string
	// Here are the parameters that do what it does; none when it is not here.
	Here []string
	// Text is the reason why it is not here, or how what is here differs; "" says
	// nothing.
	Text string
	// Yet says that it is not here, and is to come.
	Yet bool

	// line keeps those together that stand in one line of the file.
	line int
}

// Answer is what there is of it, in one line.
func (p PostfixParam) Answer() string {
	here := strings.Join(p.Here, ", ")
	switch {
	case p.Yet:
		return "not there yet"
	case here == "":
		return "left out: " + p.Text
	case p.Text != "":
		return here + "; " + p.Text
	}
	return here
}

// postfixMark says what a line of the file has behind a name.
type postfixMark uint8

const (
	markNone  postfixMark = iota // it is declared, or a pattern has it
	markYet                      // not there yet
	markText                     // left out
	markNear                     // declared, with a difference
	markForce                    // left out, although something has that name
	markAs                       // what is said of another
)

// postfixRow is a name, or a pattern, of the file.
type postfixRow struct {
	name, group, text string
	mark              postfixMark
	line              int
}

// star is what the one * of a pattern stands for in a name.
func (r postfixRow) star(name string) (string, bool) {
	before, behind, ok := strings.Cut(r.name, "*")
	if !ok || len(name) <= len(before)+len(behind) || !strings.HasPrefix(name, before) || !strings.HasSuffix(name, behind) {
		return "", false
	}
	return name[len(before) : len(name)-len(behind)], true
}

// postfixTable is the file, with what is declared.
type postfixTable struct {
	rows   []postfixRow
	byName map[string]postfixRow
	params []Param
}

// readPostfix reads the text of the file. An error names the line.
func readPostfix(text string, params []Param) (*postfixTable, error) {
	t := &postfixTable{byName: map[string]postfixRow{}, params: params}
	reasons := map[string]string{}
	group, n := "", 0
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		n++
		name, rest, _ := strings.Cut(strings.TrimSpace(lines.Text()), " ")
		rest = strings.TrimSpace(rest)
		var names []string
		row := postfixRow{group: group, line: n}
		switch {
		case name == "" || strings.HasPrefix(name, "#"):
			continue
		case strings.HasPrefix(name, "@"):
			reasons[name] = rest
			continue
		case strings.HasPrefix(name, "["):
			group = strings.Trim(name, "[]")
			continue
		case name == "+":
			names = strings.Fields(rest)
		default:
			names = []string{name}
			row.read(rest)
		}
		if strings.HasPrefix(row.text, "@") {
			reason := reasons[row.text]
			if reason == "" {
				return nil, fmt.Errorf("postfix.txt:%d: no reason %s", n, row.text)
			}
			row.text = reason
		}
		for _, name := range names {
			row.name = name
			if _, twice := t.byName[name]; twice {
				return nil, fmt.Errorf("postfix.txt:%d: %s is there twice", n, name)
			}
			t.byName[name] = row
			t.rows = append(t.rows, row)
		}
	}
	return t, nil
}

// read takes what stands behind a name.
func (r *postfixRow) read(rest string) {
	word, text, _ := strings.Cut(rest, " ")
	switch text = strings.TrimSpace(text); {
	case rest == "":
	case rest == "yet":
		r.mark = markYet
	case word == "~":
		r.mark, r.text = markNear, text
	case word == "!":
		r.mark, r.text = markForce, text
	case word == "as" && !strings.Contains(text, " "):
		r.mark, r.text = markAs, text
	default:
		r.mark, r.text = markText, rest
	}
}

// declared are the parameters that have a name of Postfix: those whose own it is, else
// those that were given it.
func (t *postfixTable) declared(name string) []string {
	var own, given []string
	name = strings.ToLower(name)
	for _, p := range t.params {
		switch {
		case strings.ReplaceAll(p.Name, ".", "_") == name, p.key() == name && strings.Contains(name, "_"):
			own = append(own, p.Name)
		case p.given(name) || slices.Contains(postfixNamesIn(p.Text), name):
			given = append(given, p.Name)
		}
	}
	if len(own) > 0 {
		return own
	}
	return given
}

// postfixNamesIn are the words behind the word Postfix in a text: "(Postfix mynetworks)".
func postfixNamesIn(text string) []string {
	var names []string
	for rest := text; ; {
		_, behind, ok := strings.Cut(rest, "Postfix ")
		if !ok {
			return names
		}
		if w := words(behind); len(w) > 0 {
			names = append(names, w[0])
		}
		rest = behind
	}
}

// mostAs bounds how many rows refer to one another.
const mostAs = 4

// param is what there is of a name; ok is false for one that is nobody's.
func (t *postfixTable) param(name string, depth int) (PostfixParam, bool) {
	p := PostfixParam{Name: name}
	row, ok := t.byName[name]
	if ok {
		p.Group, p.line = row.group, row.line
	}
	if row.mark == markAs || row.mark == markForce {
		return t.say(p, row, name, depth)
	}
	if p.Here = t.declared(name); len(p.Here) > 0 && (ok || t.pattern(name) != nil) {
		if row.mark == markNear {
			p.Text = row.text
		}
		return p, true
	}
	p.Here = nil
	if row.mark == markNone {
		found := t.pattern(name)
		if found == nil {
			return p, false
		}
		star, _ := found.star(name)
		row = *found
		row.text = strings.Replace(row.text, "*", star, 1)
		if p.Group == "" {
			p.Group = row.group
		}
	}
	return t.say(p, row, name, depth)
}

func (t *postfixTable) pattern(name string) *postfixRow {
	for i := range t.rows {
		if _, ok := t.rows[i].star(name); ok {
			return &t.rows[i]
		}
	}
	return nil
}

// say fills in what a row says.
func (t *postfixTable) say(p PostfixParam, row postfixRow, name string, depth int) (PostfixParam, bool) {
	switch row.mark {
	case markYet:
		p.Yet = true
	case markAs:
		other, ok := PostfixParam{}, false
		if depth < mostAs && row.text != name {
			other, ok = t.param(row.text, depth+1)
		}
		p.Here, p.Text, p.Yet = other.Here, other.Text, other.Yet
		return p, ok
	case markForce:
		p.Yet = row.text == "yet"
		fallthrough
	default:
		p.Text = row.text
	}
	return p, true
}

// Postfix says what there is of a parameter of Postfix; ok is false when Postfix has none of
// that name.
func Postfix(name string) (PostfixParam, bool) {
	t, err := readPostfix(postfixText, declared())
	if err != nil {
		return PostfixParam{}, false
	}
	for _, row := range t.rows {
		if strings.EqualFold(row.name, name) {
			name = row.name // smtpd_tls_CAfile has capitals
		}
	}
	return t.param(name, 0)
}

// PostfixParams are all parameters of Postfix, in the order of the page. It is an error
// when one of them is neither declared nor explained.
func PostfixParams() ([]PostfixParam, error) {
	t, err := readPostfix(postfixText, declared())
	if err != nil {
		return nil, err
	}
	var all []PostfixParam
	for _, row := range t.rows {
		if strings.Contains(row.name, "*") || strings.HasPrefix(row.name, "transport_") && row.group == "transports" {
			continue // a pattern, or a name of the manual
		}
		p, ok := t.param(row.name, 0)
		if !ok {
			return nil, fmt.Errorf("postfix.txt:%d: %s is not declared, and nothing says why", row.line, row.name)
		}
		all = append(all, p)
	}
	return all, nil
}

// WritePostfix writes the last chapter of docs/postfix-differences.md: each parameter of
// Postfix, and what there is of it.
func WritePostfix(w io.Writer) error {
	all, err := PostfixParams()
	if err != nil {
		return err
	}
	var b strings.Builder
	here, yet := 0, 0
	for _, p := range all {
		switch {
		case p.Yet:
			yet++
		case len(p.Here) > 0:
			here++
		}
	}
	fmt.Fprintf(&b, "## Parameters\n\nEach parameter that Debian's `postconf -d` lists, below the daemon whose manual page has it: what it is called here, or why it is left out.\n"+
		"`toastmaster config explain NAME` says the same. Of %d parameters %d are here, %d are not there yet, %d are left out.\n", len(all), here, yet, len(all)-here-yet)
	group := ""
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].line == all[0].line && all[n].Answer() == all[0].Answer() {
			n++
		}
		if all[0].Group != group {
			group = all[0].Group
			fmt.Fprintf(&b, "\n### Parameters of %s\n\n| Postfix | here |\n|---|---|\n", postfixHeading(group))
		}
		b.WriteString("| ")
		for i, p := range all[:n] {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString("`" + p.Name + "`")
		}
		b.WriteString(" | " + all[0].cell() + " |\n")
		all = all[n:]
	}
	_, err = io.WriteString(w, b.String())
	return err
}

func postfixHeading(group string) string {
	switch group {
	case "all":
		return "every daemon"
	case "transports":
		return "each transport of master.cf"
	case "other":
		return "no manual page"
	}
	return group
}

// cell is the answer as the table has it.
func (p PostfixParam) cell() string {
	text := strings.ReplaceAll(p.Text, "|", `\|`)
	switch {
	case p.Yet:
		return "not there yet"
	case len(p.Here) == 0:
		return "left out: " + text
	}
	cell := "`" + strings.Join(p.Here, "`, `") + "`"
	if text != "" {
		cell += "; " + text
	}
	return cell
}
