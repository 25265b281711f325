package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCheckFindsWhatCannotBeUsed: one line with file, line, parameter and what
// is wrong, exit code 2, and nothing is made.
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
	before := everyName(t, dir)
	line := strings.Count(string(base), "\n") + 3
	for _, c := range []struct{ section, key, value, cause string }{
		{"log", "file", "tls", "is a folder"},
		{"log", "file", "none/x.log", "no such file"},
		{"log", "file", "plain/x.log", "not a directory"},
		{"directory", "path", "tls", "is a folder"},
		{"directory", "path", "plain", "is not a database"},
		{"directory", "path", "none/x.db", "the database is missing: "},
		{"directory", "path", "plain/x.db", "not a directory"},
		{"store", "path", "none", "the mail store is missing: "},
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
			if !strings.HasPrefix(errs, want) || !strings.Contains(errs, c.cause) || strings.Count(errs, "\n") != 1 {
				t.Errorf("%s of %s.%s = %q: %s", command, c.section, c.key, c.value, errs)
			}
		}
	}
	if after := everyName(t, dir); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
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
	if !strings.HasPrefix(errs, "warning: "+file+":13: smtpd.postmaster: nobody has the address nobody@mx.example.test") {
		t.Error(errs)
	}
}
