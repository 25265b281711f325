package main

import (
	"bytes"
	"strings"
	"testing"
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
		{"postsuper", []string{"-d", "ALL"}, exUnavailable, "postsuper: not there yet"},
		{"postqueue", []string{"-p"}, exUnavailable, "postqueue: not there yet"},
		{"postcat", []string{"-q", "3X"}, exUnavailable, "postcat: not there yet"},
		{"sendmail", []string{"-q"}, exConfig, "sendmail: "},
		{"sendmail", []string{"-bp"}, exConfig, "sendmail: "},
		{"sendmail", []string{"bad address@@"}, exUsage, "sendmail: bad recipient \"bad address@@\": "},
		{"toastmaster", []string{"queue", "delete", ""}, 2, "toastmaster: queue delete: an ID is empty"},
	} {
		var out bytes.Buffer
		env := &environment{stdin: strings.NewReader("x\n"), stdout: &out, stderr: &out, getenv: func(string) string { return "" }}
		if c.program == "sendmail" && c.args[0][0] == '-' {
			env.configFile = t.TempDir() + "/none.toml"
		}
		got := run(t.Context(), env, c.program, c.args)
		if text := out.String(); got != c.code || !strings.HasPrefix(text, c.text) || strings.Count(text, "\n") != 1 || strings.Contains(text, "angle-addr") {
			t.Errorf("%s %q: exit %d, %s", c.program, c.args, got, text)
		}
	}
}
