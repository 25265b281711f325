package run

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"toastmaster/internal/run/check"
	"toastmaster/internal/run/initial"
)

// TestDescriptorsOfAProcess has processes of its own with real limits: the soft one
// is raised to the hard one (Go leaves one), a start is refused when the reserve does not fit, and
// a demo says nothing when it has a few thousand.
func TestDescriptorsOfAProcess(t *testing.T) {
	if dir := os.Getenv("TOASTMASTER_TEST_DESCRIPTORS"); dir != "" {
		c, err := initial.Make(t.Context(), initial.Options{Dir: dir, PortBase: 2000, Hostname: "mx.test", Host: "127.0.0.1"})
		if err != nil {
			t.Fatal(err)
		}
		d := check.DescriptorsFor(c)
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // one that is not refused ends at the next step
		fmt.Printf("limit=%d connections=%d warning=%q\nserve: %v\n", d.Limit, d.Connections(), d.Warning(), Serve(ctx, Options{Config: c, Getenv: func(string) string { return "" }, Stderr: os.Stderr}))
		return
	}
	t.Parallel()
	for _, c := range []struct{ hard, want, not string }{
		{"500", "limit=499 connections=0", "serve: <nil>"},
		{"500", "serve: this process may open 499 files, and 1000 are kept", ""},
		{"5000", "limit=4999 connections=3999 warning=\"\"", "this process may open"},
	} {
		child := exec.CommandContext(t.Context(), "/bin/sh", "-c", `ulimit -Sn 200 && ulimit -Hn "$1" && exec "$0" -test.run '^TestDescriptorsOfAProcess$'`, os.Args[0], c.hard)
		child.Env = append(os.Environ(), "TOASTMASTER_TEST_DESCRIPTORS="+t.TempDir())
		out, err := child.CombinedOutput()
		if text := string(out); err != nil && !strings.Contains(text, "serve: ") || !strings.Contains(text, c.want) || c.not != "" && strings.Contains(text, c.not) {
			t.Errorf("hard limit %s: %v, no %q in %s", c.hard, err, c.want, text)
		}
	}
}
