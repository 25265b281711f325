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
		"The file is TOML. A size is a number of octets or a text with KiB, MiB or GiB (`\"50 MiB\"`), a time a text with\n" +
		"s, m, h or d (`\"5m\"`). An unknown name, a value of the wrong type or out of bounds is an error that names file,\n" +
		"line and parameter; nothing is started then. `toastmaster config explain NAME` prints an entry of this page, which\n" +
		"is generated from the declarations in `configs/`.\n")
	section := ""
	for _, p := range Default().Bound() {
		name, key, _ := strings.Cut(p.Name, ".")
		if name != section {
			section = name
			fmt.Fprintf(&b, "\n## [%s]\n", section)
		}
		fmt.Fprintf(&b, "\n### %s\n\n%s\n\n- type: %s\n- default: `%s`\n- allowed: %s\n", key, p.Text, p.Kind, p.Default, p.Allowed)
		if len(p.Names) > 0 {
			fmt.Fprintf(&b, "- in Postfix or Dovecot: %s\n", strings.Join(p.Names, ", "))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteSample writes a configuration file that sets nothing: every parameter
// with its text, commented out at its default.
func WriteSample(w io.Writer) error {
	var b strings.Builder
	b.WriteString("# Every parameter at its default. `toastmaster init DIR` writes a file that runs.\n")
	section := ""
	for _, p := range Default().Bound() {
		name, key, _ := strings.Cut(p.Name, ".")
		if name != section {
			section = name
			fmt.Fprintf(&b, "\n[%s]\n", section)
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
	fmt.Fprintf(w, "%s\n  type     %s\n  default  %s\n  allowed  %s\n", p.Name, p.Kind, p.Default, p.Allowed)
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
