package cli

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"toastmaster/internal/testkit/peers"
)

type answer struct {
	code           int
	stdout, stderr string
}

func ourPostmap(t *testing.T, stdin string, args ...string) answer {
	t.Helper()
	var out, said bytes.Buffer
	env := &Environment{Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &said, Getenv: func(string) string { return "" }}
	code := Postmap(t.Context(), env, args)
	return answer{code, out.String(), said.String()}
}

func theirPostmap(t *testing.T, etc, stdin string, args ...string) answer {
	t.Helper()
	cmd := exec.Command(peers.Need(t, "postmap", "postfix"), append([]string{"-c", etc}, args...)...)
	var out, said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &said
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return answer{cmd.ProcessState.ExitCode(), out.String(), said.String()}
}

// TestPostmapAsPostfix gives both the same command lines: the same is printed, with the
// same exit code.
func TestPostmapAsPostfix(t *testing.T) {
	dir := t.TempDir()
	etc := filepath.Join(dir, "etc")
	then := time.Now().Add(-time.Minute) // Postfix waits for the end of what is younger
	for name, text := range map[string]string{
		"etc/main.cf": "compatibility_level = 3.6\nmyhostname = mx.example.test\n",
		"a":           "one 1\nTwo 2  2\n\"a b\" q\n",
		"b":           "one uno\nthree 3\n",
		"r":           "/^f(.)/ <$1>\n/^X-Spam:.*yes/ REJECT\n/^Subject:(.*)$/ S$1\n/buy/ SPAM\n",
		"c":           "192.0.2.0/24 ours\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, then, then); err != nil {
			t.Fatal(err)
		}
	}
	at := func(kind, name string) string { return kind + ":" + filepath.Join(dir, name) }
	a, b, r, c := at("texthash", "a"), at("texthash", "b"), at("regexp", "r"), at("cidr", "c")
	mail := "X-Spam: score\n yes\nSubject: x\nTo: y\n\nplease buy\n more\nSubject: in the body\n"
	for _, line := range []struct {
		stdin string
		args  []string
		// sorted: the order of a list is nobody's promise. fails: the text is our own.
		sorted, fails bool
	}{
		{"", []string{"-q", "one", a}, false, false},
		{"", []string{"-q", "ONE", a}, false, false},
		{"", []string{"-f", "-q", "ONE", a}, false, false},
		{"", []string{"-fq", "Two", a}, false, false},
		{"", []string{"-q", "two", a, b}, false, false},
		{"", []string{"-q", "three", a, b}, false, false},
		{"", []string{"-q", "one", b, a}, false, false},
		{"", []string{"-q", "none", a, b}, false, false},
		{"", []string{"-q", "", a}, false, false},
		{"one\nnone\nTWO\n\"a b\"\n\nthree", []string{"-q", "-", a, b}, false, false},
		{"none\n", []string{"-q", "-", a, b}, false, false},
		{"", []string{"-q", "-", a}, false, false},
		{"", []string{"-s", a}, true, false},
		{"", []string{"-fs", a}, true, false},
		{"", []string{"-s", "inline:{a=b, C=d}"}, true, false},
		{"", []string{"-s", c}, false, true},
		{"", []string{"-s", r}, false, true},
		{"", []string{"-s", "static:x"}, false, true},
		{"", []string{"-q", "fox", r}, false, false},
		{"", []string{"-q", "192.0.2.8", c}, false, false},
		{"", []string{"-q", "x", "fail:x"}, false, true},
		{"", []string{"-q", "x", "nosuch:x"}, false, true},
		{"", []string{"-q", "x", at("texthash", "missing")}, false, true},
		{"", []string{"-q", "x"}, false, true},
		{"", []string{"-s", "-q", "x", a}, false, true},
		{"", []string{"-h", "-q", "x", a}, false, true},
		{"", []string{"-Z"}, false, true},
		{mail, []string{"-hq", "-", r}, false, false},
		{mail, []string{"-bq", "-", r}, false, false},
		{mail, []string{"-h", "-b", "-q", "-", r}, false, false},
		{"", []string{"-vvq", "one", "inline:{one=1}"}, false, true},
	} {
		ours, theirs := ourPostmap(t, line.stdin, line.args...), theirPostmap(t, etc, line.stdin, line.args...)
		if line.sorted {
			ours.stdout, theirs.stdout = sortedLines(ours.stdout), sortedLines(theirs.stdout)
		}
		if ours.code != theirs.code || ours.stdout != theirs.stdout {
			t.Errorf("%q: exit code %d, %q, %q; Postfix: %d, %q, %q", line.args, ours.code, ours.stdout, ours.stderr, theirs.code, theirs.stdout, theirs.stderr)
		}
		if !line.fails && (ours.stderr != "" || theirs.stderr != "") || line.fails && ours.code != 0 && !strings.HasPrefix(ours.stderr, "postmap: fatal: ") {
			t.Errorf("%q says %q; Postfix: %q", line.args, ours.stderr, theirs.stderr)
		}
	}
}

func sortedLines(s string) string {
	lines := strings.SplitAfter(s, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// TestPostmapRefuses: each option that is refused says why, and a mistake has file and
// line.
func TestPostmapRefuses(t *testing.T) {
	dir := t.TempDir()
	bad, twice := filepath.Join(dir, "bad"), filepath.Join(dir, "twice")
	for path, text := range map[string]string{bad: "a 1\nb\n", twice: "a 1\na 2\n"} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"-d", "x", twice}, 1, "option -d: tables are text files"},
		{[]string{"-i", twice}, 1, "option -i: "}, {[]string{"-F", twice}, 1, "option -F: "}, {[]string{"-hmq", "-", twice}, 1, "option -m: "},
		{[]string{bad}, 1, "postmap: fatal: " + bad + ":2: "},
		{[]string{twice}, 0, "postmap: warning: " + twice + ":2: duplicate entry"},
		{[]string{"hash:" + twice}, 0, "duplicate"},
		{[]string{"-w", "-r", "inline:{a=b}"}, 0, ""},
		{[]string{"-q", "a", "directory:domains"}, 1, "name the configuration with -c FILE"},
	} {
		if got := ourPostmap(t, "", c.args...); got.code != c.code || got.stdout != "" || !strings.Contains(got.stderr, c.want) || c.want == "" && got.stderr != "" {
			t.Errorf("%q: %+v", c.args, got)
		}
	}
}
