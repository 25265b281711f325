package tables

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
)

// upper answers each key with itself in capitals.
type upper struct{ name }

func openUpper(_ context.Context, _ *Set, n name, argument string) (Table, error) {
	if argument != "ascii" {
		return nil, fmt.Errorf("%q is no alphabet: ascii", brief(argument))
	}
	return upper{n}, nil
}

func (t upper) Lookup(_ context.Context, key string) (string, error) {
	if key == "" {
		return "", t.missing(key)
	}
	return strings.ToUpper(key), nil
}

// TestExtending: the example of a type in docs/internals/extending.md is the code above, and
// works as a row.
func TestExtending(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/internals/extending.md")
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile("extending_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(page), "## A lookup table type")
	_, example, _ = strings.Cut(example, "```go\n")
	example, _, ok := strings.Cut(example, "```")
	if !ok || !strings.Contains(string(code), example) {
		t.Errorf("the example of the page is not the code of this test:\n%s", example)
	}
	row := kind{"upper", openUpper, "the key in capitals"}
	opened, err := row.open(t.Context(), newBench(t).set, "upper:ascii", "ascii")
	if err != nil {
		t.Fatal(err)
	}
	if text, err := opened.Lookup(t.Context(), "key"); text != "KEY" || err != nil || Name(opened) != "upper:ascii" {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := row.open(t.Context(), newBench(t).set, "upper:x", "x"); err == nil {
		t.Error("opened")
	}
}
