package main

import (
	"bytes"
	"strings"
	"testing"

	"toastmaster/cmd/toastmaster/cli"
	"toastmaster/cmd/toastmaster/sendmail"
)

// TestHelp (not of sendmail, whose caller may have taken a recipient for an option: no exit code 0 without a message): who asks one of Postfix's programs for help gets its usage, and where the rest is; that is no error.
func TestHelp(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"postqueue", "postsuper", "postcat", "qshape", "postmap"} {
		var out, errs bytes.Buffer
		env := &cli.Environment{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Getenv: func(string) string { return "" }}
		if code := run(t.Context(), env, program, []string{"--help"}); code != 0 || !strings.HasPrefix(out.String(), "usage: "+program) || !strings.Contains(out.String(), "man "+program) || errs.Len() > 0 {
			t.Errorf("%s --help: exit %d, %q %q", program, code, out.String(), errs.String())
		}
	}
}

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
		{"postsuper", []string{"-x"}, 1, "postsuper: fatal: unknown shorthand flag"},
		{"postsuper", []string{"-d", "ALL", "nosuch"}, 1, "postsuper: fatal: invalid directory name: nosuch\n"},
		{"postsuper", []string{"-s", "-c", "/nonexistent"}, 1, "postsuper: fatal: /nonexistent: "},
		{"postsuper", []string{"-c", "/nonexistent", "-d", "-"}, 1, "postsuper: fatal: /nonexistent: "},
		{"postqueue", nil, 69, "postqueue: fatal: usage: postqueue -f |"},
		{"postqueue", []string{"-f", "-p"}, 69, "postqueue: fatal: usage: postqueue -f |"},
		{"postqueue", []string{"-p", "x"}, 69, "postqueue: fatal: usage: postqueue -f |"},
		{"postqueue", []string{"-x"}, 69, "postqueue: fatal: unknown shorthand flag"},
		{"postqueue", []string{"-i", "bad/id"}, 69, "postqueue: fatal: Cannot flush queue ID - invalid name: \"bad/id\"\n"},
		{"postqueue", []string{"-s", "bad..host"}, 69, "postqueue: fatal: Cannot flush mail queue - invalid destination: \"bad..host\"\n"},
		{"postqueue", []string{"-pc", "/nonexistent"}, 69, "postqueue: fatal: /nonexistent: "},
		{"postcat", []string{"-x"}, 1, "postcat: fatal: unknown shorthand flag"},
		{"postcat", []string{"-q"}, 1, "postcat: fatal: usage: postcat "},
		{"postcat", []string{"-q", "bad/id"}, 1, "postcat: fatal: bad mail queue ID: bad/id\n"},
		{"postcat", []string{"file"}, 69, "postcat: fatal: files are not done here"},
		{"postcat", []string{"-oq", "3X"}, 69, "postcat: fatal: option -o: not done here"},
		{"qshape", []string{"-x"}, 255, "qshape: fatal: unknown shorthand flag"},
		{"qshape", []string{"nosuch"}, 255, "qshape: fatal: there is no queue nosuch"},
		{"qshape", []string{"-b", "0"}, 255, "qshape: fatal: -b, -t and -m are"},
		{"sendmail", []string{"-q"}, sendmail.ExConfig, "sendmail: "},
		{"sendmail", []string{"-bp"}, sendmail.ExConfig, "sendmail: "},
		{"sendmail", []string{"a@@b"}, sendmail.ExUsage, "sendmail: fatal: bad recipient "},
		{"mailq", []string{"x"}, sendmail.ExUsage, "toastmaster: queue list: unexpected argument"},
		{"mailq", []string{"--nonsense"}, sendmail.ExUsage, "toastmaster: unknown flag: --nonsense"},
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
