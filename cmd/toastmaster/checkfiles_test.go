package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCheckFindsWhatCannotBeUsed: one line with file, line, parameter and what
// is allowed, exit code 2, and nothing is made.
func TestCheckFindsWhatCannotBeUsed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	runs(t, 0, "init", dir)
	file := filepath.Join(dir, "toastmaster.toml")
	base, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("this is text, and a long one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	line := strings.Count(string(base), "\n") + 3
	for _, c := range []struct{ section, key, value, cause string }{
		{"log", "file", "tls", "is a folder"},
		{"log", "file", "none/x.log", "no such file"},
		{"log", "file", "plain/x.log", "not a directory"},
		{"directory", "path", "tls", "is a folder"},
		{"directory", "path", "plain", "is not a database"},
		{"directory", "path", "none/x.db", "no such file"},
		{"store", "path", "tls", "not a mail store: "},
		{"store", "path", ".", "not a mail store: "},
		{"store", "path", "", "not a mail store: "},
		{"store", "path", "plain", "is not a folder"},
		{"store", "path", "plain/mail", "not a directory"},
	} {
		text := fmt.Sprintf("%s\n[%s]\n%s = %q\n", base, c.section, c.key, c.value)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, command := range []string{"check", "serve"} {
			args := []string{"config", "check", "-c", file}
			if command == "serve" {
				args = []string{"serve", "-c", file}
			}
			_, errs := runs(t, 2, args...)
			want := fmt.Sprintf("toastmaster: %s:%d: %s.%s: ", file, line, c.section, c.key)
			if !strings.HasPrefix(errs, want) || !strings.Contains(errs, c.cause) || !strings.Contains(errs, "(allowed: ") || strings.Count(errs, "\n") != 1 {
				t.Errorf("%s of %s.%s = %q: %s", command, c.section, c.key, c.value, errs)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "mail")); err == nil {
		t.Error("a folder was made")
	}
}

// TestCheckAcceptsWhatTheStartMakes: nothing has to exist before the first
// start but the folder above.
func TestCheckAcceptsWhatTheStartMakes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	runs(t, 0, "init", dir)
	file := filepath.Join(dir, "toastmaster.toml")
	base, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(base), `data_dir = "."`, `data_dir = "data"`, 1) +
		fmt.Sprintf("\n[log]\nfile = \"x.log\"\n\n[store]\npath = \"a/b\"\n\n[tls]\ncertificates = [\"%[1]s/tls/cert.pem,%[1]s/tls/key.pem\"]\n", dir)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, errs := runs(t, 0, "config", "check", "-c", file); errs != "" {
		t.Errorf("%s%s", out, errs)
	}
}

// TestCheckKnowsThePostmaster asks the database whether anybody is behind it.
func TestCheckKnowsThePostmaster(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	runs(t, 0, "init", dir, "--hostname", "mx.example.test")
	file := filepath.Join(dir, "toastmaster.toml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text = []byte(strings.Replace(string(text), "postmaster@mx.", "nobody@mx.", 1))
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	_, errs := runs(t, 0, "config", "check", "-c", file)
	if !strings.HasPrefix(errs, "warning: "+file+":12: smtpd.postmaster: nobody has the address nobody@mx.example.test") {
		t.Error(errs)
	}
}
