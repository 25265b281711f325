package sendmail

import (
	"context"
	"strings"
	"testing"

	"toastmaster/cmd/toastmaster/cli"
)

// TestNewaliasesSaysWhatItDoes: whoever is used to it learns why there is nothing
// to do.
func TestNewaliasesSaysWhatItDoes(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"newaliases"}, {"sendmail", "-bi"}} {
		var out strings.Builder
		env := &cli.Environment{Stdout: &out, Stderr: &out, Getenv: func(string) string { return "" }}
		run := Newaliases
		if args[0] == "sendmail" {
			run = Run
		}
		if code := run(context.Background(), env, args[1:]); code != 0 || !strings.Contains(out.String(), "nothing to do") || !strings.Contains(out.String(), "toastmaster alias add") {
			t.Errorf("%v: %d %q", args, code, out.String())
		}
	}
}
