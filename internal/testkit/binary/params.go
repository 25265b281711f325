package binary

import (
	"fmt"
	"os"
	"strings"
)

// setParam changes or adds "section.key = value" in a TOML file, keeping the
// rest as it is.
func setParam(file, name, value string) error {
	section, key, ok := strings.Cut(name, ".")
	if !ok {
		return fmt.Errorf("parameter %q has no section", name)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(withParam(string(text), section, key, value)), 0o600)
}

func withParam(text, section, key, value string) string {
	var out []string
	in, done := false, false
	set := func() {
		if !done {
			out = append(out, key+" = "+value)
			done = true
		}
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		trimmed := strings.TrimSpace(line)
		if strings.HasPrefix(trimmed, "[") {
			in = trimmed == "["+section+"]"
			out = append(out, line)
			if in {
				set()
			}
			continue
		}
		name, _, _ := strings.Cut(trimmed, "=")
		if in && strings.TrimSpace(name) == key {
			continue // replaced
		}
		out = append(out, line)
	}
	if !done {
		out = append(out, "["+section+"]")
		set()
	}
	return strings.Join(out, "\n") + "\n"
}
