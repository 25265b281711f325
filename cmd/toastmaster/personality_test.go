package main

import (
	"bytes"
	"strings"
	"testing"

	"toastmaster/cmd/toastmaster/cli"
	"toastmaster/cmd/toastmaster/sendmail"
)

// TestWhatOtherProgramsSay: the exit code, and one line in the name of the
// program that was called.
func TestWhatOtherProgramsSay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		program string
		args    []string
		code    int
		text    string
	}{
		{"postsuper", []string{"-d", "ALL"}, sendmail.ExUnavailable, "postsuper: not there yet"},
		{"postqueue", nil, 69, "postqueue: fatal: usage: postqueue -f |"},
		{"postqueue", []string{"-f", "-p"}, 69, "postqueue: fatal: usage: postqueue -f |"},
		{"postqueue", []string{"-p", "x"}, 69, "postqueue: fatal: usage: postqueue -f |"},
		{"postqueue", []string{"-x"}, 69, "postqueue: fatal: unknown shorthand flag"},
		{"postqueue", []string{"-i", "bad/id"}, 69, "postqueue: fatal: Cannot flush queue ID - invalid name: \"bad/id\"\n"},
		{"postqueue", []string{"-s", "bad..host"}, 69, "postqueue: fatal: Cannot flush mail queue - invalid destination: \"bad..host\"\n"},
		{"postqueue", []string{"-pc", "/nonexistent"}, 69, "postqueue: fatal: /nonexistent: "},
		{"postcat", []string{"-q", "3X"}, sendmail.ExUnavailable, "postcat: not there yet"},
		{"sendmail", []string{"-q"}, sendmail.ExConfig, "sendmail: "},
		{"sendmail", []string{"-bp"}, sendmail.ExConfig, "sendmail: "},
		{"sendmail", []string{"bad address@@"}, sendmail.ExUsage, "sendmail: bad recipient \"bad address@@\": "},
		{"toastmaster", []string{"queue", "delete", ""}, 2, "toastmaster: queue delete: an ID is empty"},
	} {
		var out bytes.Buffer
		env := &cli.Environment{Stdin: strings.NewReader("x\n"), Stdout: &out, Stderr: &out, Getenv: func(string) string { return "" }}
		if c.program == "sendmail" && c.args[0][0] == '-' {
			env.ConfigFile = t.TempDir() + "/none.toml"
		}
		got := run(t.Context(), env, c.program, c.args)
		if text := out.String(); got != c.code || !strings.HasPrefix(text, c.text) || strings.Count(text, "\n") != 1 || strings.Contains(text, "angle-addr") {
			t.Errorf("%s %q: exit %d, %s", c.program, c.args, got, text)
		}
	}
}
