package cli

import (
	"io"
	"strings"
	"testing"
)

func TestSkipBOM(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"\ufeffa@example.test,x\n": "a@example.test,x\n", "a@example.test,x\n": "a@example.test,x\n",
		"\ufeff": "", "": "", "a": "a", "\xef\xbb": "\xef\xbb", "a\ufeff": "a\ufeff",
	} {
		r, err := skipBOM(strings.NewReader(in))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil || string(got) != want {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
}

// TestBulkPasswords: what a field of the file becomes.
func TestBulkPasswords(t *testing.T) {
	t.Parallel()
	const crypt = "$1$saltsalt$9xy1btjgzLYfb7hivXtC//"
	for _, c := range []struct{ secret, passwords, want string }{
		{"secret", passwordsAuto, "password"},
		{"$ecret", passwordsAuto, "password"},
		{"{PLAIN}secret", passwordsAuto, "hash"},
		{crypt, passwordsAuto, "hash"},
		{"{MD5-CRYPT}" + crypt, passwordsAuto, "hash"},
		{"$y$j9T$salt$key", passwordsAuto, "yescrypt"},
		{"$1$money", passwordsAuto, "--passwords plain"},
		{"$1$money", passwordsPlain, "password"},
		{crypt, passwordsPlain, "password"},
		{"{PLAIN}x", passwordsPlain, "password"},
		{crypt, passwordsHash, "hash"},
		{"secret", passwordsHash, "is no hash"},
	} {
		box, err := bulkMailbox([]string{"a@example.test", c.secret}, c.passwords)
		got := "nothing"
		switch {
		case err != nil:
			got = err.Error()
		case box.PasswordHash != nil && *box.PasswordHash == c.secret && box.Password == nil:
			got = "hash"
		case box.Password != nil && *box.Password == c.secret && box.PasswordHash == nil:
			got = "password"
		}
		if got != c.want && (err == nil || !strings.Contains(got, c.want)) {
			t.Errorf("%s with %s: %s, want %s", c.secret, c.passwords, got, c.want)
		}
	}
}
