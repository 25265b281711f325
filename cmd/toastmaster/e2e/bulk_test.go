package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// TestManyAliasesFromAFile: a table of Postfix's is read, mistakes are named by line,
// a dry run changes nothing, and all of it can be done again.
func TestManyAliasesFromAFile(t *testing.T) {
	t.Parallel()
	b := serve(t, nil)
	ctx := testContext(t)
	out, err := b.Run(ctx, "# domains\nmany.test\nother.test many.test\nexample.test\n", "domain", "add", "--from", "-")
	must(t, err)
	if out != "2 domains added, 1 existed, 0 failed\n" {
		t.Errorf("domains: %q", out)
	}
	const count = 20000
	var table strings.Builder
	table.WriteString("# a table\n\n")
	for i := range count {
		fmt.Fprintf(&table, "a%d@many.test\tx%d@elsewhere.example, alice@example.test\n", i, i)
	}
	table.WriteString("loop@many.test\n    loop2@many.test,\n    x@elsewhere.example\nloop2@many.test loop@many.test\nnothing@many.test\nx@nowhere.example y@z.example\n")
	for _, step := range []struct{ args, want string }{
		{"--dry-run", fmt.Sprintf("%d aliases would be added, 0 existed, 3 failed\n", count+1)},
		{"", fmt.Sprintf("%d aliases added, 0 existed, 3 failed\n", count+1)},
		{"", fmt.Sprintf("0 aliases added, %d existed, 3 failed\n", count+1)},
	} {
		args := append([]string{"alias", "add", "--from", "-"}, strings.Fields(step.args)...)
		out, err := b.Run(ctx, table.String(), args...)
		if err == nil || out != step.want {
			t.Errorf("%s: %v %q, want %q", step.args, err, out, step.want)
		}
		for _, want := range []string{
			fmt.Sprintf("-:%d: loop2@many.test: ", count+6), fmt.Sprintf("-:%d: nothing@many.test: no target", count+7),
			fmt.Sprintf("-:%d: x@nowhere.example: ", count+8), "-: 3 lines not added",
		} {
			if err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v does not say %q", step.args, err, want)
			}
		}
	}
	out, err = b.Run(ctx, "gone@many.test  here@elsewhere.example\n", "relocated", "add", "--from", "-", "--json")
	must(t, err)
	if !strings.Contains(out, `"added": 1`) {
		t.Errorf("relocated: %s", out)
	}
	out, err = b.Run(ctx, "", "alias", "show", "loop@many.test")
	must(t, err)
	if !strings.Contains(out, "loop2@many.test") || !strings.Contains(out, "x@elsewhere.example") {
		t.Errorf("continued lines: %s", out)
	}
}
