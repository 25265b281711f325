package imapd

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// TestReadmeTellsTheCapabilities: what the README says is there is what the
// server says, and what it says is missing is not.
func TestReadmeTellsTheCapabilities(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	words := func(head string) []string {
		_, after, ok := strings.Cut(string(text), "\n- "+head+":")
		if !ok {
			t.Fatalf("no %q", head)
		}
		var out []string
		for i, line := range strings.Split(after, "\n") {
			if i > 0 && !strings.HasPrefix(line, "  ") {
				break
			}
			out = append(out, strings.Fields(line)...)
		}
		return out
	}
	there := append(strings.Fields(join(capabilities(table()), func(capability) bool { return true })), "STARTTLS")
	if got := words("There"); !slices.Equal(got, there) {
		t.Errorf("there are %v, the README says %v", there, got)
	}
	for _, missing := range words("Not there yet") {
		if slices.Contains(there, missing) || slices.ContainsFunc(table(), func(v verb) bool { return v.name == missing }) {
			t.Errorf("%s is there", missing)
		}
	}
}
