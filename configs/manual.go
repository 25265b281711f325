package configs

import (
	"fmt"
	"io"
	"strings"
)

// WriteManual writes the parameter manual (docs/parameters.md).
func WriteManual(w io.Writer) error {
	var b strings.Builder
	b.WriteString("# Parameters\n\n" +
		"The file is TOML. A size is a number of octets or a text with KiB, MiB or GiB (`\"50 MiB\"`, also `\"50M\"`), a time a text with\n" +
		"s, m, h or d (`\"5m\"`). An unknown name, a value of the wrong type or out of bounds is an error that names file,\n" +
		"line and parameter; nothing is started then. `toastmaster config explain NAME` prints an entry of this page, which\n" +
		"is generated from the declarations in `configs/`. A section with two brackets, `[[transport]]`, may stand there several times.\n")
	section := ""
	for _, p := range declared() {
		name, key, _ := strings.Cut(p.Name, ".")
		if name != section {
			section = name
			fmt.Fprintf(&b, "\n## %s\n", p.heading())
		}
		fmt.Fprintf(&b, "\n### %s\n\n%s\n\n- type: %s\n- default: `%s`\n- allowed: %s\n", key, p.Text, p.Kind, p.Default, p.Allowed)
		fmt.Fprintf(&b, "- changes count: %s\n", p.counts())
		if len(p.Names) > 0 {
			fmt.Fprintf(&b, "- in Postfix or Dovecot: %s\n", strings.Join(p.Names, ", "))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// counts says from when on a change counts.
func (p Param) counts() string {
	if p.TakenUp() {
		return "after a reload"
	}
	return "at the next start"
}

// WriteSample writes a configuration file that sets nothing: every parameter
// with its text, commented out at its default.
func WriteSample(w io.Writer) error {
	var b strings.Builder
	b.WriteString("# Every parameter at its default. `toastmaster init DIR` writes a file that runs.\n")
	section := ""
	for _, p := range declared() {
		name, key, _ := strings.Cut(p.Name, ".")
		if name != section {
			section = name
			comment := ""
			if p.table {
				comment = "#" // a table that is there needs a name
			}
			fmt.Fprintf(&b, "\n%s%s\n", comment, p.heading())
		}
		b.WriteByte('\n')
		for _, line := range wrap(p.Text+" ("+p.Allowed+")", 76) {
			b.WriteString("# " + line + "\n")
		}
		fmt.Fprintf(&b, "#%s = %s\n", key, p.Default)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// heading is the line of the file that p stands below.
func (p Param) heading() string {
	section, _, _ := strings.Cut(p.Name, ".")
	if p.table {
		return "[[" + section + "]]"
	}
	return "[" + section + "]"
}

// wrap breaks text into lines of at most width characters.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// Explain writes what a person wants to know about one parameter.
func (p Param) Explain(w io.Writer) {
	fmt.Fprintf(w, "%s\n  type     %s\n  default  %s\n  allowed  %s\n  changes  %s\n", p.Name, p.Kind, p.Default, p.Allowed, p.counts())
	if len(p.Names) > 0 {
		fmt.Fprintf(w, "  others   %s\n", strings.Join(p.Names, ", "))
	}
	for i, line := range wrap(p.Text, 68) {
		label := "         "
		if i == 0 {
			label = "meaning  "
		}
		fmt.Fprintf(w, "  %s%s\n", label, line)
	}
}
