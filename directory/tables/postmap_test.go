package tables

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/internal/testkit/peers"
)

// postmap asks Debian's postmap for all keys at once: key to text of those found.
func postmap(t *testing.T, dir, table string, keys []string, options ...string) map[string]string {
	t.Helper()
	etc := filepath.Join(dir, "postfix")
	if err := os.MkdirAll(etc, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, etc, "main.cf", "compatibility_level = 3.6\nmyhostname = mx.example.test\n")
	old(t, etc, "main.cf")
	cmd := exec.Command(peers.Need(t, "postmap", "postfix"), append(append([]string{"-c", etc}, options...), "-q", "-", table)...)
	cmd.Dir = dir
	cmd.Stdin = strings.NewReader(strings.Join(keys, "\n") + "\n")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 1 && stderr.Len() == 0) {
		t.Fatalf("postmap -q - %s: %v\n%s", table, err, stderr.Bytes())
	}
	if stderr.Len() > 0 {
		t.Logf("postmap: %s", stderr.Bytes())
	}
	found := map[string]string{}
	for line := range strings.Lines(string(out)) {
		for _, key := range keys {
			if text, ok := strings.CutPrefix(line, key+"\t"); ok {
				found[key] = strings.TrimSuffix(text, "\n")
			}
		}
	}
	return found
}

func limitsForTest() configs.TableLimits { return configs.Default().Lookup }

// sameAsPostfix compares our answers with those of Debian's postmap.
func sameAsPostfix(t *testing.T, dir, table string, keys []string, keepCase bool) {
	t.Helper()
	var options []string
	if keepCase {
		options = []string{"-f"}
	}
	theirs := postmap(t, dir, table, keys, options...)
	s := NewSet(Options{Params: limitsForTest(), Dir: dir, KeepCase: keepCase})
	defer s.Close()
	ours, err := s.Open(context.Background(), table)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		text, err := ours.Lookup(context.Background(), key)
		want, found := theirs[key]
		if directory.OutcomeOf(err) != directory.Found && directory.OutcomeOf(err) != directory.NotFound {
			t.Errorf("%s, key %q: %v", table, key, err)
		} else if found != (err == nil) || text != want {
			t.Errorf("%s, key %q: Postfix has %q (%v), we have %q (%v)", table, key, want, found, text, err)
		}
	}
	t.Logf("%s: %d of %d keys found", table, len(theirs), len(keys))
}

// TestSameAsPostfix: for the same files and keys Debian's postmap answers the same.
func TestSameAsPostfix(t *testing.T) {
	dir := t.TempDir()
	files, err := filepath.Glob("testdata/postmap/*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		kind, part := strings.TrimPrefix(filepath.Ext(file), "."), filepath.Base(file)
		if kind == "keys" {
			continue
		}
		t.Run(part, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			write(t, dir, part, string(text))
			old(t, dir, part)
			keys, err := os.ReadFile(file + ".keys")
			if err != nil {
				t.Fatal(err)
			}
			list := strings.Split(strings.TrimSuffix(string(keys), "\n"), "\n")
			sameAsPostfix(t, dir, kind+":"+part, list, false)
			sameAsPostfix(t, dir, kind+":"+part, list, true)
		})
	}
}

// TestSameAsPostfixInLine is about tables that stand in their name.
func TestSameAsPostfixInLine(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a", "one 1\ntwo 2\nthree one\n")
	write(t, dir, "b", "one I\n1 uno\n2 due\n")
	old(t, dir, "a")
	old(t, dir, "b")
	keys := []string{"one", "two", "three", "ONE", "four", "1", "k", "K", "a b", "1.2.3.4", "10.9.8.7", "key", "foo", "foobar"}
	for _, table := range []string{
		"static:x", "static:{ a b  c }", "static:{x}", "static:a b",
		"inline:{ key=value, { k = text with, comma } }",
		"inline:{key=value foo=a=b}", "inline:{ K=v }", "inline:{ {k = v w} }",
		"unionmap:{texthash:a, texthash:b}", "unionmap:{texthash:a texthash:b,inline:{one=x}}",
		"pipemap:{texthash:a, texthash:b}", "pipemap:{static:one,texthash:a}",
		"randmap:{only}",
		"cidr:{ {1.0.0.0/8 X y}, {0.0.0.0/0 Z} }", "regexp:{ {/^f(.)/ <$1>}, {/o/ $$} }", "pcre:{{/^f(?=ooba)/ yes}}",
	} {
		sameAsPostfix(t, dir, table, keys, false)
		sameAsPostfix(t, dir, table, keys, true)
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// old makes a file so old that Postfix does not wait for its end (dict_load_file_xt).
func old(t *testing.T, dir, name string) {
	t.Helper()
	then := time.Now().Add(-time.Minute)
	if err := os.Chtimes(filepath.Join(dir, name), then, then); err != nil {
		t.Fatal(err)
	}
}
