package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// runs runs a command line without an instance.
func runs(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	env := &Environment{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Getenv: func(string) string { return "" }, Version: "v1-test"}
	if got := Run(t.Context(), env, args); got != want {
		t.Errorf("%v: exit %d, want %d\n%s%s", args, got, want, out.String(), errs.String())
	}
	return out.String(), errs.String()
}

func TestInit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	own, given := filepath.Join(dir, "own"), filepath.Join(dir, "given")
	out, _ := runs(t, 0, "init", own, "--hostname", "mx.example.test")
	if !strings.Contains(out, "mail for postmaster goes to postmaster@mx.example.test\n") ||
		!strings.Contains(out, "nobody can read it yet: toastmaster -c "+own+"/toastmaster.toml mailbox set postmaster@mx.example.test --password\n") {
		t.Error(out)
	}
	out, _ = runs(t, 0, "init", given, "--postmaster", "root@example.net")
	if !strings.Contains(out, "mail for postmaster goes to root@example.net\n") || strings.Contains(out, "nobody") {
		t.Error(out)
	}
	for _, c := range []struct {
		dir, postmaster string
	}{{own, "postmaster@mx.example.test"}, {given, "root@example.net"}} {
		file := filepath.Join(c.dir, "toastmaster.toml")
		out, _ := runs(t, 0, "config", "show", "-c", file)
		if !strings.Contains(out, `smtpd.postmaster = "`+c.postmaster+`"`) {
			t.Errorf("%s: %s", c.dir, out)
		}
		if _, errs := runs(t, 0, "config", "check", "-c", file); errs != "" {
			t.Errorf("%s: %s", c.dir, errs)
		}
		for _, part := range []string{"directory.db", "mail/.toastmaster/instance", "queue/instance"} {
			if _, err := os.Stat(filepath.Join(c.dir, part)); err != nil {
				t.Error(err)
			}
		}
	}
	if _, errs := runs(t, 1, "init", own); !strings.Contains(errs, "exists") {
		t.Error(errs)
	}
}

func TestInitRefuses(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "x")
	for _, c := range []string{
		"--postmaster root", "--postmaster @", "--postmaster a@@b", "--hostname a..b", "--listen mx.example.test", "--lmtp-listen mx.example.test",
		"--port-base -1", "--port-base 65000", "--port-base many", "--nonsense",
	} {
		_, errs := runs(t, 2, append([]string{"init", dir}, strings.Fields(c)...)...)
		flag, _, _ := strings.Cut(c, " ")
		if !strings.Contains(errs, flag) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: %q", c, errs)
		}
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("a folder was made")
	}
}

// TestCheckWarns: no postmaster is no mistake, but not what a host wants.
func TestCheckWarns(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	runs(t, 0, "init", dir)
	file := filepath.Join(dir, "toastmaster.toml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text = []byte(strings.Replace(string(text), "postmaster = \"", "# \"", 1))
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs := runs(t, 0, "config", "check", "-c", file); !strings.HasPrefix(errs, "warning: "+file+": smtpd.postmaster: not set") {
		t.Error(errs)
	}
}

// TestVersion: as a flag and as a verb, the same.
func TestVersion(t *testing.T) {
	t.Parallel()
	flag, _ := runs(t, 0, "--version")
	verb, _ := runs(t, 0, "version")
	if flag != verb || flag != "toastmaster v1-test\n" {
		t.Errorf("%q and %q", flag, verb)
	}
}

// TestJSON: what has no API behind it prints JSON, too.
func TestJSON(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "toastmaster.toml")
	for _, c := range []struct{ args, key string }{
		{"init " + dir + " --json", "postmaster"}, {"config check --json -c " + file, "warnings"}, {"version --json", "version"},
	} {
		out, _ := runs(t, 0, strings.Fields(c.args)...)
		var v map[string]any
		if err := json.Unmarshal([]byte(out), &v); err != nil || v[c.key] == nil {
			t.Errorf("%s: %v in %s", c.args, err, out)
		}
	}
}

// TestInitListen: an address for the services opens none for LMTP, which has no
// log-in.
func TestInitListen(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"":                             `listen = ["127.0.0.1:2024", "unix:lmtp.sock"]`,
		"--listen 0.0.0.0":             `listen = ["127.0.0.1:2024", "unix:lmtp.sock"]`,
		"--listen ::":                  `listen = ["127.0.0.1:2024", "unix:lmtp.sock"]`,
		"--lmtp-listen 10.1.2.3":       `listen = ["10.1.2.3:2024", "unix:lmtp.sock"]`,
		"--listen :: --lmtp-listen ::": `listen = ["[::]:2024", "unix:lmtp.sock"]`,
	} {
		dir := t.TempDir()
		runs(t, 0, append([]string{"init", dir}, strings.Fields(args)...)...)
		text, err := os.ReadFile(filepath.Join(dir, "toastmaster.toml"))
		if err != nil || !strings.Contains(string(text), "[lmtpd]\n"+want) {
			t.Errorf("%s: %v\n%s", args, err, text)
		}
		if strings.HasPrefix(args, "--listen ::") && !strings.Contains(string(text), `listen = ["[::]:2025"]`) {
			t.Errorf("%s:\n%s", args, text)
		}
	}
}
