package cli

import (
	"strings"
	"testing"
)

// What stands in a table came from other hosts, tenants and files.
func TestCellsKeepToTheirPlace(t *testing.T) {
	var b strings.Builder
	l := &listing{out: &b, table: newTable(&b)}
	if err := l.add(nil, "a\tb\nc", "\x1b[2Jd\u202e", "ü"); err != nil {
		t.Fatal(err)
	}
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	if got, want := b.String(), "a?b?c  ?[2Jd?  ü\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
