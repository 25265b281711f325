package local

import (
	"strings"
	"testing"

	"toastmaster/configs"
	"toastmaster/directory/tables"
)

// TestNobodyWritesACommand: a table of aliases whose texts hold parts of the name is not opened, and
// one that has become so since says nothing.
func TestNobodyWritesACommand(t *testing.T) {
	t.Parallel()
	set := tables.NewSet(tables.Options{Params: configs.Default().Lookup})
	t.Cleanup(func() { set.Close() })
	const quoting = "pcre:{ {/^do-(.*)$$/ |/bin/sh -c $1} }"
	p := configs.Default().Local
	p.AliasMaps = []string{strings.ReplaceAll(quoting, "$$/", "/")}
	p.DefaultPrivs = "65534:65534"
	if _, err := Open(t.Context(), Options{Params: p, Tables: set}); err == nil || !strings.Contains(err.Error(), "$1") {
		t.Errorf("%v", err)
	}
	table, err := set.Open(t.Context(), p.AliasMaps[0])
	if err != nil {
		t.Fatal(err)
	}
	a := &Agent{aliases: []aliasMap{{table, ""}}}
	if text, _, found, failed := a.alias(t.Context(), "do-id"); found || failed == nil || !failed.Temporary() {
		t.Errorf("%q %v", text, failed)
	}
}
